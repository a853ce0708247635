//! Names of files: which are CSV files, how they are packed, and intervals among their words.

use crate::model::Interval;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not packed.
    Plain,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

impl Packing {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Splits a file's name into its stem and how it is packed; `None` if it isn't that of a CSV file.
pub(super) fn stem_of(name: &str) -> Option<(&str, Packing)> {
    let (name, packing) = if let Some(inner) = strip_end(name, ".gz") {
        (inner, Packing::Gzip)
    } else if let Some(inner) = strip_end(name, ".zst") {
        (inner, Packing::Zstd)
    } else {
        (name, Packing::Plain)
    };
    let stem = [".csv", ".txt", ".tsv"]
        .into_iter()
        .find_map(|end| strip_end(name, end))?;
    (!stem.is_empty() && !stem.starts_with('.')).then_some((stem, packing))
}

/// Whether a file of this name is read from a folder.
#[must_use]
pub fn is_csv_name(name: &str) -> bool {
    stem_of(name).is_some()
}

/// `name` without `end`, which is compared without case.
pub(super) fn strip_end<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(end.len())?;
    let tail = name.get(at..)?;
    tail.eq_ignore_ascii_case(end).then(|| &name[..at])
}

/// The words of a stem: runs of ASCII letters and digits.
pub(super) fn words(stem: &str) -> impl Iterator<Item = &str> {
    stem.split(|c: char| !c.is_ascii_alphanumeric())
}

/// The interval that the words name, if they name exactly one.
pub(super) fn only_interval<'a>(words: impl Iterator<Item = &'a str>) -> Option<Interval> {
    let mut found = None;
    for interval in words.filter_map(interval_of_word) {
        if found.is_some_and(|before| before != interval) {
            return None;
        }
        found = Some(interval);
    }
    found
}

/// `1m`, `5min`, `1hour`, `M15`, `H1`. A capital `1M` is a month.
pub(super) fn interval_of_word(word: &str) -> Option<Interval> {
    let number = |digits: &str| {
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse::<u32>().ok())
            .flatten()
    };
    if let Some(minutes) = word.strip_prefix('M').and_then(number) {
        return Interval::from_minutes(minutes);
    }
    if let Some(hours) = word.strip_prefix('H').and_then(number) {
        return Interval::from_minutes(hours.checked_mul(60)?);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &word[digits.len()..];
    if unit == "M" || unit.is_empty() {
        return None;
    }
    number(digits)?;
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_csv_files() {
        assert_eq!(stem_of("SPY.csv"), Some(("SPY", Packing::Plain)));
        assert_eq!(stem_of("SPY.CSV.GZ"), Some(("SPY", Packing::Gzip)));
        assert_eq!(stem_of("2013-10.tsv.zst"), Some(("2013-10", Packing::Zstd)));
        assert_eq!(stem_of("aapl.us.txt"), Some(("aapl.us", Packing::Plain)));
        for name in ["README.md", "a.gz", ".csv", "._SPY.csv", "SPY.csv.zip", "é"] {
            assert_eq!(stem_of(name), None, "{name}");
        }
    }
}
