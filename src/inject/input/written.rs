//! Text that is written while it is read.

use std::fmt::Write as _;
use std::io::{self, Read};

/// A longer line isn't changed, and is too long for the parser.
pub(super) const LINE_BYTES_MAX: u64 = 8 << 20;

/// Writes text in parts of any size.
pub(super) trait WriteText {
    /// Adds the next part; false if there is none. What was added before an error is part of the
    /// text.
    fn write(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// Reads what a [`WriteText`] writes.
pub(super) struct Written<W> {
    writer: W,
    part: Vec<u8>,
    /// The bytes of `part` that were read.
    at: usize,
    failure: Option<io::Error>,
    ended: bool,
}

impl<W: WriteText> Written<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            writer,
            part: Vec::new(),
            at: 0,
            failure: None,
            ended: false,
        }
    }
}

impl<W: WriteText> Read for Written<W> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            if self.ended || into.is_empty() {
                return Ok(0);
            }
            self.part.clear();
            self.at = 0;
            match self.writer.write(&mut self.part) {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
            }
        }
        let count = into.len().min(self.part.len() - self.at);
        into[..count].copy_from_slice(&self.part[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Adds a text as a field of CSV. A line end in it becomes a blank, so that a row is a line.
pub(super) fn write_field(out: &mut Vec<u8>, text: &str) {
    let needs_quotes = |byte: u8| matches!(byte, b',' | b';' | b'\t' | b'|' | b'"' | b'\n' | b'\r');
    if !text.bytes().any(needs_quotes) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\"\""),
            b'\n' | b'\r' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Adds a value as a field that needs no quotes.
pub(super) fn write_plain(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    struct Bytes<'b>(&'b mut Vec<u8>);
    impl std::fmt::Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    // Only a value that can't be formatted fails; the row is a reject then.
    let _ = write!(Bytes(out), "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Parts(Vec<Result<&'static str, &'static str>>);

    impl WriteText for Parts {
        fn write(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
            match self.0.remove(0) {
                Ok(part) => {
                    out.extend_from_slice(part.as_bytes());
                    Ok(!self.0.is_empty())
                }
                Err(why) => {
                    out.extend_from_slice(b"rest");
                    Err(io::Error::other(why))
                }
            }
        }
    }

    #[test]
    fn all_parts_are_read_and_then_the_error() {
        let mut text = String::new();
        let mut whole = Written::new(Parts(vec![Ok("a"), Ok(""), Ok("bc")]));
        whole.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        let mut bytes = Vec::new();
        let mut cut = Written::new(Parts(vec![Ok("a"), Err("cut")]));
        assert_eq!(cut.read_to_end(&mut bytes).unwrap_err().to_string(), "cut");
        assert_eq!(bytes, b"arest");
    }

    #[test]
    fn fields_have_quotes_where_they_need_them() {
        let mut out = Vec::new();
        for text in ["AAPL", "a,b", "5\"", "two\nlines", ""] {
            write_field(&mut out, text);
            out.push(b',');
        }
        assert_eq!(out, b"AAPL,\"a,b\",\"5\"\"\",\"two lines\",,");
    }
}
