//! `--file NAME=PATH`: views over the user's own files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::message::one_line;
use crate::cli::args::FileArg;
use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Columns that are read as text: `007` is a ticker, not a number.
const TEXT_COLUMNS: [&str; 2] = ["ticker", "symbol"];
/// Enough of a file to see what it is.
const HEAD: u64 = 4096;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Parquet,
    /// CSV, compressed as DuckDB names it.
    Csv(&'static str),
}

impl Form {
    fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PAR1") {
            Some(Self::Parquet)
        } else if head.starts_with(&[0x1f, 0x8b]) {
            Some(Self::Csv("gzip"))
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Self::Csv("zstd"))
        } else if head.is_empty() || head.contains(&0) {
            None
        } else {
            Some(Self::Csv("none"))
        }
    }
}

/// A file that was checked.
pub(super) struct UserFile {
    arg: FileArg,
    /// Absolute, with links followed.
    real: PathBuf,
    form: Form,
}

/// Checks the files of the command line. None is a pipe or a device: DuckDB reads a file more than
/// once.
pub(super) fn check(context: &Context, args: Vec<FileArg>) -> Result<Vec<UserFile>, CliError> {
    let mut files: Vec<UserFile> = Vec::new();
    for arg in args {
        let same = |file: &UserFile| file.arg.name.eq_ignore_ascii_case(&arg.name);
        if files.iter().any(same) {
            return Err(CliError::usage(format!(
                "the name {} is given to two files",
                arg.name
            )));
        }
        context.outside_stores(&arg.path).map_err(|error| {
            CliError::usage(format!("{}: {error}", arg.name))
                .hint("bars of the store are in the view bars; --file is for other files")
        })?;
        files.push(UserFile::open(arg)?);
    }
    Ok(files)
}

impl UserFile {
    fn open(arg: FileArg) -> Result<Self, CliError> {
        let wrong = |why: &dyn std::fmt::Display| {
            CliError::usage(format!("{}: {}: {why}", arg.name, arg.path.display()))
        };
        let metadata = arg.path.metadata().map_err(|error| wrong(&error))?;
        if metadata.is_dir() {
            return Err(wrong(&"it is a folder, not a file"));
        }
        if !metadata.is_file() {
            return Err(wrong(&"it is a pipe or a device, not a file")
                .hint("copy it into a file first: a query may read it more than once"));
        }
        let real = arg.path.canonicalize().map_err(|error| wrong(&error))?;
        if real.to_str().is_none() {
            return Err(wrong(&"its path isn't valid UTF-8"));
        }
        let mut head = Vec::new();
        File::open(&real)
            .and_then(|file| file.take(HEAD).read_to_end(&mut head))
            .map_err(|error| wrong(&error))?;
        let form = Form::of(&head).ok_or_else(|| wrong(&"it isn't a CSV or Parquet file"))?;
        Ok(Self { arg, real, form })
    }

    /// The paths that DuckDB must be allowed to read: the file's, and the pattern that only it
    /// matches.
    pub fn paths(&self) -> [String; 2] {
        [self.real.display().to_string(), pattern(&self.real)]
    }

    /// Makes the view.
    pub fn create(&self, connection: &Connection) -> Result<(), CliError> {
        let wrong = |error: duckdb::Error| {
            let (name, path) = (&self.arg.name, self.arg.path.display());
            CliError::failed(format!("{name}: {path}: {}", one_line(&error)))
        };
        let path = text(&pattern(&self.real));
        let make = |source: &str| {
            let name = &self.arg.name;
            let sql = format!("CREATE OR REPLACE TEMP VIEW \"{name}\" AS SELECT * FROM {source}");
            connection.execute_batch(&sql).map_err(wrong)
        };
        let compression = match self.form {
            Form::Parquet => {
                return make(&format!("read_parquet({path}, hive_partitioning = false)"));
            }
            Form::Csv(compression) => compression,
        };
        let csv = |types: &str| {
            format!(
                "read_csv({path}, compression = '{compression}', hive_partitioning = false{types})"
            )
        };
        make(&csv(""))?;
        let columns = self.text_columns(connection).map_err(wrong)?;
        if columns.is_empty() {
            return Ok(());
        }
        let types = columns
            .iter()
            .map(|name| format!("{}: 'VARCHAR'", text(name)));
        let types: Vec<String> = types.collect();
        make(&csv(&format!(", types = {{{}}}", types.join(", "))))
    }

    /// The columns that must be text and aren't.
    fn text_columns(&self, connection: &Connection) -> Result<Vec<String>, duckdb::Error> {
        let mut statement = connection.prepare(&format!(
            "SELECT column_name FROM (DESCRIBE \"{}\") WHERE column_type <> 'VARCHAR'",
            self.arg.name
        ))?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut names = names.collect::<Result<Vec<_>, _>>()?;
        names.retain(|name| {
            TEXT_COLUMNS
                .iter()
                .any(|text| text.eq_ignore_ascii_case(name))
        });
        Ok(names)
    }
}

/// A text literal in SQL.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A pattern that only the path itself matches.
fn pattern(path: &Path) -> String {
    let mut pattern = String::new();
    for letter in path.display().to_string().chars() {
        if ['[', '*', '?'].contains(&letter) {
            pattern.extend(['[', letter, ']']);
        } else {
            pattern.push(letter);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_in_the_first_bytes() {
        for (head, form) in [
            (&b"PAR1\0"[..], Some(Form::Parquet)),
            (b"a,b\n1,2\n", Some(Form::Csv("none"))),
            (b"\x1f\x8b\x08", Some(Form::Csv("gzip"))),
            (b"\x28\xb5\x2f\xfd", Some(Form::Csv("zstd"))),
            (b"PK\x03\x04\0", None),
            (b"", None),
        ] {
            assert_eq!(Form::of(head), form);
        }
    }
}
