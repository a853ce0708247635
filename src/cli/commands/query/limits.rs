//! The limits of a query, and what is reported when one is reached.

use bytesize::ByteSize;

use crate::cli::error::CliError;

/// DuckDB can't open the store and sort a few rows with less.
const MEMORY_MIN: u64 = 64 << 20;
/// Memory for each thread. With less, every thread gets too little to work on.
const MEMORY_PER_THREAD: u64 = 64 << 20;

/// Memory for what DuckDB doesn't count, as far as that isn't more than half of all.
const REST_MIN: u64 = 128 << 20;

/// The options of `query` that limit what it uses.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Memory that the query may use; what doesn't fit is kept on the disk if possible. At least 64MiB.
    /// Example: --memory-limit 4GiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = memory)]
    pub memory_limit: u64,

    /// Disk space that the query may use for what doesn't fit into memory. It is used in the store's folder; if that can't
    /// be written, in the system's folder for temporary files. 0 uses none. Example: --temp-limit 100GB
    #[arg(long, value_name = "SIZE", default_value = "16GiB", value_parser = size)]
    pub temp_limit: u64,
}

impl Limits {
    /// The same, with no more memory than half of the address space that is left: DuckDB and its
    /// libraries reserve more than they use, and end the process when they can't.
    pub fn within(self, room: Option<u64>) -> Self {
        let memory_limit = room.map_or(self.memory_limit, |room| {
            self.memory_limit.min((room / 2).max(MEMORY_MIN))
        });
        Self {
            memory_limit,
            ..self
        }
    }

    /// DuckDB's own limit in MiB. It counts what it keeps in its buffers, and neither strings, lists and results, nor what
    /// its allocator holds back, nor the row group of a Parquet file that is being written. The rest is for those.
    pub fn duckdb_mib(self) -> u64 {
        let rest = (self.memory_limit / 4).max(REST_MIN.min(self.memory_limit / 2));
        (self.memory_limit - rest) >> 20
    }

    /// How many of the machine's threads have enough memory.
    pub fn threads(self, available: u16) -> u16 {
        let fed = (self.memory_limit / MEMORY_PER_THREAD).max(1);
        u16::try_from(fed).unwrap_or(u16::MAX).min(available)
    }

    /// The memory limit is reached.
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

    /// What DuckDB reported while the statement ran.
    pub fn failed(self, error: &duckdb::Error) -> CliError {
        let text = error.to_string();
        if text.starts_with("INTERRUPT Error") {
            // An interrupt of ours has its own message. DuckDB interrupts its other threads when one
            // of them fails, and sometimes reports only that.
            CliError::failed("DuckDB stopped the query, most likely for lack of memory")
                .hint("--memory-limit with a smaller SIZE lets the query use the disk earlier")
        } else if !is_out_of_memory(error) {
            CliError::failed(super::one_line(error))
        } else if ["bad allocation", "bad_alloc", "Allocation failure"]
            .iter()
            .any(|sign| text.contains(sign))
        {
            CliError::failed("the system gives the query no more memory")
                .hint("--memory-limit with a smaller SIZE lets the query use the disk earlier")
        } else if text.contains("max_temp_directory_size") && self.temp_limit > 0 {
            self.temp_reached()
        } else {
            self.memory_reached()
        }
    }
}

/// Whether DuckDB needed more memory, or more room for temporary files.
pub(super) fn is_out_of_memory(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    // The first of these can be inside the message of an error that follows from it.
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
        _ => Err(format!("the least is {}", shown(MEMORY_MIN))),
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
        assert_eq!(memory("63MiB"), Err("the least is 64 MiB".into()));
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
