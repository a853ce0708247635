//! What a run says while it works.

use super::UnitReport;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// How much work lies ahead: `total` of `unit` (`requests`, `bytes`, `rows`, `files`). Said again, it adds to the total.
    Planned {
        /// What is counted, plural.
        unit: &'static str,
        /// How many.
        total: u64,
    },
    /// Work on a ticker or file began.
    Started(&'a str),
    /// `done` more of the planned units are through, and with them `bars` more bars.
    Progress {
        /// Units since the last event.
        done: u64,
        /// Bars since the last event.
        bars: u64,
    },
    /// A ticker is through.
    TickerDone(&'a UnitReport),
    /// A file is through.
    FileDone(&'a UnitReport),
    /// Something that the user should know though the run goes on.
    Warning(&'a str),
    /// A line of information, printed as it is.
    Note(&'a str),
}

/// Who listens to a run. Called from many threads.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}
