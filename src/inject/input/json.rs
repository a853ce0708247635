//! Rows of JSON: a value per line, or one array of values. Each value is an object with the names
//! of columns, or an array of fields.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::written::{LINE_BYTES_MAX, WriteText, write_field};
use crate::inject::columns::{Role, normalise, role_of};
use crate::inject::error::FileError;

/// The first values, whose names are the header.
const HEAD_VALUES: usize = 100;
const HEAD_BYTES: usize = 256 * 1024;
/// A time and four prices.
const FIELDS_MIN: usize = 5;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whether a file that begins with `head` is JSON.
pub(super) fn is_json(head: &[u8]) -> bool {
    let head = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
    match head.split_first() {
        Some((b'{', rest)) => matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')),
        Some((b'[', rest)) => match rest.trim_ascii_start().first() {
            Some(b'{' | b'[' | b']') => true,
            Some(b'"' | b'-' | b'0'..=b'9') => {
                let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
                serde_json::from_slice::<Vec<&RawValue>>(line).is_ok()
            }
            _ => false,
        },
        _ => false,
    }
}

/// Opens the rows of a file.
pub(super) fn open<R: Read + Send>(input: R) -> Result<Rows<R>, FileError> {
    let mut values = Values::new(BufReader::with_capacity(64 * 1024, input))?;
    let (mut head, mut bytes) = (Vec::new(), 0);
    let mut failure = None;
    while head.len() < HEAD_VALUES && bytes < HEAD_BYTES {
        let mut value = Vec::new();
        match values.next(&mut value) {
            Ok(true) => {
                bytes += value.len();
                head.push(value);
            }
            Ok(false) => break,
            Err(error) => {
                head.push(value);
                failure = Some(error);
                break;
            }
        }
    }
    let (mut names, mut widest): (Vec<String>, usize) = (Vec::new(), 0);
    for value in &head {
        match read(value) {
            Some(Value::Object(fields)) => {
                for (name, value) in fields {
                    let is_scalar = !matches!(value.get().as_bytes().first(), Some(b'{' | b'['));
                    if is_scalar && !names.iter().any(|known| *known == *name) {
                        names.push(name.into_owned());
                    }
                }
            }
            Some(Value::Array(fields)) => widest = widest.max(fields.len()),
            None => {}
        }
    }
    if names.len().max(widest) < FIELDS_MIN
        && !head.iter().all(|value| value.trim_ascii().is_empty())
    {
        return Err(FileError::JsonShape);
    }
    head.reverse();
    Ok(Rows {
        values,
        names,
        has_header: false,
        head,
        failure,
    })
}

/// The rows of a file, which are written as lines of CSV.
pub(super) struct Rows<R> {
    values: Values<BufReader<R>>,
    /// The columns; empty if the values are arrays.
    names: Vec<String>,
    has_header: bool,
    /// The first values, the last of them first.
    head: Vec<Vec<u8>>,
    /// Why no value follows `head`.
    failure: Option<io::Error>,
}

impl<R: Read + Send> WriteText for Rows<R> {
    fn write(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if !self.has_header {
            self.has_header = true;
            for (at, name) in self.names.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_field(out, name);
            }
            // Without names an empty line, so that lines have the numbers of rows.
            out.push(b'\n');
            return Ok(true);
        }
        if let Some(value) = self.head.pop() {
            if self.head.is_empty()
                && let Some(error) = self.failure.take()
            {
                write_raw(out, &value);
                return Err(error);
            }
            self.write_row(out, &value);
            return Ok(true);
        }
        let mut value = Vec::new();
        match self.values.next(&mut value) {
            Ok(true) => {
                self.write_row(out, &value);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                write_raw(out, &value);
                Err(error)
            }
        }
    }
}

