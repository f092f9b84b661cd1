//! Where log lines go: standard error, as text for people or as JSON for collectors.

use std::{
    io::{self, IsTerminal},
    str::FromStr,
};

use thiserror::Error;
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, fmt, layer::SubscriberExt, registry::Registry,
    util::SubscriberInitExt, util::TryInitError,
};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text; coloured on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line, the fields of the event at its top level.
    Json,
}

/// The text is no [`LogFormat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a log format: expected pretty or json")]
pub struct LogFormatError;

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The filter is not one of `tracing_subscriber::EnvFilter`.
    #[error("the log filter is malformed")]
    Filter(#[source] ParseError),
    /// Something set up logging before.
    #[error("logging is set up already")]
    AlreadySet(#[source] TryInitError),
}

/// Sends the process's events to standard error. `filter` is a list of
/// directives, such as `info,edge=debug`.
///
/// # Errors
/// If the filter is malformed, or on a second call.
pub fn init_tracing(format: LogFormat, filter: &str) -> Result<(), LogsError> {
    let filter = EnvFilter::try_new(filter).map_err(LogsError::Filter)?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        // On a terminal the library decides, and honours NO_COLOR.
        LogFormat::Pretty if io::stderr().is_terminal() => lines.boxed(),
        LogFormat::Pretty => lines.with_ansi(false).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(LogsError::AlreadySet)
}

// === impl LogFormat ===

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(text: &str) -> Result<Self, LogFormatError> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_set_up_and_a_malformed_filter_are_refused() {
        assert!(matches!(
            init_tracing(LogFormat::Json, "edge=nonsense"),
            Err(LogsError::Filter(_))
        ));
        init_tracing(LogFormat::Json, "off").expect("the first of this process");
        assert!(matches!(
            init_tracing(LogFormat::Pretty, "info"),
            Err(LogsError::AlreadySet(_))
        ));
    }

    #[test]
    fn formats_have_names() {
        assert_eq!("pretty".parse(), Ok(LogFormat::Pretty));
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        assert_eq!("xml".parse::<LogFormat>(), Err(LogFormatError));
    }
}
