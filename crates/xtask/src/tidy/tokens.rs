//! Walks the tokens of a Rust file, those inside macro calls included.
//!
//! A syntax tree would not see into `proptest! { … }`; the rules of this
//! module's users need no more than neighbouring tokens.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Calls `visit` for each token with the tokens that follow it in its group.
pub(super) fn walk(stream: TokenStream, visit: &mut impl FnMut(&TokenTree, &[TokenTree])) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        visit(token, &tokens[index + 1..]);
        if let TokenTree::Group(group) = token {
            walk(group.stream(), visit);
        }
    }
}

/// Whether the token is this word.
pub(super) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// Whether the token is this sign.
pub(super) fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The group, if the token is one in such brackets.
pub(super) fn group(token: &TokenTree, delimiter: Delimiter) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// What is between the quotes of a string literal, escapes as written.
pub(super) fn string(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    let text = literal.to_string();
    let quoted = text.trim_start_matches('r').trim_matches('#');
    Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}
