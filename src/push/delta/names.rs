//! Names of the log's files, and paths of data files.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The folder of the log.
pub const LOG: &str = "_delta_log";
/// The object that names the newest checkpoint.
pub const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";

/// What a path in the log can't have as it is: it is a URI. Readers decode it once.
const PATH_SET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'&')
    .add(b'+')
    .add(b',')
    .add(b':')
    .add(b';')
    .add(b'@')
    .add(b'$')
    .add(b'!')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*');

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFile {
    Commit(u64),
    /// Part `part` of `parts` of a checkpoint.
    Checkpoint {
        version: u64,
        part: u32,
        parts: u32,
    },
}

impl LogFile {
    #[must_use]
    pub fn version(self) -> u64 {
        match self {
            Self::Commit(version) | Self::Checkpoint { version, .. } => version,
        }
    }
}

/// The object of a commit.
#[must_use]
pub fn commit(version: u64) -> String {
    format!("{LOG}/{version:020}.json")
}

/// The object of part `part` of `parts` of a checkpoint.
#[must_use]
pub fn checkpoint(version: u64, part: u32, parts: u32) -> String {
    if parts == 1 {
        return format!("{LOG}/{version:020}.checkpoint.parquet");
    }
    format!("{LOG}/{version:020}.checkpoint.{part:010}.{parts:010}.parquet")
}

/// The file that a name in the log's folder is; `None` for any other file.
#[must_use]
pub fn parse(name: &str) -> Option<LogFile> {
    let mut parts = name.split('.');
    let version = number(parts.next()?, 20)?;
    // The format's versions are signed.
    i64::try_from(version)
        .ok()
        .filter(|version| *version < i64::MAX)?;
    let rest: Vec<&str> = parts.collect();
    match rest[..] {
        ["json"] => Some(LogFile::Commit(version)),
        ["checkpoint", "parquet"] => Some(LogFile::Checkpoint {
            version,
            part: 1,
            parts: 1,
        }),
        ["checkpoint", part, parts, "parquet"] => {
            let part = u32::try_from(number(part, 10)?).ok()?;
            let parts = u32::try_from(number(parts, 10)?).ok()?;
            (1..=parts).contains(&part).then_some(LogFile::Checkpoint {
                version,
                part,
                parts,
            })
        }
        _ => None,
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// The path of an object as the log has it.
#[must_use]
pub fn encode(path: &str) -> String {
    utf8_percent_encode(path, PATH_SET).to_string()
}

/// The object that a path in the log names, below the table's folder; `None` for a file elsewhere.
#[must_use]
pub fn decode(path: &str) -> Option<String> {
    let is_uri = path.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if is_uri || path.starts_with('/') {
        return None;
    }
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let inside = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(inside).then(|| path.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_log_read_back() {
        assert_eq!(
            parse("00000000000000000012.json"),
            Some(LogFile::Commit(12))
        );
        for (part, parts) in [(1, 1), (2, 3)] {
            let name = checkpoint(40, part, parts);
            let name = name.strip_prefix("_delta_log/").unwrap();
            let version = 40;
            assert_eq!(
                parse(name),
                Some(LogFile::Checkpoint {
                    version,
                    part,
                    parts
                })
            );
        }
        for other in [
            "12.json",
            "0000000000000000001x.json",
            "99999999999999999999.json",
            "09223372036854775807.json",
            "00000000000000000001.checkpoint.0000000004.0000000003.parquet",
            "00000000000000000001.checkpoint.uuid.parquet",
            "00000000000000000001.00000000000000000004.compacted.json",
            "_last_checkpoint",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn paths_are_decoded_once_and_stay_in_the_table() {
        let object = "interval=1m/ticker=BRK%2FB/year=2025/bars é^.parquet";
        let path = encode(object);
        assert_eq!(
            path,
            "interval=1m/ticker=BRK%252FB/year=2025/bars%20%C3%A9%5E.parquet"
        );
        assert_eq!(decode(&path).as_deref(), Some(object));
        for outside in [
            "s3://b/x.parquet",
            "/x",
            "file:/x",
            "a/../x",
            "a//x",
            "a/%2E%2E/x",
            "%FF",
        ] {
            assert_eq!(decode(outside), None, "{outside}");
        }
    }
}
