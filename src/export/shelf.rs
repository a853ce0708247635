//! The staging store as a shelf.

use super::run::{Batches, Shelf};
use super::{Error, SeriesPlan};
use crate::model::TimeRange;
use crate::store::Reader;

/// Staged bars of both tiers.
pub struct Staged<'a>(pub &'a Reader);

impl Shelf for Staged<'_> {
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
