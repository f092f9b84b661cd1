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
fn a_send_has_one_target() {
    assert!(parse("tidegate send --user alice hello").is_ok());
    assert!(parse("tidegate send --connection gw1-0-0-1 hello").is_ok());
    assert!(parse("tidegate send hello").is_err());
    assert!(parse("tidegate send --user alice --connection gw1-0-0-1 hello").is_err());
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
