//! What the user of a refused batch can do.

use crate::model::SeriesKey;
use crate::store::{CoverageEntry, Refusal, Store};

/// What a refused batch's user can do.
pub(super) fn advice(store: &Store, refusal: &Refusal, asked: &[CoverageEntry]) -> String {
    const POLICIES: &str = "--on-conflict ignore keeps what is staged and goes on, --on-conflict update takes what is offered";
    match refusal {
        Refusal::Conflicts { series, .. } if is_covered(store, series, asked) => {
            format!("--resume skips what is staged; {POLICIES}")
        }
        Refusal::Conflicts { .. } => POLICIES.to_owned(),
        Refusal::Mismatch { .. } => {
            "ask for what the series holds, stage into another --store, or `backfill drop` the series first".to_owned()
        }
    }
}

/// Whether all that was asked is recorded as answered, so that a resumed run would leave it out.
fn is_covered(store: &Store, series: &SeriesKey, asked: &[CoverageEntry]) -> bool {
    let Some(provider) = asked.first().map(|answer| &answer.provider) else {
        return false;
    };
    let known = (store.reader()).and_then(|reader| reader.coverage(provider, series));
    known.is_ok_and(|known| {
        asked.iter().all(|answer| {
            known.iter().any(|known| {
                known.status.is_answered()
                    && known.provenance == answer.provenance
                    && known.dates.first() <= answer.dates.first()
                    && answer.dates.last() <= known.dates.last()
            })
        })
    })
}
