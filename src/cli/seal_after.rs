//! `--seal`: moves all hot bars into the lake when a command that wrote into the store ends.

use std::path::Path;

use clap::ValueEnum;
use indicatif::HumanCount;

use super::context::{Context, STORE_DEMO};
use super::error::CliError;
use super::log::LINE;
use crate::store::{SealAtEnd, Store};

/// The option, for commands that write into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct SealArgs {
    /// Whether to move all bars into Parquet files at the end: auto, always or never [default: auto]
    ///
    /// With auto they are moved, unless that is expected to take more than 2 s and more than a quarter of
    /// the run. Bars that aren't moved are stored too, and `backfill seal` moves them.
    #[arg(
        long,
        value_name = "WHEN",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    seal: Option<When>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl SealArgs {
    /// Whether the option was given.
    pub fn is_given(self) -> bool {
        self.seal.is_some()
    }

    /// Seals the store at the end of a command, and reports the rows that stay hot. The bars are stored
    /// whether or not this succeeds, so a failure is a warning.
    pub fn seal(self, context: &Context, store: &Store) {
        let when = match self.seal {
            None | Some(When::Auto) => SealAtEnd::Auto,
            Some(When::Always) => SealAtEnd::Always,
            Some(When::Never) => SealAtEnd::Never,
        };
        if let Err(error) = store.seal_at_end(when, context.elapsed()) {
            let error = CliError::from(error);
            tracing::warn!("sealing failed, so not all stored bars are in the lake: {error}");
        }
        let hot = store.hot_rows();
        if hot > 0 {
            let rows_are = rows_are(hot, None);
            // Without --store the command seal opens the other default store.
            let option = match store.dir() == Path::new(STORE_DEMO) {
                true => format!(" --store {STORE_DEMO}"),
                false => String::new(),
            };
            tracing::info!(
                target: LINE,
                "note: {rows_are} not in the lake yet; run backfill seal{option}"
            );
        }
    }
}

/// `"1,170 rows of 3 series are"`, or without the series.
pub(super) fn rows_are(rows: u64, series: Option<u64>) -> String {
    let (row, are) = match rows {
        1 => ("row", "is"),
        _ => ("rows", "are"),
    };
    let of = series.map_or_else(String::new, |n| format!(" of {} series", HumanCount(n)));
    format!("{} {row}{of} {are}", HumanCount(rows))
}
