//! The committed corpora through the checks of the fuzz targets, and changed copies of
//! them, always the same.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fastrand::Rng;
use fuzzing::TARGETS;

/// Changed copies of each input.
const COPIES: usize = 500;

/// Changed copies grow no longer.
const LONGEST: usize = 4096;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// The committed inputs of a target: whatever a run of it found has a hash as its name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpus().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path.display().to_string();
            (name, fs::read(path).expect("readable"))
        })
        .collect();
    inputs.sort();
    inputs
}

/// A copy with a few bytes changed, added, repeated or left out, or with a piece of
/// another input in it.
fn changed(input: &[u8], other: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut copy = input.to_vec();
    for _ in 0..random.usize(1..8) {
        let at = random.usize(0..=copy.len());
        match random.u8(0..6) {
            0 if at < copy.len() => copy[at] = random.u8(..),
            1 if at < copy.len() => copy[at] ^= 1 << random.u8(0..8),
            2 => copy.insert(at, *random.choice(b"\0\r\n.*>, 0\xff").expect("some")),
            3 => copy.truncate(at),
            4 if !other.is_empty() => {
                let from = random.usize(0..other.len());
                let to = random.usize(from..=other.len());
                drop(copy.splice(at..at, other[from..to].iter().copied()));
            }
            _ if at < copy.len() => drop(copy.remove(at)),
            _ => {}
        }
    }
    copy.truncate(LONGEST);
    copy
}

#[test]
fn every_corpus_has_a_target_and_every_target_a_corpus() {
    for folder in fs::read_dir(corpus()).expect("readable") {
        let name = folder.expect("readable").file_name();
        let is_known = TARGETS.iter().any(|(target, _)| name == *target);
        assert!(is_known, "{name:?} has no target");
    }
    for (target, _) in TARGETS {
        assert!(!inputs(target).is_empty(), "{target} has no corpus");
        let program = corpus().join(format!("../fuzz_targets/{target}.rs"));
        let program = fs::read_to_string(program).expect("a target");
        assert!(program.contains(&format!("\"{target}\"")), "{target}");
    }
}

#[test]
fn committed_inputs_pass() {
    for (target, check) in TARGETS {
        for (name, input) in inputs(target) {
            println!("{name}");
            check(&input);
        }
    }
}

#[test]
fn changed_copies_of_them_pass() {
    for (target, check) in TARGETS {
        let inputs = inputs(target);
        let mut random = Rng::with_seed(42);
        for copy in 0..COPIES * inputs.len() {
            let (name, input) = &inputs[copy % inputs.len()];
            let (_, other) = random.choice(&inputs).expect("some");
            let input = changed(input, other, &mut random);
            println!("{name}, changed: {input:?}");
            check(&input);
        }
    }
}
