//! Publications that many members get at once, beside what flows: the latest
//! state of a channel.

use std::{rc::Rc, sync::Arc};

use wire::{Subprotocol, client::ServerEvent};

use crate::{
    chunk::MAX_CHUNK_BYTES,
    frame::{Frame, FrameBuilder},
    publication::EncodedPublication,
};

/// Publications as whole WebSocket messages, to be queued by
/// [`Hub::send_frame`](crate::Hub::send_frame) for any number of members that
/// share them. A message has some 16 KiB, or a single publication.
pub fn frames(
    publications: &[Arc<EncodedPublication>],
    subprotocol: Subprotocol,
) -> Rc<[Rc<[u8]>]> {
    let mut frames = Vec::new();
    let mut rest = publications;
    while !rest.is_empty() {
        let (message, after) = rest.split_at(together(rest));
        let encoded = message.iter().map(|it| it.encoded(subprotocol));
        let bytes = encoded.clone().map(<[u8]>::len).sum::<usize>();
        let separators = message.len() * subprotocol.separator().len();
        let mut builder = FrameBuilder::new(subprotocol, bytes + separators);
        encoded.for_each(|publication| builder.encoded(publication));
        frames.push(Rc::from(&*builder.finish()));
        rest = after;
    }
    frames.into()
}

/// An event as a whole WebSocket message, to be queued by
/// [`Hub::send_state`](crate::Hub::send_state) for any number of members that share it.
pub fn frame(event: &ServerEvent, subprotocol: Subprotocol) -> Rc<[u8]> {
    Rc::from(&*Frame::of_event(subprotocol, event))
}

/// How many of the first publications go into one message; one at least.
fn together(publications: &[Arc<EncodedPublication>]) -> usize {
    let mut bytes = 0;
    let fits = publications.iter().take_while(|publication| {
        bytes += publication.encoded_len();
        bytes <= MAX_CHUNK_BYTES
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use wire::client::Publication;

    use super::*;

    fn of_size(bytes: usize) -> Arc<EncodedPublication> {
        let publication = Publication {
            alias: 1,
            payload: vec![7; bytes].into(),
            ..Publication::default()
        };
        Arc::new(EncodedPublication::new(&publication))
    }

    #[test]
    fn messages_have_sixteen_kibibytes_or_one_publication() {
        let sizes = [10, 20_000, 9_000, 6_000, 6_000, 10];
        let publications: Vec<_> = sizes.into_iter().map(of_size).collect();
        for (subprotocol, encoded) in [(Subprotocol::Protobuf, 1), (Subprotocol::Json, 4)] {
            let frames = frames(&publications, subprotocol);
            assert_eq!(frames.len(), 4, "{subprotocol:?}");
            assert!(frames[1].len() > 20_000 && frames[2].len() > 15_000);
            assert!(frames[2].len() < encoded * MAX_CHUNK_BYTES);
        }
        assert!(frames(&[], Subprotocol::Protobuf).is_empty());
    }
}
