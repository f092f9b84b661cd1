//! `tidegate key`: keys of callers, and keys that sign tokens.

use auth::{ApiKey, KeyMaterial, KeyPair};
use clap::Subcommand;
use control::CallScopes;
use serde_json::json;

use super::{Failure, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key for a backend, or with --signing one that signs tokens; it is
    /// printed once, and stored nowhere
    New(NewArgs),
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Name of the caller
    #[arg(long, default_value = "backend")]
    name: String,

    /// What it may, e.g. publish:market.>, send, connections.read; repeatable
    #[arg(long = "scope", value_name = "SCOPE", default_value = "admin")]
    scopes: Vec<String>,

    /// Make an Ed25519 key that signs tokens instead, PEM
    #[arg(long, conflicts_with_all = ["name", "scopes"])]
    signing: bool,
}

pub(super) fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Action::New(args) = args.action;
    match args.signing {
        true => signing(json),
        false => caller(&args, json),
    }
}

/// The key goes to stdout, what belongs into the configuration to stderr.
fn caller(args: &NewArgs, json: bool) -> Result<(), Failure> {
    CallScopes::parse(&args.scopes).map_err(Failure::usage)?;
    let key = ApiKey::generate();
    let hash = key.hash().to_string();
    if json {
        let (name, scopes) = (&args.name, &args.scopes);
        let key = key.expose();
        output::line(json!({ "key": key, "name": name, "sha256": hash, "scopes": scopes }))?;
        return Ok(());
    }
    output::line(key.expose())?;
    let text = |text: &str| toml::Value::from(text).to_string();
    let scopes: Vec<_> = args.scopes.iter().map(|scope| text(scope)).collect();
    output::note("for the configuration of the control planes:");
    output::note("[[control.key]]");
    output::note(format_args!("name = {}", text(&args.name)));
    output::note(format_args!("sha256 = {}", text(&hash)));
    output::note(format_args!("scopes = [{}]", scopes.join(", ")));
    Ok(())
}

fn signing(json: bool) -> Result<(), Failure> {
    let KeyPair { signing, verifying } = KeyPair::generate_ed25519("new");
    let pem = signing.private_pem().expect("a new key is a pair");
    let public = verifying.public_key.as_ref().map(KeyMaterial::expose);
    let public = public.unwrap_or_default();
    if json {
        output::line(json!({ "private_key": pem, "public_key": public }))?;
        return Ok(());
    }
    output::line(pem.trim_end())?;
    output::note(
        "put this into a file, and the file into the configuration of the control planes:",
    );
    output::note("[[control.signing_key]]");
    output::note("file = \"/etc/tidegate/signing/1.pem\"");
    output::note(format_args!("its public key: {public}"));
    Ok(())
}
