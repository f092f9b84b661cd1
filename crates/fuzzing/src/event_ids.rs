//! Ids of server-sent events: what is read is written alike, and means the same.

use wire::EventId;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(id) = text.parse::<EventId>() else {
        return;
    };
    let written = id.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&id));
    assert!(!written.contains(['\r', '\n', '\0']), "it ends no line");
}
