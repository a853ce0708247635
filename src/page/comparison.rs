//! The comparison with a second store: of a report at once, of a server in the background.

use std::sync::Arc;

use serde_json::Value;

use super::background::Background;
use super::{Error, Filter};
use crate::calendar::Overrides;
use crate::compare::{Compared, Comparison, Scope, Settings, Side};
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
    let comparison = Comparison {
        here,
        there,
        settings: &settings(filter),
        stop,
        observer: &Silent,
    };
    let compared = comparison.run(|_, _| Ok(()))?;
    Ok(documents::comparison(&compared))
}

/// A comparison that another thread makes. It ends when this is dropped.
pub struct RunningComparison(Background<Compared>);

impl RunningComparison {
    /// Starts to compare all series of two stores.
    #[must_use]
    pub fn start(here: (Arc<Reader>, Overrides), there: (Arc<Reader>, Overrides)) -> Self {
        Self(Background::start(move |stop, results| {
            let side = |(reader, calendars)| Side { reader, calendars };
            let comparison = Comparison {
                here: side((&*here.0, &here.1)),
                there: side((&*there.0, &there.1)),
                settings: &settings(&Filter::default()),
                stop,
                observer: &Silent,
            };
            comparison.run(|series, _| {
                results.add(|compared: &mut Compared| compared.series.push(series.clone()));
                Ok(())
            })?;
            Ok(())
        }))
    }

    /// Whether all series were compared, or an error ended it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// `backfill.compare/1` of the series that were compared so far. `done` is whether these are all, and
    /// `error` what ended the comparison.
    #[must_use]
    pub fn document(&self) -> Value {
        self.0.document(documents::comparison)
    }
}