impl<R> Rows<R> {
    /// Writes a value as a line. What isn't understood stays as it is, and is a reject.
    fn write_row(&self, out: &mut Vec<u8>, value: &[u8]) {
        let (content, end) = match value.strip_suffix(b"\n") {
            Some(content) => (content, true),
            None => (value, false),
        };
        match read(content) {
            Some(Value::Object(fields)) if !self.has_other_column(&fields) => {
                for (at, name) in self.names.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    // Most values have their fields in one order.
                    let usual = fields.get(at).filter(|(known, _)| known == name);
                    let found = usual.or_else(|| fields.iter().find(|(known, _)| known == name));
                    if let Some((_, value)) = found {
                        write_value(out, value.get());
                    }
                }
            }
            Some(Value::Array(fields)) if self.names.is_empty() => {
                for (at, field) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_value(out, field.get());
                }
            }
            _ => write_raw(out, content),
        }
        if end {
            out.push(b'\n');
        }
    }

    /// Whether an object has a value of a bar under a name that the header lacks.
    fn has_other_column(&self, fields: &[(Cow<'_, str>, &RawValue)]) -> bool {
        fields.iter().enumerate().any(|(at, (name, _))| {
            self.names.get(at).is_none_or(|known| known != name)
                && !self.names.iter().any(|known| known == name)
                && role_of(&normalise(name)) != Role::Skip
        })
    }
}

/// Writes a text as it is, on one line.
fn write_raw(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => *byte,
    }));
}

/// Writes a value as a field. Numbers keep their digits.
fn write_value(out: &mut Vec<u8>, value: &str) {
    match value.as_bytes().first() {
        Some(b'"') => {
            if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(value) {
                write_field(out, &text);
            }
        }
        Some(b'n' | b'{' | b'[') => {}
        _ => out.extend_from_slice(value.as_bytes()),
    }
}

/// A value that may be a row.
enum Value<'v> {
    Object(Vec<(Cow<'v, str>, &'v RawValue)>),
    Array(Vec<&'v RawValue>),
}

fn read(text: &[u8]) -> Option<Value<'_>> {
    let text = text.trim_ascii();
    match text.first()? {
        b'{' => {
            let mut json = serde_json::Deserializer::from_slice(text);
            let fields = json.deserialize_map(Fields).ok()?;
            json.end().ok()?;
            Some(Value::Object(fields))
        }
        b'[' => serde_json::from_slice(text).ok().map(Value::Array),
        _ => None,
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(12);
        while let Some((Name(name), value)) = map.next_entry()? {
            fields.push((name, value));
        }
        Ok(fields)
    }
}

/// A name, borrowed if it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

/// The texts of a file's values.
struct Values<R> {
    input: R,
    /// Whether the file is one array; else each line has a value.
    is_array: bool,
    ended: bool,
}

impl<R: BufRead> Values<R> {
    fn new(mut input: R) -> io::Result<Self> {
        if input.fill_buf()?.starts_with(BOM) {
            input.consume(BOM.len());
        }
        let start = input.fill_buf()?.trim_ascii_start();
        let is_array = start.strip_prefix(b"[").is_some_and(|rest| {
            matches!(rest.trim_ascii_start().first(), Some(b'{' | b'[' | b']'))
        });
        if is_array {
            let mut before = Vec::new();
            input.read_until(b'[', &mut before)?;
        }
        Ok(Self {
            input,
            is_array,
            ended: false,
        })
    }

    /// Adds the text of the next value, which ends with a line feed if it is complete; false at the
    /// end.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if self.ended {
            return self.check_end();
        }
        if self.is_array {
            return self.next_element(out);
        }
        Ok(self
            .input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', out)?
            > 0)
    }

    /// Checks that nothing follows the array.
    fn check_end(&mut self) -> io::Result<bool> {
        loop {
            let part = self.input.fill_buf()?;
            if part.is_empty() {
                return Ok(false);
            }
            if !part.trim_ascii().is_empty() {
                let why = "something follows the array";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            let length = part.len();
            self.input.consume(length);
        }
    }

    /// Adds the next element of the array.
    fn next_element(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
        loop {
            let part = self.input.fill_buf()?;
            if part.is_empty() {
                let why = "the array isn't closed";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            let mut end = None;
            for (at, byte) in part.iter().enumerate() {
                if in_text {
                    in_text = is_escaped || *byte != b'"';
                    is_escaped = !is_escaped && *byte == b'\\';
                    continue;
                }
                match byte {
                    b'"' => in_text = true,
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => {
                        end = Some(at);
                        self.ended = *byte == b']';
                        break;
                    }
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            let length = end.unwrap_or(part.len());
            write_raw(out, &part[..length]);
            self.input.consume(length + usize::from(end.is_some()));
            if out.len() as u64 > LINE_BYTES_MAX {
                let why = format!("a value is longer than {LINE_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            if end.is_some() {
                if self.ended && out.trim_ascii().is_empty() {
                    return self.check_end();
                }
                out.push(b'\n');
                return Ok(true);
            }
        }
    }
}
