//! W3C trace context: every request to a worker carries one, so that whoever
//! traces at all sees where it came from.
//!
//! The gateway makes no spans of its own. It passes a client's context on, and
//! where there is none it begins one that is not sampled: workers log an id that
//! both sides know, and no tracing backend is flooded.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
const V0_BYTES: usize = 55;

/// Makes contexts that nobody else makes.
#[derive(Debug, Default)]
pub(crate) struct TraceContexts {
    // Keyed at random for each shard of each process.
    keys: RandomState,
    made: u64,
}

// === impl TraceContexts ===

impl TraceContexts {
    /// The client's context if it is valid, otherwise a new one.
    pub(crate) fn adopt(&mut self, traceparent: String) -> String {
        match Version::of(&traceparent) {
            Some(Version::Zero) => traceparent,
            Some(Version::Later) => restate(&traceparent),
            None => self.begin(),
        }
    }

    fn begin(&mut self) -> String {
        self.made += 1;
        // All zeros are no valid id.
        let part = |number: u8| self.keys.hash_one((self.made, number)).max(1);
        format!("00-{:016x}{:016x}-{:016x}-00", part(0), part(1), part(2))
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
    use std::collections::HashSet;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn adopt(text: &str) -> String {
        TraceContexts::default().adopt(text.to_owned())
    }

    #[test]
    fn a_valid_context_is_passed_on_as_it_is() {
        for flags in ["00", "01", "03"] {
            let context = format!("00-{TRACE}-{SPAN}-{flags}");
            assert_eq!(adopt(&context), context);
        }
    }

    #[test]
    fn a_later_version_is_restated_in_ours() {
        let expected = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(adopt(&format!("cc-{TRACE}-{SPAN}-09")), expected);
        assert_eq!(adopt(&format!("01-{TRACE}-{SPAN}-01-more")), expected);
    }

    #[test]
    fn an_invalid_context_is_replaced_by_one_that_is_not_sampled() {
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
            let made = adopt(&text);
            assert_ne!(made, text);
            assert_eq!(Version::of(&made), Some(Version::Zero), "{made}");
            assert!(made.ends_with("-00"), "{made}");
            assert!(!made.contains(TRACE), "{made}");
        }
    }

    #[test]
    fn no_context_is_made_twice() {
        let mut shards = [TraceContexts::default(), TraceContexts::default()];
        let mut traces = HashSet::new();
        for _ in 0..1_000 {
            for shard in &mut shards {
                assert!(traces.insert(shard.begin()[3..35].to_owned()));
            }
        }
    }
}
