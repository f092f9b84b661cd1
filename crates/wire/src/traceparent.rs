//! W3C trace context (<https://www.w3.org/TR/trace-context/>): which trace
//! something belongs to, as header `traceparent` has it.

use std::fmt;

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
const V0_BYTES: usize = 55;

/// The flag that later versions have as well.
const SAMPLED: u8 = 1;

/// A place in a trace: the span that others continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    /// The trace; not zero.
    pub trace_id: u128,
    /// The span within it; not zero.
    pub span_id: u64,
    /// Flags of version zero; see [`Self::is_sampled`].
    pub flags: u8,
}

// === impl Traceparent ===

impl Traceparent {
    /// Reads a header: `None` if it is not valid. Of a later version that begins
    /// like version zero and may go on (Trace Context section 3.2.4), it keeps what
    /// version zero knows.
    pub fn parse(text: &str) -> Option<Self> {
        let known = text.get(..V0_BYTES)?;
        let mut fields = known.split('-');
        let version = fields.next().filter(|it| is_hex(it, 2))?;
        let trace_id = fields.next().filter(|it| is_hex(it, 32))?;
        let span_id = fields.next().filter(|it| is_hex(it, 16))?;
        let flags = fields.next().filter(|it| is_hex(it, 2))?;
        let rest = &text[V0_BYTES..];
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let flags = match version {
            "00" => rest.is_empty().then_some(flags)?,
            "ff" => return None,
            _ => (rest.is_empty() || rest.starts_with('-')).then_some(flags & SAMPLED)?,
        };
        let trace_id = u128::from_str_radix(trace_id, 16).ok()?;
        let span_id = u64::from_str_radix(span_id, 16).ok()?;
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags,
        })
    }

    /// Whoever made the span has recorded it.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same place, recorded no further.
    pub fn unsampled(self) -> Self {
        Self {
            flags: self.flags & !SAMPLED,
            ..self
        }
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
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

    fn again(text: &str) -> Option<String> {
        Traceparent::parse(text).map(|parsed| parsed.to_string())
    }

    #[test]
    fn a_valid_context_is_written_as_it_was_read() {
        for flags in ["00", "01", "03"] {
            let context = format!("00-{TRACE}-{SPAN}-{flags}");
            assert_eq!(again(&context), Some(context));
        }
    }

    #[test]
    fn a_later_version_is_restated_in_ours() {
        let expected = Some(format!("00-{TRACE}-{SPAN}-01"));
        assert_eq!(again(&format!("cc-{TRACE}-{SPAN}-09")), expected);
        assert_eq!(again(&format!("01-{TRACE}-{SPAN}-01-more")), expected);
    }

    #[test]
    fn only_the_sampled_flag_is_taken_away() {
        let context = Traceparent::parse(&format!("00-{TRACE}-{SPAN}-03")).expect("valid");
        assert!(context.is_sampled());
        let unsampled = context.unsampled();
        assert!(!unsampled.is_sampled());
        assert_eq!(unsampled.to_string(), format!("00-{TRACE}-{SPAN}-02"));
    }

    #[test]
    fn an_invalid_context_is_none() {
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
            assert_eq!(Traceparent::parse(&text), None, "{text}");
        }
    }
}
