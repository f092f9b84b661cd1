//! Rules for each Rust file: how it opens, its size, the size of its functions,
//! leftovers of development, silenced lints without a reason, vague names.

use std::path::Component;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{
    File, Finding, VAGUE,
    tokens::{group, is_sign, is_word, walk},
};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// Macros that no committed code calls.
const LEFTOVERS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//!") {
        findings.push(file.finding(
            1,
            "module-docs",
            "does not open with `//!` and what it owns",
        ));
    }
    let lines = file.text.lines().count();
    if lines > MAX_FILE_LINES {
        findings.push(file.finding(
            lines,
            "file-size",
            format!("{lines} lines, {MAX_FILE_LINES} allowed"),
        ));
    }
    for part in file.path.components() {
        let Component::Normal(part) = part else {
            continue;
        };
        let part = part.to_string_lossy();
        let name = part.trim_end_matches(".rs");
        if VAGUE.contains(&name) {
            findings.push(vague(file, 1, name));
        }
    }
    match file.text.parse::<TokenStream>() {
        Ok(tokens) => walk(tokens, &mut |token, rest| {
            findings.extend(check_token(file, token, rest))
        }),
        Err(error) => findings.push(file.finding(1, "syntax", error.to_string())),
    }
    findings
}

fn check_token(file: &File, token: &TokenTree, rest: &[TokenTree]) -> Option<Finding> {
    let line = token.span().start().line;
    match token {
        TokenTree::Punct(punct) if punct.as_char() == '#' => check_attribute(file, line, rest),
        TokenTree::Ident(word) if word == "fn" => check_function(file, line, rest),
        TokenTree::Ident(word) if word == "mod" => match rest.first() {
            Some(TokenTree::Ident(name)) if VAGUE.contains(&name.to_string().as_str()) => {
                Some(vague(file, line, &name.to_string()))
            }
            _ => None,
        },
        TokenTree::Ident(word) if rest.first().is_some_and(|next| is_sign(next, '!')) => {
            LEFTOVERS.contains(&word.to_string().as_str()).then(|| {
                file.finding(
                    line,
                    "leftover",
                    format!("`{word}!` is not for committed code"),
                )
            })
        }
        _ => None,
    }
}

/// From `fn` to the closing brace.
fn check_function(file: &File, line: usize, rest: &[TokenTree]) -> Option<Finding> {
    // A name tells a function from the type of a function pointer.
    let TokenTree::Ident(name) = rest.first()? else {
        return None;
    };
    let end = rest
        .iter()
        .find(|token| is_sign(token, ';') || group(token, Delimiter::Brace).is_some())?;
    let lines = end.span().end().line - line + 1;
    (lines > MAX_FUNCTION_LINES).then(|| {
        file.finding(
            line,
            "function-size",
            format!("`{name}` has {lines} lines, {MAX_FUNCTION_LINES} allowed"),
        )
    })
}

/// `#[allow(…)]` and `#[expect(…)]`, also inside `cfg_attr`, say why.
fn check_attribute(file: &File, line: usize, rest: &[TokenTree]) -> Option<Finding> {
    let attribute = match rest {
        [bang, attribute, ..] if is_sign(bang, '!') => attribute,
        [attribute, ..] => attribute,
        [] => return None,
    };
    let mut finding = None;
    walk(
        group(attribute, Delimiter::Bracket)?.stream(),
        &mut |token, rest| {
            let silences = is_word(token, "allow") || is_word(token, "expect");
            let lints = rest
                .first()
                .and_then(|next| group(next, Delimiter::Parenthesis));
            if silences
                && lints.is_some_and(|lints| {
                    !lints
                        .stream()
                        .into_iter()
                        .any(|one| is_word(&one, "reason"))
                })
            {
                finding = Some(file.finding(
                    line,
                    "lint-reason",
                    format!("`{token}` without `reason = \"…\"`"),
                ));
            }
        },
    );
    finding
}

