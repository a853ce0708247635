//! The store as a source of bars.

use super::run::{BarSource, Batches};
use super::{Error, SeriesPlan};
use crate::model::TimeRange;
use crate::store::Reader;

/// The stored bars, hot and sealed.
pub struct StoreBars<'a>(pub &'a Reader);

impl BarSource for StoreBars<'_> {
    fn scan(&self, series: &SeriesPlan, range: TimeRange) -> Result<Batches<'_>, Error> {
        let key = series.key.clone();
        let failed = move |error: crate::store::Error| Error::Read {
            series: key.clone(),
            source: Box::new(error),
        };
        let scan = self.0.scan(&series.key, range).map_err(failed.clone())?;
        Ok(Box::new(
            scan.map(move |batch| batch.map_err(failed.clone())),
        ))
    }
}
