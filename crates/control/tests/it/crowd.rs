//! Gateways with connections on them.

use wire::{
    ConnectionId,
    gateway::{
        Changed, Connection, ConnectionCount, ConnectionPage, Disconnected, ListConnections,
        Target, command::Command, command_reply::Reply, target::Target as Meant,
    },
};

use crate::plane::gateway;

/// A gateway with so many connections: every second is alice's, every third
/// golden, every fifth in `room.1`.
pub(crate) fn holding(name: &'static str, count: u32) -> impl Fn(Command) -> Option<Reply> {
    let all: Vec<(ConnectionId, Connection)> =
        (0..count).map(|slot| connection(name, slot)).collect();
    move |command| {
        let target = target(&command).and_then(|target| target.target.as_ref());
        let target = target.expect("a target");
        let meant: Vec<_> = all
            .iter()
            .filter(|(_, connection)| is_meant(connection, target))
            .collect();
        let count = meant.len() as u64;
        Some(match command {
            Command::ListConnections(list) => Reply::ConnectionPage(page(&meant, &list)),
            Command::CountConnections(_) => Reply::ConnectionCount(ConnectionCount {
                connections: count,
                users: count.min(2),
            }),
            Command::Subscribe(_) | Command::Unsubscribe(_) => {
                Reply::Changed(Changed { count, refused: 1 })
            }
            _ => Reply::Disconnected(Disconnected { count }),
        })
    }
}

pub(crate) fn connection(name: &str, slot: u32) -> (ConnectionId, Connection) {
    let id = ConnectionId {
        gateway: gateway(name),
        shard: 0,
        slot,
        generation: 1,
    };
    let every = |nth: u32| slot.is_multiple_of(nth);
    let tier = every(3).then(|| ("tier".to_owned(), "gold".to_owned()));
    let room = every(5).then(|| "room.1".to_owned());
    let connection = Connection {
        connection_id: id.to_string(),
        user: if every(2) { "alice" } else { "bob" }.into(),
        connected_at_ms: 1_500,
        channels: room.into_iter().collect(),
        labels: tier.into_iter().collect(),
        session_epoch: 1,
        ..Connection::default()
    };
    (id, connection)
}

fn target(command: &Command) -> Option<&Target> {
    match command {
        Command::ListConnections(list) => list.target.as_ref(),
        Command::CountConnections(count) => count.target.as_ref(),
        Command::Disconnect(disconnect) => disconnect.target.as_ref(),
        Command::Subscribe(subscribe) => subscribe.target.as_ref(),
        Command::Unsubscribe(unsubscribe) => unsubscribe.target.as_ref(),
        _ => None,
    }
}

fn is_meant(connection: &Connection, target: &Meant) -> bool {
    match target {
        Meant::User(user) => connection.user == *user,
        Meant::ConnectionId(id) => connection.connection_id == *id,
        Meant::Everybody(_) => true,
        Meant::SessionId(_) => false,
        Meant::Label(label) => connection.labels.get(&label.name) == Some(&label.value),
    }
}

fn page(meant: &[&(ConnectionId, Connection)], list: &ListConnections) -> ConnectionPage {
    let after: Option<ConnectionId> = list.after_connection_id.parse().ok();
    let is_next = |id: &ConnectionId| after.as_ref().is_none_or(|after| id > after);
    let in_channel = |connection: &Connection| {
        list.channel.is_empty() || connection.channels.contains(&list.channel)
    };
    let mut rest = meant
        .iter()
        .filter(|(id, connection)| is_next(id) && in_channel(connection));
    let page = rest.by_ref().take(list.page_size as usize);
    ConnectionPage {
        connections: page.map(|(_, connection)| connection.clone()).collect(),
        more: rest.next().is_some(),
    }
}
