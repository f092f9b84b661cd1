//! W3C trace context, passed on to workers as clients give it. The gateway makes
//! no spans of its own, and begins no trace that nobody asked for.

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
const V0_BYTES: usize = 55;

/// The client's context in the form of version zero; empty if it is not valid,
/// or none.
pub(crate) fn adopt(traceparent: String) -> String {
    match Version::of(&traceparent) {
        Some(Version::Zero) => traceparent,
        Some(Version::Later) => restate(&traceparent),
        None => String::new(),
    }
}

/// Which version of the format a valid context has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Zero,
    /// Begins like version zero and may go on (Trace Context section 3.2.4).
    Later,
}

// === impl Version ===

impl Version {
    fn of(text: &str) -> Option<Self> {
        let known = text.get(..V0_BYTES)?;
        let mut fields = known.split('-');
        let version = fields.next().filter(|it| is_hex(it, 2))?;
        let is_valid_id = |id: &&str, digits| is_hex(id, digits) && id.bytes().any(|it| it != b'0');
        fields.next().filter(|id| is_valid_id(id, 32))?;
        fields.next().filter(|id| is_valid_id(id, 16))?;
        fields.next().filter(|flags| is_hex(flags, 2))?;
        let rest = &text[V0_BYTES..];
        match version {
            "00" => rest.is_empty().then_some(Self::Zero),
            "ff" => None,
            _ => (rest.is_empty() || rest.starts_with('-')).then_some(Self::Later),
        }
    }
}

/// A valid context of a later version in the form of version zero, with the one
/// flag that both have.
fn restate(traceparent: &str) -> String {
    let ids = &traceparent[3..V0_BYTES - 2];
    let flags = u8::from_str_radix(&traceparent[V0_BYTES - 2..V0_BYTES], 16).unwrap_or_default();
    format!("00-{ids}{:02x}", flags & 1)
}

/// Lower case, as the standard has it.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn adopted(text: &str) -> String {
        adopt(text.to_owned())
    }

    #[test]
    fn a_valid_context_is_passed_on_as_it_is() {
        for flags in ["00", "01", "03"] {
            let context = format!("00-{TRACE}-{SPAN}-{flags}");
            assert_eq!(adopted(&context), context);
        }
    }

    #[test]
    fn a_later_version_is_restated_in_ours() {
        let expected = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(adopted(&format!("cc-{TRACE}-{SPAN}-09")), expected);
        assert_eq!(adopted(&format!("01-{TRACE}-{SPAN}-01-more")), expected);
    }

    #[test]
    fn an_invalid_context_is_left_out() {
        let zeros = "0".repeat(32);
        let upper = TRACE.to_uppercase();
        let invalid = [
            String::new(),
            "00-trace".to_owned(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-0{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("00-{TRACE}-{SPAN}-1\u{e9}"),
            format!("00-{TRACE}-{SPAN}"),
        ];
        for text in invalid {
            assert_eq!(adopted(&text), "", "{text}");
        }
    }
}
