//! Relative links in Markdown lead to files that exist.

use std::path::Path;

use super::{File, Finding};

/// Checks the links of one page.
pub(super) fn check(file: &File, root: &Path) -> Vec<Finding> {
    let folder = root.join(file.path.parent().unwrap_or(Path::new("")));
    links(&file.text)
        .into_iter()
        .filter(|(_, target)| !folder.join(target).exists())
        .map(|(line, target)| file.finding(line, "dead-link", format!("`{target}` does not exist")))
        .collect()
}

/// The relative targets with their lines; code and fragments left out.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every other part between back-quotes is code.
        for prose in line.split('`').step_by(2) {
            let targets = prose
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ']).next());
            let files =
                targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
            let files = files
                .filter_map(|target| target.split('#').next())
                .filter(|target| !target.is_empty());
            found.extend(files.map(|target| (index + 1, target)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{super::rules, *};

    #[test]
    fn targets_are_found_with_their_lines() {
        let text = "[a](b.md)\n\nand [c](../d.md#part \"title\"), [e](f.png)";
        assert_eq!(links(text), [(1, "b.md"), (3, "../d.md"), (3, "f.png")]);
    }

    #[test]
    fn addresses_fragments_and_code_are_left_out() {
        let text = "[a](https://example.org/x) [b](#here) [m](mailto:a@b) `[c](d.md)`\n```\n[e](f.md)\n```\n";
        assert!(links(text).is_empty());
    }

    #[test]
    fn a_link_to_nowhere_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = File::made_up("src/page.md", "[here](../Cargo.toml) [nowhere](nowhere.md)");
        let findings = check(&page, root);
        assert_eq!(rules(&findings), ["dead-link"]);
        assert!(findings[0].message.contains("nowhere.md"));
    }
}
