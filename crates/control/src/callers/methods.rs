//! What each method needs, and which calls are written down: one table.

use std::collections::HashMap;

use super::CallScope;

/// What a caller must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: probes have no credentials.
    Nothing,
    /// Credentials, whatever they are for.
    Credentials,
    /// A scope.
    Scope(CallScope),
}

/// Which calls the audit log has, beside those that were denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audited {
    /// All: they change something, or show what is private.
    Calls,
    /// None: there are thousands a second, or polls, and they change nothing that
    /// lasts; metrics count them.
    Denials,
}

/// What holds for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) needs: Needs,
    pub(super) audited: Audited,
}

/// The rules by path.
pub(super) type Rules = HashMap<&'static str, Rule>;

/// Every method of every service behind the port.
const TABLE: &[(&str, Needs, Audited)] = {
    use Audited::{Calls, Denials};
    use CallScope as C;
    use Needs::{Credentials, Nothing, Scope};
    &[
        (
            "/tidegate.control.v1.PublishService/Publish",
            Scope(C::Publish),
            Denials,
        ),
        (
            "/tidegate.control.v1.PublishService/PublishBatch",
            Scope(C::Publish),
            Denials,
        ),
        (
            "/tidegate.control.v1.PublishService/PublishStream",
            Scope(C::Publish),
            Denials,
        ),
        (
            "/tidegate.control.v1.SendService/Send",
            Scope(C::Send),
            Denials,
        ),
        (
            "/tidegate.control.v1.SendService/Broadcast",
            Scope(C::Broadcast),
            Calls,
        ),
        (
            "/tidegate.control.v1.SendService/Mailbox",
            Scope(C::MailboxesRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.ConnectionService/GetConnection",
            Scope(C::ConnectionsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.ConnectionService/ListConnections",
            Scope(C::ConnectionsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.ConnectionService/CountConnections",
            Scope(C::ConnectionsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.ConnectionService/Watch",
            Scope(C::ConnectionsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.ConnectionService/Explain",
            Scope(C::ConnectionsRead),
            Calls,
        ),
        (
            "/tidegate.control.v1.ConnectionService/Disconnect",
            Scope(C::ConnectionsWrite),
            Calls,
        ),
        (
            "/tidegate.control.v1.ConnectionService/Subscribe",
            Scope(C::ConnectionsWrite),
            Calls,
        ),
        (
            "/tidegate.control.v1.ConnectionService/Unsubscribe",
            Scope(C::ConnectionsWrite),
            Calls,
        ),
        (
            "/tidegate.control.v1.ChannelService/History",
            Scope(C::ChannelsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.ChannelService/Presence",
            Scope(C::ChannelsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.WillService/ListWills",
            Scope(C::WillsRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.GatewayService/ListGateways",
            Scope(C::GatewaysRead),
            Denials,
        ),
        (
            "/tidegate.control.v1.GatewayService/DrainGateway",
            Scope(C::GatewaysWrite),
            Calls,
        ),
        (
            "/tidegate.control.v1.AuthService/IssueToken",
            Scope(C::TokensIssue),
            Calls,
        ),
        (
            "/tidegate.control.v1.AuthService/RevokeToken",
            Scope(C::TokensRevoke),
            Calls,
        ),
        (
            "/tidegate.control.v1.AuthService/RevokeUser",
            Scope(C::TokensRevoke),
            Calls,
        ),
        (
            "/tidegate.control.v1.AuthService/RevokeSession",
            Scope(C::TokensRevoke),
            Calls,
        ),
        (
            "/tidegate.control.v1.AuthService/Introspect",
            Scope(C::TokensIntrospect),
            Calls,
        ),
        (
            "/tidegate.control.v1.AuthService/Jwks",
            Credentials,
            Denials,
        ),
        ("/grpc.health.v1.Health/Check", Nothing, Denials),
        ("/grpc.health.v1.Health/Watch", Nothing, Denials),
        ("/grpc.health.v1.Health/List", Nothing, Denials),
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            Credentials,
            Denials,
        ),
        (
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            Credentials,
            Denials,
        ),
    ]
};

/// The table, to look methods up in.
pub(super) fn rules() -> Rules {
    let rule = |&(path, needs, audited)| (path, Rule { needs, audited });
    TABLE.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::generated::DESCRIPTORS;

    #[test]
    fn every_method_of_ours_needs_a_scope_or_credentials() {
        let rules = rules();
        let descriptors = FileDescriptorSet::decode(DESCRIPTORS).expect("generated");
        let mut ours = Vec::new();
        for file in &descriptors.file {
            for service in &file.service {
                let path = |name| format!("/{}.{}/{name}", file.package(), service.name());
                ours.extend(service.method.iter().map(|method| path(method.name())));
            }
        }
        for path in &ours {
            let rule = rules.get(&**path).unwrap_or_else(|| panic!("{path}"));
            assert_ne!(rule.needs, Needs::Nothing, "{path}");
        }
        let mut in_table: Vec<_> = rules.into_keys().collect();
        in_table.retain(|path| path.starts_with("/tidegate."));
        in_table.sort_unstable();
        ours.sort_unstable();
        assert_eq!(in_table, ours, "and no method that is none");
    }

    #[test]
    fn the_documentation_has_the_table() {
        let page = include_str!("../../../../docs/control-plane-auth.md");
        for scope in CallScope::ALL {
            let needing = TABLE
                .iter()
                .filter(|(_, needs, _)| *needs == Needs::Scope(scope));
            let names: Vec<_> = needing
                .map(|(path, ..)| path.rsplit_once('/').expect("a path").1)
                .collect();
            let begins = format!("| `{scope}` | {} |", names.join(", "));
            assert!(
                page.contains(&begins),
                "docs/control-plane-auth.md: {begins}"
            );
        }
    }
}
