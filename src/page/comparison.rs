//! The comparison with a second store: of a report at once, of a server in the background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{Error, Filter};
use crate::calendar::Overrides;
use crate::compare::{self, Compared, Scope, Settings, Side};
use crate::documents;
use crate::report::{Silent, Stop};
use crate::store::Reader;

/// How far two prices may be apart and still agree, in basis points: the default of `compare`.
const TOLERANCE_BPS: f64 = 1.0;

fn settings(filter: &Filter) -> Settings {
    Settings {
        scope: Scope {
            tickers: filter.tickers.clone(),
            interval: filter.interval,
            start: filter.start,
            end: filter.end,
        },
        tolerance_bps: TOLERANCE_BPS,
    }
}

/// `backfill.compare/1` of the series of two stores. It reads all their bars.
pub(super) fn comparison(
    here: Side<'_>,
    there: Side<'_>,
    filter: &Filter,
    stop: &Stop,
) -> Result<Value, Error> {
    let compared = compare::compare(here, there, &settings(filter), stop, &Silent, |_, _| Ok(()))?;
    Ok(documents::comparison(&compared))
}

/// A comparison that another thread makes. It ends when this is dropped.
pub struct RunningComparison {
    state: Arc<Mutex<State>>,
    stop: Stop,
}

#[derive(Default)]
struct State {
    compared: Compared,
    is_done: bool,
    error: Option<String>,
}

impl RunningComparison {
    /// Starts to compare all series of two stores.
    #[must_use]
    pub fn start(here: (Arc<Reader>, Overrides), there: (Arc<Reader>, Overrides)) -> Self {
        let (state, stop) = (Arc::new(Mutex::new(State::default())), Stop::new());
        let running = Self {
            state: Arc::clone(&state),
            stop: stop.clone(),
        };
        std::thread::spawn(move || {
            let side = |(reader, calendars)| Side { reader, calendars };
            let result = compare::compare(
                side((&*here.0, &here.1)),
                side((&*there.0, &there.1)),
                &settings(&Filter::default()),
                &stop,
                &Silent,
                |series, _| {
                    known(&state).compared.series.push(series.clone());
                    Ok(())
                },
            );
            let mut state = known(&state);
            state.is_done = true;
            state.error = result.err().map(|error| error.to_string());
        });
        running
    }

    /// Whether all series were compared, or an error ended it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        known(&self.state).is_done
    }

    /// `backfill.compare/1` of the series that were compared so far. `done` is whether these are all, and
    /// `error` what ended the comparison.
    #[must_use]
    pub fn document(&self) -> Value {
        let state = known(&self.state);
        let mut document = documents::comparison(&state.compared);
        document["done"] = json!(state.is_done);
        let error = state.error.as_deref().map(super::without_folders);
        document["error"] = json!(error);
        document
    }
}

impl Drop for RunningComparison {
    fn drop(&mut self) {
        self.stop.set();
    }
}

fn known(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
