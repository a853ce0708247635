//! The lines of a sync or a push at the end of another run.

use crate::report::{Event, Observer, RunKind, Wording};

/// Prints the tickers' lines like `sync` or `push`, without a progress bar.
pub(super) struct Lines(pub RunKind);

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        let wording = Wording {
            kind: self.0,
            dry_run: false,
        };
        match event {
            Event::TickerDone(unit) if unit.error.is_some() => {
                tracing::error!(target: super::log::LINE, "{}", wording.unit(unit));
            }
            Event::TickerDone(unit) if unit.counts.fetched > 0 => {
                tracing::info!(target: super::log::LINE, "{}", wording.unit(unit));
            }
            Event::Warning(text) => tracing::warn!("{text}"),
            _ => {}
        }
    }
}
