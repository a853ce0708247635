//! Which dates were requested again without result, and how often, so that refills stop requesting
//! what a provider doesn't have.

use std::collections::BTreeMap;

use duckdb::params;

use crate::model::{DateRange, Interval, SeriesKey, Ticker};

use super::catalog::date;
use super::error::Error;
use super::handle::Store;
use super::reader::Reader;

/// Dates of a series that refills requested without getting a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefillAttempts {
    /// Trading dates, both ends inside.
    pub dates: DateRange,
    /// How many refills.
    pub fills: u16,
}

impl Store {
    /// Records which dates of some series refills from `provider` requested without result. This
    /// replaces what was recorded for these series.
    pub fn record_refills(
        &self,
        provider: &str,
        fills: &BTreeMap<SeriesKey, Vec<RefillAttempts>>,
    ) -> Result<(), Error> {
        self.check_whole()?;
        self.inner().catalog.transaction(|catalog| {
            for (series, ranges) in fills {
                let (minutes, ticker) = (series.interval.minutes(), series.ticker.as_str());
                catalog.execute(
                    "DELETE FROM fills WHERE provider = ? AND interval = ? AND ticker = ?",
                    params![provider, minutes, ticker],
                )?;
                for one in ranges {
                    let (first, last) = (date(one.dates.first()), date(one.dates.last()));
                    catalog.execute(
                        "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?)",
                        params![provider, minutes, ticker, first, last, one.fills],
                    )?;
                }
            }
            Ok(())
        })
    }
}

impl Reader {
    /// Dates that refills from `provider` requested without result, by series.
    pub fn refills(
        &self,
        provider: &str,
    ) -> Result<BTreeMap<SeriesKey, Vec<RefillAttempts>>, Error> {
        let catalog = self.catalog()?;
        let mut found: BTreeMap<SeriesKey, Vec<RefillAttempts>> = BTreeMap::new();
        // A store that is opened for reading may be older than the table.
        if !catalog.has_table("fills")? {
            return Ok(found);
        }
        let rows = catalog.rows(
            "SELECT interval, ticker, first::VARCHAR, last::VARCHAR, fills FROM fills WHERE provider = ? ORDER BY first",
            params![provider],
            |row| {
                let texts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
                Ok((row.get::<_, u32>(0)?, texts, row.get::<_, u16>(4)?))
            },
        )?;
        for (minutes, [ticker, first, last], fills) in rows {
            let series = Interval::from_minutes(minutes)
                .zip(Ticker::new(&ticker).ok())
                .map(|(interval, ticker)| SeriesKey { interval, ticker });
            let dates = (first.parse().ok())
                .zip(last.parse().ok())
                .and_then(|(first, last)| DateRange::new(first, last).ok());
            if let Some((series, dates)) = series.zip(dates) {
                let one = RefillAttempts { dates, fills };
                found.entry(series).or_default().push(one);
            }
        }
        Ok(found)
    }
}
