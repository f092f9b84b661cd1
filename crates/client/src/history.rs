//! Reading a channel's log.

use std::time::{SystemTime, UNIX_EPOCH};

use wire::client as proto;

use crate::{
    client::Client,
    error::Error,
    subscription::{Gap, GapCause, Publication},
};

/// A read of a channel's log, oldest first, page by page. Made by
/// [`Client::history`]; nothing is asked before [`Self::next_page`] is awaited.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::Error> {
/// let mut history = client.history("market.BTC-USD").limit(100);
/// while let Some(page) = history.next_page().await? {
///     for publication in page.publications {
///         println!("{}", publication.offset);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct History {
    client: Client,
    read: proto::History,
    is_over: bool,
}

/// A place in a channel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Identity of the log; in another one offsets say nothing. Empty: of whichever
    /// log there is.
    pub epoch: String,
    /// Offset of the last publication before the place.
    pub offset: u64,
}

/// A part of a channel's log.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// In order of offset.
    pub publications: Vec<Publication>,
    /// Publications right before the first one, and after what was read before,
    /// have left the log.
    pub gap: Option<Gap>,
    /// Of the channel's newest publication when the page was read, be it kept or
    /// not.
    pub newest: Position,
    /// There are more after the last one.
    pub more: bool,
}

// === impl History ===

impl History {
    pub(crate) fn new(client: Client, channel: &str) -> Self {
        let channel = channel.to_owned();
        let read = proto::History {
            channel,
            ..proto::History::default()
        };
        Self {
            client,
            read,
            is_over: false,
        }
    }

    /// Begins after this position instead of with the oldest publication.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.read.since = Some(position.into());
        self.read.since_time_ms = 0;
        self
    }

    /// Begins with the first publication that the log has had since then, to the
    /// millisecond.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        let unix_ms = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = i64::try_from(unix_ms.as_millis()).unwrap_or(i64::MAX);
        self.read.since = None;
        // Zero would mean any time; there was no log in 1970.
        self.read.since_time_ms = unix_ms.max(1);
        self
    }

    /// At most so many publications in a page; the gateway has a limit of its own,
    /// and makes pages of large publications shorter. Zero: as it likes.
    #[must_use]
    pub fn limit(mut self, publications: u32) -> Self {
        self.read.limit = publications;
        self
    }

    /// The next page; `None` behind the last one. A channel without publications
    /// has one page, an empty one. Waits while there is no connection; asks again
    /// after a reconnect.
    ///
    /// # Errors
    /// The gateway's refusal: [`ErrorCode::NoHistory`](crate::ErrorCode) if the
    /// channel keeps no log, `OtherEpoch` if the log is another than the position's,
    /// `Overloaded` or `Unavailable`, after which the same page can be tried again;
    /// or [`Error::Closed`].
    pub async fn next_page(&mut self) -> Result<Option<HistoryPage>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let result = self.client.read(self.read.clone()).await?;
        let after = self.read.since.take();
        let page = HistoryPage::new(result, after.as_ref());
        let last = page.publications.last();
        self.is_over = last.is_none() || !page.more;
        self.read.since_time_ms = 0;
        let offset = last.map_or(page.newest.offset, |last| last.offset);
        self.read.since = Some(proto::Position {
            epoch: page.newest.epoch.clone(),
            offset,
        });
        Ok(Some(page))
    }
}

// === impl HistoryPage ===

impl HistoryPage {
    fn new(result: proto::HistoryResult, after: Option<&proto::Position>) -> Self {
        let first = result.publications.first();
        let gap = match (after, first) {
            (Some(after), Some(first)) if first.previous > after.offset => Some(Gap::withheld(
                after.offset + 1,
                first.previous,
                GapCause::BrokenChain,
            )),
            _ => None,
        };
        let publications = result.publications.into_iter();
        Self {
            publications: publications.map(Publication::from).collect(),
            gap,
            newest: result.position.unwrap_or_default().into(),
            more: result.more,
        }
    }
}

// === impl Position ===

impl From<Position> for proto::Position {
    fn from(Position { epoch, offset }: Position) -> Self {
        Self { epoch, offset }
    }
}

impl From<proto::Position> for Position {
    fn from(proto::Position { epoch, offset }: proto::Position) -> Self {
        Self { epoch, offset }
    }
}
