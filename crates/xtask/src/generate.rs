//! Generates Rust code from `proto/`, with protox in place of a system protoc, and
//! what is made from the tables of metrics.
//!
//! Messages go to `crates/wire/src/generated`, service stubs and the descriptor
//! set for reflection to `crates/control/src/generated`. With `--check` nothing
//! is written: the command fails if what is committed differs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost_types::FileDescriptorSet;

use crate::metric_tables;

const MESSAGES: &str = "crates/wire/src/generated";
const SERVICES: &str = "crates/control/src/generated";

/// Runs the generation; `check` compares instead of writing.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let scratch = root.join("target/gen");
    let (messages, services) = (scratch.join("messages"), scratch.join("services"));
    let (pages, list) = (scratch.join("pages"), scratch.join("list"));
    for dir in [&messages, &services, &pages, &list] {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
    }
    let descriptors = compile(root)?;
    generate_messages(&descriptors, &messages)?;
    generate_services(&descriptors, &services)?;
    metric_tables::generate(root, &pages, &list)?;
    settle(&messages, &root.join(MESSAGES), check)?;
    settle(&services, &root.join(SERVICES), check)?;
    settle(&pages, &root.join(metric_tables::PAGES), check)?;
    settle(&list, &root.join(metric_tables::LIST), check)
}

fn compile(root: &Path) -> Result<FileDescriptorSet> {
    let proto = root.join("proto");
    let mut files = Vec::new();
    collect(&proto, "proto", &mut files)?;
    files.sort();
    protox::compile(&files, [&proto]).context("proto/ does not compile")
}

fn collect(dir: &Path, extension: &str, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, into)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
    Ok(())
}

fn generate_messages(descriptors: &FileDescriptorSet, out: &Path) -> Result<()> {
    let config = || {
        let mut config = prost_build::Config::new();
        // The largest and rarest event: boxed, or every event is as large.
        let hello = ".tidegate.client.v1.ClientEvent.event.hello";
        config
            .bytes(["."])
            .enable_type_names()
            .boxed(hello)
            // They hold tokens: `wire` says what of them is printed.
            .skip_debug([".tidegate.client.v1.Hello", ".tidegate.client.v1.Refresh"])
            .out_dir(out);
        config
    };
    // Gateways answer with messages of the control plane's, which lie beside theirs.
    config()
        .extern_path(".tidegate.control.v1", "crate::control")
        .compile_fds(descriptors.clone())?;
    let (mut others, gateway) = (descriptors.clone(), "tidegate.gateway.v1");
    others.file.retain(|file| file.package() != gateway);
    config().compile_fds(others)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors.encode_to_vec())?
        .out_dir(out)
        .build(&[".tidegate.client"])?;
    Ok(())
}

fn generate_services(descriptors: &FileDescriptorSet, out: &Path) -> Result<()> {
    tonic_prost_build::configure()
        .extern_path(".tidegate.control.v1", "::wire::control")
        .out_dir(out)
        .compile_fds(descriptors.clone())?;
    fs::remove_file(out.join("tidegate.client.v1.rs"))?;
    fs::remove_file(out.join("tidegate.gateway.v1.rs"))?;
    fs::remove_file(out.join("tidegate.worker.v1.rs"))?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}

/// Moves fresh output into place, or with `check` fails if it differs.
fn settle(fresh: &Path, committed: &Path, check: bool) -> Result<()> {
    fs::create_dir_all(committed)?;
    for entry in fs::read_dir(fresh)? {
        let path = entry?.path();
        let name = path.file_name().context("generated file without a name")?;
        let new = fs::read(&path)?;
        let target = committed.join(name);
        if check {
            let old = fs::read(&target).unwrap_or_default();
            ensure!(
                old == new,
                "{} is out of date: run `cargo xtask gen`",
                target.display()
            );
        } else {
            fs::write(&target, new)?;
        }
    }
    Ok(())
}
