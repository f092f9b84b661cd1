//! How command lines are understood.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

fn command(line: &str) -> String {
    let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    format!("{:?}", cli.command)
}

#[test]
fn the_tree_of_commands_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn json_stands_anywhere() {
    assert!(parse("tidegate --json connections").expect("before").json);
    assert!(
        parse("tidegate connections count --json")
            .expect("after")
            .json
    );
    assert!(!parse("tidegate connections").expect("absent").json);
}

#[test]
fn connections_alone_lists_them() {
    let listed = command("tidegate connections --user alice --limit 5");
    assert!(listed.contains("action: None"), "{listed}");
    assert!(listed.contains(r#"user: "alice", limit: 5"#), "{listed}");
    let listed = command("tidegate connections list --limit 5");
    assert!(listed.contains("action: Some(List"), "{listed}");
}

#[test]
fn durations_have_units() {
    let token = command("tidegate token --user alice --lifetime 90m");
    assert!(token.contains("lifetime: 5400s"), "{token}");
    assert!(parse("tidegate token --user alice --lifetime soon").is_err());
}

#[test]
fn labels_are_names_and_values() {
    let token = command("tidegate token --user alice --label tier=gold --label note=a=b");
    for label in [
        r#"name: "tier", value: "gold""#,
        r#"name: "note", value: "a=b""#,
    ] {
        assert!(token.contains(label), "{token}");
    }
    assert!(parse("tidegate token --user alice --label tier").is_err());
}

#[test]
fn a_send_has_one_target() {
    assert!(parse("tidegate send --user alice hello").is_ok());
    assert!(parse("tidegate send --connection gw1-0-0-1 hello").is_ok());
    assert!(parse("tidegate send --session ab hello --level acknowledged").is_ok());
    let labelled = command("tidegate send --label tier=a=b hello");
    assert!(
        labelled.contains(r#"name: "tier", value: "a=b""#),
        "{labelled}"
    );
    assert!(parse("tidegate send hello").is_err());
    assert!(parse("tidegate send --label gold hello").is_err());
    assert!(parse("tidegate send --user alice --connection gw1-0-0-1 hello").is_err());
    assert!(parse("tidegate send --user alice --label tier=gold hello").is_err());
    assert!(parse("tidegate broadcast hello --timeout 2s").is_ok());
    assert!(parse("tidegate broadcast --user alice hello").is_err());
}

#[test]
fn connections_are_changed_one_target_at_a_time() {
    assert!(parse("tidegate connections disconnect --label tier=gold --code 4050").is_ok());
    assert!(parse("tidegate connections disconnect").is_err());
    for action in ["subscribe", "unsubscribe"] {
        assert!(
            parse(&format!(
                "tidegate connections {action} room.1 --user alice"
            ))
            .is_ok()
        );
        assert!(
            parse(&format!(
                "tidegate connections {action} room.1 --session ab"
            ))
            .is_ok()
        );
        assert!(parse(&format!("tidegate connections {action} room.1")).is_err());
        assert!(parse(&format!("tidegate connections {action} --user alice")).is_err());
    }
}

#[test]
fn filters_of_a_list_go_together_and_those_of_a_count_do_not() {
    let filters = "--user alice --label tier=gold --gateway gw-1 --channel room.1";
    assert!(parse(&format!("tidegate connections {filters}")).is_ok());
    assert!(parse(&format!("tidegate connections list {filters}")).is_ok());
    assert!(parse("tidegate connections count --label tier=gold").is_ok());
    assert!(parse("tidegate connections count --label tier=gold --user alice").is_err());
}

#[test]
fn a_drain_names_its_gateway() {
    assert!(parse("tidegate gateways").is_ok());
    assert!(parse("tidegate drain gw-1").is_ok());
    assert!(parse("tidegate drain").is_err());
}

#[test]
fn a_payload_has_one_source() {
    assert!(parse("tidegate publish demo.a -").is_ok());
    assert!(parse("tidegate publish demo.a --file x").is_ok());
    assert!(parse("tidegate publish demo.a text --file x").is_err());
    assert!(parse("tidegate publish demo.a text --lines").is_err());
    assert!(parse("tidegate publish demo.a text --id 1 --count 2").is_err());
}

#[test]
fn several_channels_are_one_subscription_each() {
    let subscribe = command("tidegate subscribe demo.a demo.b --count 3");
    assert!(
        subscribe.contains(r#"channels: ["demo.a", "demo.b"]"#),
        "{subscribe}"
    );
    assert!(subscribe.contains("count: Some(3)"), "{subscribe}");
    assert!(parse("tidegate subscribe").is_err());
    assert!(parse("tidegate subscribe demo.a --raw --json").is_err());
}

#[test]
fn secrets_never_show_in_help() {
    let mut tree = Cli::command();
    tree.build();
    let help = tree
        .find_subcommand_mut("subscribe")
        .expect("a command")
        .render_long_help();
    assert!(help.to_string().contains("[env: TIDEGATE_TOKEN]"), "{help}");
}
