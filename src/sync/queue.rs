//! The tickers that no worker has taken yet. The first bars of the next one are read ahead.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::ahead::{ReadAhead, StartReading};
use super::context::{RunContext, Unit, lock};
use super::series::first_bars;
use super::target::Table;

/// Units in the order in which workers take them.
pub(super) struct Queue(Mutex<Waiting>);

struct Waiting {
    units: VecDeque<Unit>,
    /// The bars of the first of `units`.
    ahead: Option<ReadAhead>,
}

impl Queue {
    pub(super) fn new(units: Vec<Unit>) -> Self {
        Self(Mutex::new(Waiting {
            units: units.into(),
            ahead: None,
        }))
    }

    /// The next unit and what is read of it already; `None` if there is none, or the run ends.
    /// Starts to read the unit after it.
    pub(super) fn take(
        &self,
        context: &RunContext<'_>,
        tables: &[impl Table],
        read: &StartReading<'_>,
    ) -> Option<(Unit, Option<ReadAhead>)> {
        let mut waiting = lock(&self.0);
        // Taken before any return: it ends with this value.
        let ahead = waiting.ahead.take();
        if context.is_stopping() {
            return None;
        }
        let unit = waiting.units.pop_front()?;
        let next = waiting.units.front().and_then(|unit| unit.series.first());
        waiting.ahead = next.and_then(|task| {
            let bars = first_bars(context, &tables[task.table], task)?;
            Some(read(bars))
        });
        Some((unit, ahead))
    }

    /// Ends what is read ahead.
    pub(super) fn close(&self) {
        lock(&self.0).ahead = None;
    }
}
