//! For how long an answer counts, as far as it says so (RFC 9111 section 5.2.2).

use std::time::Duration;

/// The `max-age` of a `Cache-Control` header; zero where it forbids to keep the
/// answer; absent where it says nothing that can be read.
pub(crate) fn max_age(header: &str) -> Option<Duration> {
    let mut age = None;
    for directive in header.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            let seconds = value.trim_matches('"').parse().map(Duration::from_secs);
            age = age.or(seconds.ok());
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_age_is_found_among_other_directives() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (header, age) in [
            ("max-age=600", seconds(600)),
            ("public, Max-Age=\"60\", must-revalidate", seconds(60)),
            ("max-age=60, no-store", seconds(0)),
            ("no-cache", seconds(0)),
            ("max-age=soon", None),
            ("max-age=-1", None),
            ("s-maxage=5", None),
            ("", None),
        ] {
            assert_eq!(max_age(header), age, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_passed_over(header in ".*") {
            let _ = max_age(&header);
        }
    }
}
