//! The names of a query's columns. DuckDB names an expression after its whole text.

use std::collections::{HashMap, HashSet};

/// Names for columns that DuckDB calls `names`. An alias stays as it is. An expression gets a short
/// name, or a longer one if two columns would have the same. Equal names get numbers, because JSON
/// and data frames have no place for two.
pub(super) fn of_columns(names: &[&str], aliases: &[String]) -> Vec<String> {
    let aliases: HashSet<&str> = aliases.iter().map(String::as_str).collect();
    let shortened: Vec<String> = (names.iter())
        .map(|name| match aliases.contains(name) {
            true => (*name).to_owned(),
            false => short(name),
        })
        .collect();
    // The name that a short one was first made of.
    let mut origins: HashMap<&str, &str> = HashMap::new();
    let mut ambiguous: HashSet<&str> = HashSet::new();
    for (short, name) in shortened.iter().zip(names) {
        if origins.entry(short).or_insert(name) != name {
            ambiguous.insert(short);
        }
    }
    let mut taken: HashSet<String> = HashSet::new();
    let mut unique = Vec::with_capacity(names.len());
    for (short, name) in shortened.iter().zip(names) {
        let chosen = match ambiguous.contains(short.as_str()) && !aliases.contains(name) {
            true => without_quotes(name),
            false => short.clone(),
        };
        let mut name = chosen.clone();
        let mut number = 0;
        while taken.contains(&name) || (number > 0 && origins.contains_key(name.as_str())) {
            number += 1;
            name = format!("{chosen}_{number}");
        }
        taken.insert(name.clone());
        unique.push(name);
    }
    unique
}

/// The name of an expression without what hardly distinguishes it: `last(close)` for
/// `"last"("close" ORDER BY "timestamp")`.
fn short(name: &str) -> String {
    let name = without_quotes(name);
    if name == "count_star()" {
        return "count(*)".to_owned();
    }
    let Some(inner) = name.strip_suffix(')') else {
        return name;
    };
    let Some(open) = inner.find('(') else {
        return name;
    };
    let (function, arguments) = (&inner[..open], &inner[open + 1..]);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let Some(order) = top_level(arguments).filter(|_| function.chars().all(is_word)) else {
        return name;
    };
    let kept = &arguments[..order.unwrap_or(arguments.len())];
    match function {
        "" => kept.to_owned(),
        _ => format!("{function}({kept})"),
    }
}

/// Where ` ORDER BY ` is in the arguments of a function, if it is there; `None` if its parenthesis
/// ends earlier, as in `(a) + (b)`.
fn top_level(arguments: &str) -> Option<Option<usize>> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut order = None;
    for (at, c) in arguments.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = (open != c).then_some(open),
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1)?,
            (None, ' ') if depth == 0 && arguments[at..].starts_with(" ORDER BY ") => {
                order = order.or(Some(at));
            }
            _ => {}
        }
    }
    Some(order)
}

/// The name that DuckDB makes of an expression, without quotes around plain words:
/// `last(close ORDER BY timestamp)`. Any other name is returned as it is.
fn without_quotes(name: &str) -> String {
    if !name.contains('(') {
        return name.to_owned();
    }
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = &rest[at..=at];
        let Some(length) = rest[at + 1..].find(quote) else {
            break;
        };
        let quoted = &rest[at..at + length + 2];
        let word = &quoted[1..=length];
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if quote == "\"" && length > 0 && word.chars().all(is_plain) {
            text.push_str(&rest[..at]);
            text.push_str(word);
        } else {
            text.push_str(&rest[..at + length + 2]);
        }
        rest = &rest[at + length + 2..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_expressions_have_no_needless_quotes() {
        for (name, expected) in [
            (
                "\"last\"(\"close\" ORDER BY \"timestamp\")",
                "last(close ORDER BY timestamp)",
            ),
            ("max(\"a b\")", "max(\"a b\")"),
            ("concat('\"x\"', \"y\")", "concat('\"x\"', y)"),
            ("concat('it''s \"x\"')", "concat('it''s \"x\"')"),
            ("\"close\"", "\"close\""),
            ("f(\"", "f(\""),
            ("count_star()", "count_star()"),
        ] {
            assert_eq!(without_quotes(name), expected);
        }
    }

    #[test]
    fn an_expression_has_a_short_name() {
        for (name, expected) in [
            ("\"last\"(\"close\" ORDER BY \"timestamp\")", "last(close)"),
            ("first(\"open\" ORDER BY a, b DESC)", "first(open)"),
            ("A_last(\"close\" ORDER BY \"timestamp\")", "A_last(close)"),
            ("count_star()", "count(*)"),
            ("(\"close\" - \"open\")", "close - open"),
            ("(a) + (b)", "(a) + (b)"),
            ("((a) + (b))", "(a) + (b)"),
            ("max(f(x ORDER BY y))", "max(f(x ORDER BY y))"),
            ("max(' ORDER BY ')", "max(' ORDER BY ')"),
            (
                "lag(\"close\") OVER (PARTITION BY a ORDER BY b)",
                "lag(close) OVER (PARTITION BY a ORDER BY b)",
            ),
            ("now()", "now()"),
            ("f(", "f("),
            (")", ")"),
            ("close", "close"),
        ] {
            assert_eq!(short(name), expected);
        }
    }

    #[test]
    fn names_differ_and_an_alias_stays() {
        let named = |names: &[&str], aliases: &[&str]| {
            let aliases: Vec<String> = aliases.iter().map(|&name| name.to_owned()).collect();
            of_columns(names, &aliases)
        };
        assert_eq!(
            named(
                &["last(a ORDER BY b)", "last(a ORDER BY c)", "count_star()"],
                &[]
            ),
            ["last(a ORDER BY b)", "last(a ORDER BY c)", "count(*)"]
        );
        assert_eq!(
            named(&["last(a ORDER BY b)", "last(a)"], &["last(a)"]),
            ["last(a ORDER BY b)", "last(a)"]
        );
        assert_eq!(
            named(&["(\"a\")", "(\"a\")"], &["(\"a\")"]),
            ["(\"a\")", "(\"a\")_1"]
        );
        assert_eq!(
            named(&["a", "a", "a_1", "a", "max(a)", "max(a)"], &[]),
            ["a", "a_2", "a_1", "a_3", "max(a)", "max(a)_1"]
        );
    }
}
