//! The observer of a run: its events as log lines and a progress bar.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::log::{HINT, LINE};
use super::terminal::Terminal;
use crate::advice::Advice;
use crate::report::{Event, Observer, UnitReport, UnitStatus, Wording};

/// Prints the events of a run. Dropping it removes the progress bar.
pub struct Console {
    wording: Wording,
    terminal: Arc<Terminal>,
    bar: Mutex<Option<ProgressBar>>,
    bars: AtomicU64,
    hints: Mutex<HashSet<Advice>>,
}

impl Console {
    pub(super) fn new(wording: Wording, terminal: Arc<Terminal>) -> Self {
        Self {
            wording,
            terminal,
            bar: Mutex::new(None),
            bars: AtomicU64::new(0),
            hints: Mutex::new(HashSet::new()),
        }
    }

    fn planned(&self, unit: &'static str, total: u64) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = &*bar {
            bar.inc_length(total);
            return;
        }
        let amount = if unit == "bytes" {
            "{bytes}/{total_bytes}".to_owned()
        } else {
            format!("{{human_pos}}/{{human_len}} {unit}")
        };
        let template =
            format!("{{bar:24.cyan/dim}} {amount}{{msg}} · {{elapsed_precise}}, {{eta}} left");
        let fresh = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template(&template) {
            fresh.set_style(style);
        }
        *bar = self.terminal.add(fresh);
        if let Some(bar) = &*bar {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
    }

    fn progress(&self, done: u64, bars: u64) {
        let total = self.bars.fetch_add(bars, Ordering::Relaxed) + bars;
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.inc(done);
            bar.set_message(format!(" · {} bars", indicatif::HumanCount(total)));
        }
    }

    fn unit(&self, unit: &UnitReport) {
        let name = &unit.name;
        if let Some(read_as) = &unit.read_as {
            tracing::info!(target: LINE, "[{name}] {}", read_as.line());
            for reason in read_as.reasons() {
                tracing::debug!("[{name}] {reason}");
            }
        }
        for warning in &unit.warnings {
            tracing::warn!("[{name}] {warning}");
        }
        let line = self.wording.unit(unit);
        let counts = &unit.counts;
        let elapsed = unit.elapsed.as_secs_f64();
        match unit.status {
            UnitStatus::Ok | UnitStatus::Empty => tracing::info!(
                target: LINE,
                unit = unit.name,
                status = unit.status.as_str(),
                prepared = counts.prepared,
                committed = counts.committed,
                skipped = counts.skipped(),
                rejected = counts.rejected,
                elapsed_seconds = elapsed,
                "{line}"
            ),
            UnitStatus::Conflict | UnitStatus::Failed => tracing::error!(
                target: LINE,
                unit = unit.name,
                status = unit.status.as_str(),
                conflicts = counts.conflicts,
                elapsed_seconds = elapsed,
                "{line}"
            ),
        }
        if let Some(hint) = &unit.hint {
            self.hint(hint);
        }
    }

    /// A hint that applies to many tickers is printed once.
    fn hint(&self, hint: &Advice) {
        let mut printed = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if printed.insert(hint.clone()) {
            tracing::warn!(target: HINT, "{hint}");
        }
    }
}

impl Observer for Console {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Planned { unit, total } => self.planned(unit, total),
            Event::Started(name) => tracing::debug!("{name} starts"),
            Event::Progress { done, bars } => self.progress(done, bars),
            Event::TickerDone(unit) | Event::FileDone(unit) => self.unit(unit),
            Event::Warning(text) => tracing::warn!("{text}"),
            Event::Note(text) => tracing::info!(target: LINE, "{text}"),
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.finish_and_clear();
        }
    }
}
