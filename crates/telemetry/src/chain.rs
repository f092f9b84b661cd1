//! The one place that prints an error together with its sources.

use std::{error::Error, fmt};

struct Chain<'a>(&'a dyn Error);

/// Prints `error` and all its sources, outermost first, joined by `: `.
pub fn chain<'a>(error: &'a (dyn Error + 'a)) -> impl fmt::Display + 'a {
    Chain(error)
}

// === impl Chain ===

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not read the configuration")]
    struct Outer(#[source] io::Error);

    #[test]
    fn every_layer_is_printed_once_outermost_first() {
        let error = Outer(io::Error::other("disk is gone"));
        assert_eq!(
            chain(&error).to_string(),
            "could not read the configuration: disk is gone"
        );
    }
}
