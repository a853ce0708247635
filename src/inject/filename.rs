//! Names of files: which have bars, how they are packed, and intervals among their words.

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not packed.
    Plain,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
}

impl Packing {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }

    /// The end of its files' names.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Bzip2 => ".bz2",
            Self::Xz => ".xz",
        }
    }
}

const PACKED: [Packing; 4] = [Packing::Gzip, Packing::Zstd, Packing::Bzip2, Packing::Xz];

/// The ends of names of texts and JSON, which may be packed.
pub(super) const TEXTS: [&str; 5] = [".csv", ".txt", ".tsv", ".jsonl", ".ndjson"];
/// The ends of names of tables in columns.
const TABLES: [&str; 7] = [
    ".parquet", ".parq", ".pq", ".arrow", ".arrows", ".feather", ".ipc",
];

/// Splits a file's name into its stem and how it is packed; `None` if it isn't that of a file of
/// bars.
pub(super) fn stem_of(name: &str) -> Option<(&str, Packing)> {
    let table = TABLES.into_iter().find_map(|end| strip_end(name, end));
    let (stem, packing) = match table {
        Some(stem) => (stem, Packing::Plain),
        None => {
            let (name, packing) = PACKED
                .into_iter()
                .find_map(|packing| Some((strip_end(name, packing.ending())?, packing)))
                .unwrap_or((name, Packing::Plain));
            let stem = TEXTS.into_iter().find_map(|end| strip_end(name, end))?;
            (stem, packing)
        }
    };
    (!stem.is_empty() && !stem.starts_with('.')).then_some((stem, packing))
}

/// The stem of a name that may have any ending.
pub(super) fn any_stem_of(name: &str) -> (&str, Packing) {
    let json = || Some((strip_end(name, ".json")?, Packing::Plain));
    stem_of(name)
        .or_else(json)
        .unwrap_or((name, Packing::Plain))
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

/// The minutes that the words name, if they name exactly one interval.
pub(super) fn only_interval<'a>(words: impl Iterator<Item = &'a str>) -> Option<u32> {
    let mut found = None;
    for minutes in words.filter_map(minutes_of_word) {
        if found.is_some_and(|before| before != minutes) {
            return None;
        }
        found = Some(minutes);
    }
    found
}

/// The minutes of `1m`, `5min`, `1hour`, `M15`, `H4`, `1d`. A capital `1M` is a month or a minute.
pub(super) fn minutes_of_word(word: &str) -> Option<u32> {
    let number = |digits: &str| {
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse::<u32>().ok())
            .flatten()
            .filter(|number| *number > 0)
    };
    for (letter, minutes) in [('M', 1), ('H', 60), ('D', 1440), ('W', 10_080)] {
        let rest = word.strip_prefix(letter);
        let rest = rest.or_else(|| word.strip_prefix(letter.to_ascii_lowercase()));
        if let Some(count) = rest.and_then(number) {
            return count.checked_mul(minutes);
        }
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &word[digits.len()..];
    let minutes = match unit.to_ascii_lowercase().as_str() {
        "m" if unit == "m" => 1,
        "min" | "mins" | "minute" | "minutes" => 1,
        "h" | "hr" | "hour" | "hours" => 60,
        "d" | "day" | "days" => 1440,
        "w" | "week" | "weeks" => 10_080,
        _ => return None,
    };
    number(digits)?.checked_mul(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_csv_files() {
        assert_eq!(stem_of("SPY.csv"), Some(("SPY", Packing::Plain)));
        assert_eq!(stem_of("SPY.CSV.GZ"), Some(("SPY", Packing::Gzip)));
        assert_eq!(stem_of("2013-10.tsv.zst"), Some(("2013-10", Packing::Zstd)));
        assert_eq!(stem_of("a.txt.bz2"), Some(("a", Packing::Bzip2)));
        assert_eq!(stem_of("a.csv.XZ"), Some(("a", Packing::Xz)));
        assert_eq!(stem_of("aapl.us.txt"), Some(("aapl.us", Packing::Plain)));
        assert_eq!(stem_of("a.jsonl.gz"), Some(("a", Packing::Gzip)));
        assert_eq!(stem_of("a.Parquet"), Some(("a", Packing::Plain)));
        assert_eq!(any_stem_of("a.json"), ("a", Packing::Plain));
        for name in [
            "README.md",
            "a.gz",
            ".csv",
            "._SPY.csv",
            "SPY.csv.zip",
            "é",
            "a.json",
            "a.xlsx",
        ] {
            assert_eq!(stem_of(name), None, "{name}");
        }
    }
}
