//! What commands print, and how it looks.
//!
//! Text from outside (payloads, user names, names of clients) never reaches a
//! terminal with control characters in it.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::builder::styling::Style;
use serde_json::Value;

/// For what is said beside the results.
pub(super) const DIM: Style = Style::new().dimmed();
/// For headings and names.
pub(super) const BOLD: Style = Style::new().bold();

/// Prints a line of results.
pub(super) fn line(text: impl Display) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{text}")
}

/// Prints bytes as they are, and ends the line where a person reads it.
pub(super) fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    if out.is_terminal() && !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Prints bytes as they are, as one line.
pub(super) fn raw_line(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.write_all(b"\n")
}

/// Says something beside the results, on stderr.
///
/// Nothing is done if stderr is closed: there is nobody to tell.
pub(super) fn note(text: impl Display) {
    drop(writeln!(anstream::stderr().lock(), "{DIM}{text}{DIM:#}"));
}

/// A column of text lines, aligned; the first row is the heading.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let heading = aligned(&widths, heading.iter().copied());
    let mut text = format!("{BOLD}{heading}{BOLD:#}");
    for row in rows {
        text.push('\n');
        text.push_str(&aligned(&widths, row.iter().map(String::as_str)));
    }
    text
}

/// Cells side by side, two blanks between them, none after the last.
fn aligned<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
    let padded = widths
        .iter()
        .zip(cells)
        .map(|(&width, cell)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Text with its control characters escaped.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |char: char| {
        if char.is_control() {
            char.escape_default().to_string()
        } else {
            char.to_string()
        }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// A payload on one line: text if it is UTF-8, base64 otherwise.
pub(super) fn payload(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => Cow::Owned(format!("base64:{}", BASE64_STANDARD.encode(bytes))),
    }
}

/// Adds a payload to a JSON object: as `payload` if it is UTF-8, otherwise as
/// `payload_base64`.
pub(super) fn put_payload(object: &mut Value, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => object["payload"] = text.into(),
        Err(_) => object["payload_base64"] = BASE64_STANDARD.encode(bytes).into(),
    }
}

/// A time in UTC to the millisecond, e.g. `2026-11-23T08:30:00.125Z`.
pub(super) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// The same of what a server says; `-` if it says nothing.
pub(super) fn timestamp(at: Option<impl TryInto<SystemTime>>) -> String {
    let at = at.and_then(|at| at.try_into().ok());
    at.map_or_else(|| "-".to_owned(), time)
}

/// The same from microseconds since 1970; `-` if there are none.
pub(super) fn time_us(unix_us: i64) -> String {
    match u64::try_from(unix_us) {
        Ok(us) if us > 0 => time(SystemTime::UNIX_EPOCH + Duration::from_micros(us)),
        _ => "-".to_owned(),
    }
}

/// The text, or `-` where there is none, so that columns stay in place.
pub(super) fn or_dash(text: &str) -> Cow<'_, str> {
    if text.is_empty() {
        Cow::Borrowed("-")
    } else {
        printable(text)
    }
}

/// An offset; `-` where the channel keeps no log.
pub(super) fn offset(offset: u64) -> String {
    if offset == 0 {
        "-".to_owned()
    } else {
        offset.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["käse".to_owned(), "22".to_owned()],
        ];
        let text = anstream::adapter::strip_str(&table(["X", "LONG"], &rows)).to_string();
        assert_eq!(text, "X     LONG\na     1\nkäse  22");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(payload(b"a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(or_dash("x\u{9b}y"), "x\\u{9b}y");
    }

    #[test]
    fn payloads_that_are_no_text_are_base64() {
        assert_eq!(payload(b"tide \xc3\xa4"), "tide ä");
        assert_eq!(payload(b"\xff\x00"), "base64:/wA=");
        let mut object = json!({});
        put_payload(&mut object, b"\xff\x00");
        assert_eq!(object.to_string(), r#"{"payload_base64":"/wA="}"#);
    }

    #[test]
    fn what_is_absent_is_a_dash() {
        assert_eq!(time_us(0), "-");
        assert_eq!(offset(0), "-");
        assert_eq!(or_dash(""), "-");
        assert_eq!(time_us(1_500), "1970-01-01T00:00:00.001Z");
        assert_eq!(offset(7), "7");
    }
}
