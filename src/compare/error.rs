//! Errors of a comparison.

use crate::calendar;
use crate::model::SeriesKey;
use crate::store;

/// Why two stores could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list of series could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The bars of a series could not be read.
    #[error("{series}: {source}")]
    Read {
        series: SeriesKey,
        source: Box<store::Error>,
    },
    /// A batch of bars has other columns than those of a store.
    #[error("{series}: its bars have other columns")]
    Columns { series: SeriesKey },
    /// The exchange of a series has no calendar.
    #[error("{series}: {source}")]
    Calendar {
        series: SeriesKey,
        source: calendar::Error,
    },
    /// The result could not be written.
    #[error(transparent)]
    Output(#[from] std::io::Error),
    /// The user stopped the comparison.
    #[error("interrupted")]
    Interrupted,
}
