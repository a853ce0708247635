//! Reads a body in the form that the service usually sends: an array of flat objects with six
//! members, always in the same order.
//!
//! It is read in one pass over its bytes. **Any deviation ends the reading**: the caller then reads
//! the body as JSON in general, which also finds out what is wrong with it.

use crate::model::decimal::{peek, scan};

/// The members of an object after its date.
const NUMBERS: [&[u8]; 5] = [b"open", b"low", b"high", b"close", b"volume"];
/// The length of `2025-02-04 15:59:00`.
const DATE_BYTES: usize = 19;

/// The values of one object: its date as it is written, then open, low, high, close and volume.
pub(super) struct PlainRow<'a> {
    pub date: &'a str,
    pub numbers: [f64; 5],
}

/// Calls `push` with each object of `body`. `None` if the body has another form or `push` returns
/// `None`.
pub(super) fn rows<'a>(
    body: &'a [u8],
    mut push: impl FnMut(&PlainRow<'a>) -> Option<()>,
) -> Option<()> {
    let mut reader = Reader { body, at: 0 };
    reader.token(b'[')?;
    if reader.token(b']').is_none() {
        loop {
            push(&reader.row()?)?;
            if reader.token(b',').is_none() {
                reader.token(b']')?;
                break;
            }
        }
    }
    reader.skip_blanks();
    (reader.at == body.len()).then_some(())
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn row(&mut self) -> Option<PlainRow<'a>> {
        self.token(b'{')?;
        self.name(b"date")?;
        let date = self.date()?;
        let mut numbers = [0.0; 5];
        for (name, number) in NUMBERS.iter().zip(&mut numbers) {
            self.token(b',')?;
            self.name(name)?;
            *number = self.number()?;
        }
        self.token(b'}')?;
        Some(PlainRow { date, numbers })
    }

    /// Skips a name and its colon.
    fn name(&mut self, name: &[u8]) -> Option<()> {
        self.token(b'"')?;
        let rest = self.body[self.at..].strip_prefix(name)?;
        self.at += name.len();
        if rest.first() != Some(&b'"') {
            return None;
        }
        self.at += 1;
        self.token(b':')
    }

    fn date(&mut self) -> Option<&'a str> {
        self.token(b'"')?;
        let date = self.body.get(self.at..self.at + DATE_BYTES)?;
        // An escape means another letter than the one written.
        let is_plain = date.iter().all(|byte| !matches!(byte, b'"' | b'\\'));
        if !is_plain || peek(self.body, self.at + DATE_BYTES) != b'"' {
            return None;
        }
        self.at += DATE_BYTES + 1;
        std::str::from_utf8(date).ok()
    }

    /// A number of digits with at most one point, as JSON allows it.
    fn number(&mut self) -> Option<f64> {
        self.skip_blanks();
        let (value, end) = scan(self.body, self.at).or_else(|| self.long_number())?;
        let (first, second) = (peek(self.body, self.at), peek(self.body, self.at + 1));
        let is_json = first.is_ascii_digit()
            && !(first == b'0' && second.is_ascii_digit())
            && self.body[end - 1] != b'.';
        self.at = end;
        is_json.then_some(value)
    }

    /// A number with too many digits for [`scan`], as many volumes have.
    fn long_number(&self) -> Option<(f64, usize)> {
        let rest = &self.body[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let len = rest.iter().take_while(|byte| is_part(byte)).count();
        let value = std::str::from_utf8(&rest[..len]).ok()?.parse().ok()?;
        Some((value, self.at + len))
    }

    /// Skips blanks and then `byte`; only the blanks if another byte follows.
    fn token(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        if self.body.get(self.at) != Some(&byte) {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn skip_blanks(&mut self) {
        while matches!(self.body.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}
