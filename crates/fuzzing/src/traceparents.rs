//! Trace contexts: whatever parses names a trace and a span, is written as version
//! zero has it, and parses again to itself; of version zero nothing is changed.

use wire::Traceparent;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Some(parsed) = Traceparent::parse(text) else {
        return;
    };
    assert!(parsed.trace_id != 0 && parsed.span_id != 0, "{text:?}");
    let written = parsed.to_string();
    assert_eq!(written.len(), 55);
    assert_eq!(Traceparent::parse(&written), Some(parsed));
    match text.starts_with("00") {
        true => assert_eq!(written, text),
        false => assert_eq!(written[2..52], text[2..52]),
    }
    assert!(!parsed.unsampled().is_sampled());
}
