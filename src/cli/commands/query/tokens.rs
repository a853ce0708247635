//! The words and marks of an SQL text: only what is needed to find a clause.

/// A word or a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Its text. Empty for a text literal, a quoted name and a number.
    pub text: &'a str,
    /// Where it ends.
    pub end: usize,
    /// The number of open parentheses around it. A parenthesis has the depth outside it.
    pub depth: usize,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

/// The tokens of a text, without comments.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let mut length = first.len_utf8();
        let mut text = "";
        if first.is_whitespace() {
            at += length;
            continue;
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if rest.starts_with("/*") {
            at += comment(rest);
            continue;
        } else if first == '\'' || first == '"' {
            length = quoted(rest, first, false);
        } else if rest.len() > 1 && first.eq_ignore_ascii_case(&'e') && rest[1..].starts_with('\'')
        {
            length = 1 + quoted(&rest[1..], '\'', true);
        } else if let Some(dollars) = dollar_quoted(rest) {
            length = dollars;
        } else if first.is_ascii_digit() {
            length = word(rest);
        } else if is_word(first) {
            length = word(rest);
            text = &rest[..length];
        } else {
            text = &rest[..length];
        }
        depth = depth.saturating_sub(usize::from(first == ')'));
        tokens.push(Token {
            text,
            end: at + length,
            depth,
        });
        depth += usize::from(first == '(');
        at += length;
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(rest: &str) -> usize {
    let end = |letter: char| !is_word(letter) && letter != '$';
    rest.find(end).unwrap_or(rest.len())
}

/// The length of a comment, which may contain others.
fn comment(rest: &str) -> usize {
    let (mut at, mut open) = (0, 0);
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            open += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            open -= 1;
            at += 2;
            if open == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of a quoted text. A doubled quote doesn't end it.
fn quoted(rest: &str, quote: char, has_escapes: bool) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' && has_escapes {
            letters.next();
        } else if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    rest.len()
}

/// The length of a text between `$$` or `$name$`.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag_end = rest.strip_prefix('$')?.find('$')? + 2;
    let tag = &rest[..tag_end];
    if !tag[1..tag_end - 1].chars().all(is_word) {
        return None;
    }
    let length = rest[tag_end..].find(tag).map(|at| tag_end + at + tag_end);
    Some(length.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_hide_words() {
        let words = |sql| -> Vec<(&str, usize)> {
            let tokens = tokens(sql).into_iter();
            tokens.map(|token| (token.text, token.depth)).collect()
        };
        assert_eq!(
            words("Pivot (a) /* on /* */ on */ ON 'x''on' -- on\n\"o\"\"n\", 12on"),
            [
                ("Pivot", 0),
                ("(", 0),
                ("a", 1),
                (")", 0),
                ("ON", 0),
                ("", 0),
                ("", 0),
                (",", 0),
                ("", 0)
            ]
        );
        assert_eq!(words("$$ on $$ $t$ $$ on $t$ e'\\'on' a$b"), {
            [("", 0), ("", 0), ("", 0), ("a$b", 0)]
        });
        // Texts that don't end.
        for sql in ["'on", "\"on", "$$on", "/* on", "e'on\\", ") )", "$a"] {
            assert!(!tokens(sql).iter().any(|token| token.is("on")), "{sql}");
        }
    }
}