fn vague(file: &File, line: usize, name: &str) -> Finding {
    file.finding(
        line,
        "vague-name",
        format!("`{name}` says nothing about what is inside"),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::rules, *};

    fn broken(path: &str, text: &str) -> Vec<&'static str> {
        rules(&check(&File::made_up(path, text)))
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_that_keeps_the_rules_has_no_findings() {
        let text = "//! Owns x.\n\n#[expect(dead_code, reason = \"shown\")]\nfn x(f: fn() -> u8) -> u8 {\n    f()\n}\n";
        assert!(broken("crates/a/src/x.rs", text).is_empty());
    }

    #[test]
    fn a_file_opens_with_what_it_owns() {
        assert_eq!(
            broken("a.rs", "use std::fmt;\n//! Late.\n"),
            ["module-docs"]
        );
    }

    #[test]
    fn a_file_ends_before_line_501() {
        assert!(broken("a.rs", &format!("//! A.\n{}", "\n".repeat(499))).is_empty());
        assert_eq!(
            broken("a.rs", &format!("//! A.\n{}", "\n".repeat(500))),
            ["file-size"]
        );
    }

    #[test]
    fn a_function_ends_before_line_71() {
        assert!(broken("a.rs", &format!("//! A.\n{}", function(70))).is_empty());
        assert_eq!(
            broken("a.rs", &format!("//! A.\n{}", function(71))),
            ["function-size"]
        );
    }

    #[test]
    fn methods_nested_functions_and_functions_in_macros_count_too() {
        for around in [
            "impl A",
            "trait A",
            "mod tests",
            "proptest!",
            "fn outer() -> u8",
        ] {
            let text = format!("//! A.\n{around} {{\n{}}}\n", function(71));
            assert!(broken("a.rs", &text).contains(&"function-size"), "{around}");
        }
    }

    #[test]
    fn a_required_method_of_a_trait_has_no_body_to_measure() {
        let text = format!(
            "//! A.\ntrait A {{\n    fn a();\n    const B: u8 = {{\n{}    0\n    }};\n}}\n",
            "\n".repeat(80)
        );
        assert!(broken("a.rs", &text).is_empty());
    }

    #[test]
    fn leftovers_of_development_are_found_also_inside_macros() {
        assert_eq!(broken("a.rs", "//! A.\nfn a() { todo!() }\n"), ["leftover"]);
        assert_eq!(
            broken("a.rs", "//! A.\nfn a() { unimplemented!() }\n"),
            ["leftover"]
        );
        assert_eq!(
            broken("a.rs", "//! A.\nfn a() { println!(\"{}\", dbg!(1)) }\n"),
            ["leftover"]
        );
        assert!(broken("a.rs", "//! A.\n// todo!()\nfn a() { todo() }\n").is_empty());
    }

    #[test]
    fn a_silenced_lint_has_a_reason() {
        assert_eq!(
            broken("a.rs", "//! A.\n#![allow(dead_code)]\n"),
            ["lint-reason"]
        );
        assert_eq!(
            broken("a.rs", "//! A.\n#[expect(dead_code)]\nfn a() {}\n"),
            ["lint-reason"]
        );
        assert_eq!(
            broken(
                "a.rs",
                "//! A.\n#[cfg_attr(test, allow(dead_code))]\nfn a() {}\n"
            ),
            ["lint-reason"]
        );
    }

    #[test]
    fn vague_module_names_are_found() {
        assert_eq!(broken("crates/a/src/utils.rs", "//! A.\n"), ["vague-name"]);
        assert_eq!(broken("crates/a/src/misc/a.rs", "//! A.\n"), ["vague-name"]);
        assert_eq!(
            broken("crates/a/src/a.rs", "//! A.\nmod helpers {}\n"),
            ["vague-name"]
        );
        assert!(broken("crates/a/src/score.rs", "//! A.\n").is_empty());
    }

    #[test]
    fn a_file_that_is_not_rust_is_found() {
        assert_eq!(broken("a.rs", "//! A.\nfn a( {}\n"), ["syntax"]);
    }
}
