//! Files of one run that have different prices for the same bars.
//!
//! Files of other names can be one ticker by mistake: bid and ask, adjusted and unadjusted, two
//! vendors. No conflict policy says which of their bars belong together, so the later file is
//! refused. Files of the same name are parts of one series, such as a folder per day.
//!
//! The prices of a sample of the run's bars are kept in memory, so that a dry run finds the same as
//! a run into the store. Whether a bar is in the sample depends on its time only, so all files have
//! the same times in theirs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::find_files::InputFile;
use crate::model::{Bar, Bars, OnConflict, SeriesKey, Ticker, Timestamp};

/// Approximately the most bars in the sample. A run with fewer is compared completely.
const SAMPLE_MAX: u64 = 1 << 18;
/// The most bars of a series in the sample, in case file sizes mislead.
const SERIES_SAMPLE_MAX: usize = 1 << 16;
/// The smallest size of a row in bytes, in plain text and in packed files.
const PLAIN_ROW_BYTES: u64 = 24;
const PACKED_ROW_BYTES: u64 = 4;
/// Fewer bars with other prices contradict nothing: the last bar of a download may be unfinished.
const DIFFERING_MIN: u64 = 3;

/// The prices that the files of a run have.
pub(super) struct FilePrices<'f> {
    files: &'f [InputFile],
    /// For each file, a number that only files of the same name share.
    names: Vec<u32>,
    /// A bar in 2^n is in the sample.
    level: u32,
    on_conflict: OnConflict,
    series: Mutex<HashMap<SeriesKey, Sample>>,
}

/// Some bars of a series.
struct Sample {
    level: u32,
    /// Sorted by time; each time once.
    rows: Vec<(i64, Prices)>,
}

/// The prices of a bar, and the first file that has them.
#[derive(Clone, Copy)]
struct Prices {
    digest: u32,
    file: u32,
}

/// How many bars of a file were compared with those of files before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    bars: u64,
    differing: u64,
    /// The first bar with other prices, and the index of the file that has them.
    first: Option<(Timestamp, u32)>,
}

impl Compared {
    fn is_contradiction(&self) -> bool {
        self.differing >= DIFFERING_MIN && self.differing * 10 > self.bars
    }
}

impl<'f> FilePrices<'f> {
    /// `None` if all files have the same name.
    pub(super) fn new(files: &'f [InputFile], on_conflict: OnConflict) -> Option<Self> {
        let mut known = HashMap::new();
        let mut names = Vec::with_capacity(files.len());
        for file in files {
            let next = known.len() as u32;
            names.push(*known.entry(file.name_stem()).or_insert(next));
        }
        let rows: u64 = files.iter().map(rows_max).sum();
        (known.len() > 1).then(|| Self {
            files,
            names,
            level: rows.div_ceil(SAMPLE_MAX).next_power_of_two().ilog2(),
            on_conflict,
            series: Mutex::default(),
        })
    }

    /// Compares bars of a file with those of files before it, and adds them, unless they contradict
    /// these. `compared` has what the file's bars before them showed. Returns what is wrong.
    pub(super) fn add(
        &self,
        file: usize,
        series: &SeriesKey,
        bars: &Bars,
        compared: &mut HashMap<Ticker, Compared>,
    ) -> Option<String> {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = all.entry(series.clone()).or_insert_with(|| Sample {
            level: self.level,
            rows: Vec::new(),
        });
        let times = bars.timestamps().iter().enumerate();
        let sampled: Vec<(i64, Prices)> = times
            .filter(|(_, time)| is_sampled(**time, sample.level))
            .map(|(row, time)| {
                let digest = digest(&bars.get(row));
                let file = file as u32;
                (*time, Prices { digest, file })
            })
            .collect();
        let is_later =
            |(time, _): &(i64, Prices)| (sample.rows.last()).is_none_or(|(last, _)| last < time);
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for row in sampled {
            // Most bars are later than all before: no search.
            let found = match is_later(&row) {
                true => None,
                false => sample
                    .rows
                    .binary_search_by_key(&row.0, |(time, _)| *time)
                    .ok(),
            };
            match found {
                Some(index) => known.push((index, row.1)),
                None => new.push(row),
            }
        }
        for (index, prices) in &known {
            let (time, before) = sample.rows[*index];
            if self.names[before.file as usize] == self.names[file] {
                continue;
            }
            let compared = compared.entry(series.ticker.clone()).or_default();
            compared.bars += 1;
            if before.digest != prices.digest {
                compared.differing += 1;
                let first = (Timestamp::from_micros(time), before.file);
                compared.first.get_or_insert(first);
            }
        }
        if let Some(compared) = compared.get(&series.ticker)
            && let Some((first, other)) = compared.first
            && compared.is_contradiction()
        {
            return Some(format!(
                "{} of {} bars of {series} compared with earlier files have other prices, the first {first} in {}",
                compared.differing, compared.bars, self.files[other as usize].name
            ));
        }
        if self.on_conflict == OnConflict::Update {
            for (index, prices) in known {
                let before = &mut sample.rows[index].1;
                if before.digest != prices.digest {
                    *before = prices;
                }
            }
        }
        sample.add(new);
        sample.thin();
        None
    }
}

