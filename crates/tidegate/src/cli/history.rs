//! `tidegate history`: what a channel's log has.

use std::time::{Duration, SystemTime};

use control::client::{CallerChannel, ChannelServiceClient};
use serde_json::{Value, json};
use wire::control::{HistoryRequest, LoggedPublication};

use super::{
    Failure,
    args::GrpcArgs,
    output::{self, DIM, or_dash},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The channel
    channel: String,

    /// Only what comes after this offset
    #[arg(long, value_name = "OFFSET", conflicts_with = "since")]
    after: Option<u64>,

    /// Only what the log has had since then: `10m` ago, or `2026-11-23T08:30:00Z`
    #[arg(long, value_name = "WHEN", value_parser = time)]
    since: Option<SystemTime>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let mut client = ChannelServiceClient::new(args.grpc.connect().await?);
    let request = HistoryRequest {
        channel: args.channel,
        after_offset: args.after.unwrap_or_default(),
        since: args.since.map(Into::into),
        ..HistoryRequest::default()
    };
    if let Some(last) = print(&mut client, request, args.limit, json).await? {
        output::note(format_args!(
            "there are more: --after {last} continues, --limit says how many to show"
        ));
    }
    Ok(())
}

/// Prints page by page. Gives the last offset if there are more than `limit`.
async fn print(
    client: &mut ChannelServiceClient<CallerChannel>,
    mut request: HistoryRequest,
    limit: usize,
    json: bool,
) -> Result<Option<u64>, Failure> {
    let mut left = limit;
    loop {
        // The server has a limit of its own.
        request.limit = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
        let page = client.history(request.clone()).await?.into_inner();
        for publication in page.publications.iter().take(left) {
            match json {
                true => output::line(as_json(&request.channel, publication))?,
                false => output::line(as_text(publication))?,
            }
        }
        left = left.saturating_sub(page.publications.len());
        let Some(last) = page.publications.last().filter(|_| page.more) else {
            return Ok(None);
        };
        if left == 0 {
            return Ok(Some(last.offset));
        }
        request.since = None;
        request.after_offset = last.offset;
        request.epoch = page.epoch;
    }
}

/// Time, offset, key, payload.
fn as_text(publication: &LoggedPublication) -> String {
    let time = output::time_us(publication.published_at_us);
    let (key, payload) = (
        or_dash(&publication.key),
        output::payload(&publication.payload),
    );
    format!("{DIM}{time}{DIM:#} {} {key} {payload}", publication.offset)
}

fn as_json(channel: &str, publication: &LoggedPublication) -> Value {
    let mut object = json!({
        "channel": channel,
        "offset": publication.offset,
        "previous": publication.previous,
        "key": publication.key,
        "published_at": output::time_us(publication.published_at_us),
    });
    output::put_payload(&mut object, &publication.payload);
    object
}

/// Reads a time: a duration counts back from now.
fn time(text: &str) -> Result<SystemTime, String> {
    let ago = |ago: Duration| SystemTime::now().checked_sub(ago);
    match humantime::parse_duration(text) {
        Ok(duration) => ago(duration).ok_or_else(|| "that is too long ago".to_owned()),
        Err(_) => humantime::parse_rfc3339_weak(text).map_err(|_| {
            "expected a duration such as 10m, or a time such as 2026-11-23T08:30:00Z".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_back_from_now_or_dates() {
        let at = time("2026-11-23T08:30:00Z").expect("a date");
        assert_eq!(output::time(at), "2026-11-23T08:30:00.000Z");
        let ago = time("10m").expect("a duration");
        let passed = SystemTime::now().duration_since(ago).expect("in the past");
        assert!(passed >= Duration::from_secs(600) && passed < Duration::from_secs(660));
        for text in ["", "yesterday", "-3s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_publication_is_one_line_of_four_columns() {
        let publication = LoggedPublication {
            offset: 7,
            previous: 5,
            key: String::new(),
            payload: b"two\nlines".as_slice().into(),
            published_at_us: 1_795_398_300_250_000,
        };
        let text = anstream::adapter::strip_str(&as_text(&publication)).to_string();
        assert_eq!(text, "2026-11-23T01:45:00.250Z 7 - two\\nlines");
        assert_eq!(as_json("a.b", &publication)["previous"], 5);
    }
}
