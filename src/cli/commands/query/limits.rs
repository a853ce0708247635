//! The limits of a query, and what is reported when one is reached.

use bytesize::ByteSize;

use super::message::{denied, one_line};
use crate::cli::error::CliError;

/// With less, DuckDB can't open the store and sort a few rows.
const MEMORY_MIN: u64 = 64 << 20;
/// Memory per thread. With less, no thread can work well.
const MEMORY_PER_THREAD: u64 = 64 << 20;

/// Memory for what DuckDB doesn't count, but never more than half of the limit.
const REST_MIN: u64 = 128 << 20;

/// The options of `query` that limit what it uses.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Memory that the query may use
    ///
    /// At least 64MiB. What doesn't fit is kept in temporary files (--temp-limit). A query that still needs
    /// more fails.
    ///
    /// Example: --memory-limit 4GiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = memory)]
    pub memory_limit: u64,

    /// Disk space that the query may use for what doesn't fit into memory
    ///
    /// The files are in the store's folder or, if that can't be written, in the system's folder for
    /// temporary files. 0 uses no disk.
    ///
    /// Example: --temp-limit 100GB
    #[arg(long, value_name = "SIZE", default_value = "16GiB", value_parser = size)]
    pub temp_limit: u64,
}

impl Limits {
    /// The same, with at most half of the free address space: DuckDB and its libraries reserve more
    /// than they use, and end the process if they can't.
    pub fn within(self, room: Option<u64>) -> Self {
        let memory_limit = room.map_or(self.memory_limit, |room| {
            self.memory_limit.min((room / 2).max(MEMORY_MIN))
        });
        Self {
            memory_limit,
            ..self
        }
    }

    /// DuckDB's own limit in MiB. DuckDB counts only its buffers. The rest of the limit is for
    /// strings, lists and results, for what its allocator keeps, and for the row group of a Parquet
    /// file being written.
    pub fn duckdb_mib(self) -> u64 {
        let rest = (self.memory_limit / 4).max(REST_MIN.min(self.memory_limit / 2));
        (self.memory_limit - rest) >> 20
    }

    /// The number of threads that have enough memory.
    pub fn threads(self, available: u16) -> u16 {
        let fed = (self.memory_limit / MEMORY_PER_THREAD).max(1);
        u16::try_from(fed).unwrap_or(u16::MAX).min(available)
    }

    /// The error for a query that reached its memory limit.
    pub fn memory_reached(self) -> CliError {
        CliError::failed(format!(
            "the query needs more than its memory limit of {}",
            shown(self.memory_limit)
        ))
        .hint("--memory-limit SIZE sets another limit")
    }

    fn temp_reached(self) -> CliError {
        CliError::failed(format!(
            "the query needs more than its memory limit of {} and its temporary files more than their limit of {}",
            shown(self.memory_limit),
            shown(self.temp_limit)
        ))
        .hint("--temp-limit SIZE and --memory-limit SIZE set other limits")
    }

    /// The error for what DuckDB reported while the statement ran.
    pub fn failed(self, error: &duckdb::Error) -> CliError {
        let text = error.to_string();
        if text.starts_with("INTERRUPT Error") {
            // Our own interrupts have another message. If a thread of DuckDB fails, DuckDB
            // interrupts its others, and sometimes reports only that.
            CliError::failed("DuckDB stopped the query, most likely for lack of memory")
                .hint("--memory-limit with a smaller SIZE lets the query use the disk earlier")
        } else if !is_out_of_memory(error) {
            denied(error).unwrap_or_else(|| CliError::failed(one_line(error)))
        } else if ["bad allocation", "bad_alloc", "Allocation failure"]
            .iter()
            .any(|sign| text.contains(sign))
        {
            CliError::failed("the system has no more memory for the query")
                .hint("--memory-limit with a smaller SIZE lets the query use the disk earlier")
        } else if text.contains("max_temp_directory_size") && self.temp_limit > 0 {
            self.temp_reached()
        } else {
            self.memory_reached()
        }
    }
}

/// Whether DuckDB needed more memory, or more disk space for temporary files.
pub(super) fn is_out_of_memory(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    // The first can be quoted in the message of a later error.
    text.contains("Out of Memory Error") || text.contains("std::bad_alloc")
}

/// `1 GiB`, not `1.0 GiB`.
fn shown(size: u64) -> String {
    ByteSize::b(size).to_string().replace(".0 ", " ")
}

fn size(typed: &str) -> Result<u64, String> {
    typed
        .trim()
        .parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| "it isn't a size like 512MiB or 2GB".to_owned())
}

fn memory(typed: &str) -> Result<u64, String> {
    match size(typed)? {
        size if size >= MEMORY_MIN => Ok(size),
        _ => Err(format!("the minimum is {}", shown(MEMORY_MIN))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (typed, expected) in [
            ("512MiB", 512 << 20),
            ("2GB", 2_000_000_000),
            ("1.5 GiB", 1536 << 20),
            ("2G", 2_000_000_000),
            ("100kb", 100_000),
            ("4096", 4096),
            ("0", 0),
        ] {
            assert_eq!(size(typed), Ok(expected), "{typed}");
        }
        for typed in ["", "GiB", "-1GB", "1 GiB more", "1e9", "many", "1XB"] {
            assert!(size(typed).is_err(), "{typed}");
        }
        assert_eq!(memory("64MiB"), Ok(64 << 20));
        assert_eq!(memory("63MiB"), Err("the minimum is 64 MiB".into()));
    }

    #[test]
    fn every_thread_has_enough_memory() {
        let limits = |memory_limit| Limits {
            memory_limit,
            temp_limit: 0,
        };
        assert_eq!(limits(1 << 30).threads(16), 16);
        assert_eq!(limits(1 << 30).threads(2), 2);
        assert_eq!(limits(128 << 20).threads(16), 2);
        assert_eq!(limits(64 << 20).threads(16), 1);
        assert_eq!(limits(u64::MAX).threads(16), 16);
    }
}
