//! The report: the page and its documents in one HTML file.
//!
//! The documents are JSON, compressed, in base64: text from files and vendors can't end the element
//! that it is in, and five years of five hundred series fit into a few megabytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use chrono::NaiveDate;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::comparison::comparison;
use super::html::report_parts;
use super::{BarsQuery, Error, PageData, Rows};
use crate::export::{self, AtomicFile, OutputFile};
use crate::model::SeriesKey;
use crate::report::Stop;

/// What a report has besides coverage, gaps, conflicts and runs, which are always complete.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions {
    /// The most bars: whole days, newest first.
    pub max_bars: u64,
    /// Whether it has the findings of an audit, which reads all bars.
    pub audits: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Reported {
    pub series: u64,
    pub bars: u64,
    /// Bars that `max_bars` left out.
    pub bars_left_out: u64,
}

/// Writes the report into `target`, which appears whole or not at all. With a second store, the
/// report also has that store's bars of the series that both have, from the first day of the first
/// store's bars on, and the comparison of both.
pub fn report<'a>(
    mut data: PageData<'a>,
    mut compared: Option<PageData<'a>>,
    options: &ReportOptions,
    target: &OutputFile,
) -> Result<Reported, Error> {
    if data.is_too_large()? {
        return Err(Error::TooManySessions);
    }
    if let Some(second) = &compared {
        data = data.compared_with(second.reader);
    }
    let series = data.series()?;
    let count = series["series"].as_array().map_or(0, Vec::len) as u64;
    let (days, bars_left_out) = data.newest_days(options.max_bars, |_| Some(NaiveDate::MIN))?;
    let file = AtomicFile::create(target)?;
    let failed = |source: io::Error| export::Error::io(target.typed())(source);
    let mut out = file.out()?;
    let [before, after] = report_parts();
    out.write_all(before.as_bytes()).map_err(failed)?;
    let base64 = EncoderWriter::new(out, &STANDARD);
    let mut writer = Documents(GzEncoder::new(base64, Compression::default()));
    writer.begin(&data.now.to_string()).map_err(failed)?;
    writer.add("series", &series).map_err(failed)?;
    let mut add = |name: &str, document: Value| writer.add(name, &document).map_err(failed);
    add("coverage", data.coverage(Rows::ALL)?)?;
    add("gaps", data.gaps()?)?;
    add("conflicts", data.conflicts()?)?;
    add("runs", data.runs()?)?;
    add("targets", data.targets()?)?;
    if options.audits {
        add("findings", data.findings()?)?;
    }
    if let Some(second) = &mut compared {
        let compared = comparison(data.side(), second.side(), data.filter, &Stop::new())?;
        writer.add("comparison", &compared).map_err(failed)?;
        let firsts: BTreeMap<_, _> = days.iter().cloned().collect();
        let (days, _) = second.newest_days(options.max_bars, |key| firsts.get(key).copied())?;
        writer.add_bars("compared_bars", second, days, failed)?;
    }
    let bars = writer.add_bars("bars", &mut data, days, failed)?;
    let mut base64 = writer.end().map_err(failed)?;
    let mut out = base64.finish().map_err(failed)?;
    out.write_all(after.as_bytes()).map_err(failed)?;
    out.flush().map_err(failed)?;
    drop(out);
    file.publish()?;
    Ok(Reported {
        series: count,
        bars,
        bars_left_out,
    })
}

impl PageData<'_> {
    /// For each series the first date such that the bars from there on, of all series, are at most
    /// `max`: whole days, newest first. Then how many bars are left out. `from` returns the first date
    /// of a series that may be taken; `None` if no day of it may.
    fn newest_days(
        &mut self,
        max: u64,
        from: impl Fn(&SeriesKey) -> Option<NaiveDate>,
    ) -> Result<(Vec<(SeriesKey, NaiveDate)>, u64), Error> {
        let filter = self.filter;
        let mut by_date: BTreeMap<NaiveDate, Vec<(SeriesKey, u64)>> = BTreeMap::new();
        let facts = self.facts()?;
        for (key, counts) in &facts.counts {
            let Some(from) = from(key).filter(|_| filter.has(key)) else {
                continue;
            };
            for count in counts {
                let is_before = count.session < filter.start.map_or(from, |start| start.max(from));
                let is_after = filter.end.is_some_and(|end| count.session > end);
                if !is_before && !is_after {
                    let of_date = by_date.entry(count.session).or_default();
                    of_date.push((key.clone(), u64::from(count.bars)));
                }
            }
        }
        let (mut taken, mut left_out) = (0, 0);
        let mut firsts = BTreeMap::new();
        let mut is_full = false;
        for (date, series) in by_date.into_iter().rev() {
            for (key, bars) in series {
                is_full |= taken + bars > max;
                if is_full {
                    left_out += bars;
                } else {
                    taken += bars;
                    firsts.insert(key, date);
                }
            }
        }
        Ok((firsts.into_iter().collect(), left_out))
    }
}

/// The object with all documents, written one by one.
struct Documents<W: Write>(GzEncoder<W>);

impl<W: Write> Documents<W> {
    fn begin(&mut self, made_at: &str) -> io::Result<()> {
        write!(self.0, "{{\"made_at\":{}", json!(made_at))
    }

    fn add(&mut self, name: &str, document: &Value) -> io::Result<()> {
        write!(self.0, ",\"{name}\":")?;
        Ok(serde_json::to_writer(&mut self.0, document)?)
    }

    /// Adds a list of bars: for each series those from a date on, made and written one by one. Returns
    /// how many bars they are.
    fn add_bars(
        &mut self,
        name: &str,
        data: &mut PageData<'_>,
        days: Vec<(SeriesKey, NaiveDate)>,
        failed: impl Fn(io::Error) -> export::Error,
    ) -> Result<u64, Error> {
        let mut bars = 0;
        write!(self.0, ",\"{name}\":[").map_err(&failed)?;
        for (index, (series, first)) in days.into_iter().enumerate() {
            let document = data.bars(&BarsQuery {
                series,
                from: Some(first),
                to: data.filter.end,
                max: u64::MAX,
                at_least: None,
            })?;
            bars += document["time"].as_array().map_or(0, Vec::len) as u64;
            if index > 0 {
                write!(self.0, ",").map_err(&failed)?;
            }
            serde_json::to_writer(&mut self.0, &document).map_err(|error| failed(error.into()))?;
        }
        write!(self.0, "]").map_err(failed)?;
        Ok(bars)
    }

    fn end(mut self) -> io::Result<W> {
        write!(self.0, "}}")?;
        self.0.finish()
    }
}
