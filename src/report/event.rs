//! What a run reports while it works.

use super::UnitReport;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The planned work: `total` of `unit` (`windows`, `bytes`, `bars`, `tickers`). A second such
    /// event adds to the total.
    Planned {
        /// What is counted, plural.
        unit: &'static str,
        /// How many.
        total: u64,
    },
    /// A ticker or file was started.
    Started(&'a str),
    /// `done` more of the planned units are done, with `bars` more bars.
    Progress {
        /// Units since the last event.
        done: u64,
        /// Bars since the last event.
        bars: u64,
    },
    /// A ticker has ended.
    TickerDone(&'a UnitReport),
    /// A file has ended.
    FileDone(&'a UnitReport),
    /// A problem that doesn't end the run.
    Warning(&'a str),
    /// A line of information, printed as it is.
    Note(&'a str),
}

/// Receives the events of a run, from many threads.
pub trait Observer: Send + Sync {
    /// Receives one event.
    fn event(&self, event: &Event<'_>);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}
