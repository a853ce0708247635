//! The bars of a store, as partitions.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::error::{Error, ErrorKind};
use super::settings::Settings;
use crate::advice::PushAdvice;
use crate::causes;
use crate::model::{Provenance, Ticker};
use crate::store::{self, OpenOptions, PartitionFile, Reader, SeriesRow};

/// A sealed partition that the run is about.
#[derive(Clone, Debug)]
pub struct Local {
    pub file: PartitionFile,
    pub provenance: Provenance,
}

/// A ticker with its partitions.
#[derive(Clone, Debug)]
pub struct Unit {
    pub ticker: Ticker,
    pub partitions: Vec<Local>,
    /// The series, with what is hot.
    pub series: Vec<SeriesRow>,
}

impl Unit {
    /// Bars that are in no partition.
    #[must_use]
    pub fn hot_rows(&self) -> u64 {
        self.series.iter().map(|row| row.hot_rows).sum()
    }
}

/// The tickers of the run.
pub fn units(reader: &Reader, settings: &Settings) -> Result<Vec<Unit>, Error> {
    let rows = reader.series().map_err(|error| failed(&error))?;
    let wanted = |row: &SeriesRow| settings.includes(&row.key);
    let rows: Vec<SeriesRow> = rows.into_iter().filter(wanted).collect();
    if !settings.allow_demo
        && let Some(first) = rows.first()
        && reader.is_demo(first).map_err(|error| failed(&error))?
    {
        let message = format!("{} has demo bars, which are simulated", first.key.ticker);
        return Err(Error::new(ErrorKind::DemoBars, message).with_hint(PushAdvice::AllowDemo));
    }
    let mut units: BTreeMap<Ticker, Unit> = BTreeMap::new();
    let mut provenances = HashMap::new();
    for row in rows {
        provenances.insert(row.key.clone(), row.provenance.clone());
        let ticker = row.key.ticker.clone();
        let unit = units.entry(ticker.clone()).or_insert_with(|| Unit {
            ticker,
            partitions: Vec::new(),
            series: Vec::new(),
        });
        unit.series.push(row);
    }
    for file in reader.partition_files() {
        let unit = units.get_mut(&file.key.series.ticker);
        if let (Some(unit), Some(provenance)) = (unit, provenances.get(&file.key.series)) {
            let provenance = provenance.clone();
            unit.partitions.push(Local { file, provenance });
        }
    }
    Ok(units.into_values().collect())
}

/// The ids of commits, also of those after the state that `reader` sees.
pub fn commit_ids_now(reader: &Reader, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, Error> {
    let fresh = Reader::open(reader.dir(), &OpenOptions::default());
    let ids = fresh.and_then(|fresh| fresh.commit_ids(seqs));
    ids.map_err(|error| failed(&error))
}

/// The ids of commits in the state that `reader` sees.
pub fn commit_ids(reader: &Reader, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, Error> {
    reader.commit_ids(seqs).map_err(|error| failed(&error))
}

fn failed(error: &store::Error) -> Error {
    let why = causes::with_causes(error);
    Error::new(ErrorKind::Store, format!("the store can't be read: {why}"))
}