impl Sample {
    /// Adds bars of other times. Of two bars with the same time, the first stays.
    fn add(&mut self, new: Vec<(i64, Prices)>) {
        let last = self.rows.last().map(|(time, _)| *time);
        let is_later = new.first().is_none_or(|(time, _)| last < Some(*time))
            && new.is_sorted_by(|a, b| a.0 < b.0);
        self.rows.extend(new);
        if !is_later {
            self.rows.sort_by_key(|(time, _)| *time);
            self.rows.dedup_by_key(|(time, _)| *time);
        }
    }

    /// Keeps a half of the bars, until they are few enough.
    fn thin(&mut self) {
        while self.rows.len() > SERIES_SAMPLE_MAX {
            self.level += 1;
            let level = self.level;
            self.rows.retain(|(time, _)| is_sampled(*time, level));
        }
    }
}

/// Whether the bar of this time is in a sample. The times of one level are also in those before it.
fn is_sampled(time: i64, level: u32) -> bool {
    // Multiplication mixes the time into the high bits (Knuth's multiplicative hash).
    let mixed = (time as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed.leading_zeros() >= level
}

fn digest(bar: &Bar) -> u32 {
    let mut mixed: u64 = 0;
    for price in [bar.open, bar.high, bar.low, bar.close] {
        mixed = (mixed.rotate_left(5) ^ price.to_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    (mixed >> 32) as u32
}

/// An upper bound of the rows in a file.
fn rows_max(file: &InputFile) -> u64 {
    let bytes = match file.is_plain_text() {
        true => PLAIN_ROW_BYTES,
        false => PACKED_ROW_BYTES,
    };
    file.bytes / bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;

    fn bars(times: impl Iterator<Item = i64>, price: f64) -> Bars {
        times
            .map(|minute| {
                let at = Timestamp::from_micros(minute * 60_000_000);
                Bar::new(at, [price; 4], 1.0)
            })
            .collect()
    }

    fn prices(bytes: u64) -> FilePrices<'static> {
        let files: &'static [InputFile] = Vec::leak(
            ["x/A_1.csv", "x/A_2.csv", "y/A_1.csv"]
                .map(|name| InputFile::of_size(name, bytes))
                .into(),
        );
        FilePrices::new(files, OnConflict::Ignore).unwrap()
    }

    fn series() -> SeriesKey {
        SeriesKey {
            interval: Interval::M1,
            ticker: Ticker::new("A").unwrap(),
        }
    }

    fn is_refused(prices: &FilePrices<'_>, file: usize, bars: &Bars) -> bool {
        let mut compared = HashMap::new();
        prices.add(file, &series(), bars, &mut compared).is_some()
    }

    #[test]
    fn a_sample_of_a_large_run_finds_a_file_of_a_month() {
        // 2^40 bytes are about 2^36 rows.
        let prices = prices(1 << 37);
        assert!(prices.level > 10, "{}", prices.level);
        let years = 0..4_000_000;
        assert!(!is_refused(&prices, 0, &bars(years, 10.0)));
        assert!(!is_refused(&prices, 1, &bars(2_000_000..2_200_000, 10.0)));
        assert!(!is_refused(&prices, 2, &bars(2_000_000..2_200_000, 11.0)));
        assert!(is_refused(&prices, 1, &bars(2_000_000..2_200_000, 11.0)));
    }

    #[test]
    fn a_sample_is_limited_even_if_file_sizes_are_wrong() {
        let prices = prices(0);
        let count = 3 * SERIES_SAMPLE_MAX as i64;
        assert!(!is_refused(&prices, 0, &bars(0..count, 10.0)));
        let sizes = prices.series.lock().unwrap();
        let rows = sizes[&series()].rows.len();
        drop(sizes);
        assert!(
            (SERIES_SAMPLE_MAX / 3..=SERIES_SAMPLE_MAX).contains(&rows),
            "{rows}"
        );
        assert!(is_refused(&prices, 1, &bars(0..300, 11.0)));
    }

    #[test]
    fn the_pieces_of_a_file_count_together() {
        let prices = prices(0);
        assert!(!is_refused(&prices, 0, &bars(0..100, 10.0)));
        let mut compared = HashMap::new();
        let mut add = |bars| prices.add(1, &series(), &bars, &mut compared);
        assert_eq!(add(bars(0..20, 10.0)), None);
        assert_eq!(add(bars(20..22, 11.0)), None);
        let found = add(bars(22..23, 11.0)).unwrap();
        assert!(found.starts_with("3 of 23 bars of A 1m"), "{found}");
        assert!(
            found.ends_with("the first 1970-01-01T00:20:00Z in x/A_1.csv"),
            "{found}"
        );
    }
}
