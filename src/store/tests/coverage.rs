//! How coverage is recorded: entries that later windows extend.

use super::*;
use crate::model::DateRange;
use crate::store::{CoverageEntry, CoverageStatus};

fn entry(ticker: &str, first: &str, last: &str, asked_at: i64) -> CoverageEntry {
    CoverageEntry {
        series: key(ticker),
        provider: "fmp".into(),
        provenance: provenance(),
        dates: DateRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap(),
        status: CoverageStatus::Rows,
        rows: 10,
        reason: None,
        asked_at: Timestamp::from_micros(asked_at),
    }
}

#[test]
fn the_windows_of_a_run_extend_one_entry_per_series() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let tickers: Vec<String> = (0..600).map(|n| format!("O'{n}")).collect();
    let record = |first: &str, last: &str, asked_at: i64| {
        let entries: Vec<CoverageEntry> = (tickers.iter())
            .map(|ticker| entry(ticker, first, last, asked_at))
            .collect();
        store.record_coverage(&run, &entries).unwrap();
    };
    record("2025-02-03", "2025-02-05", -1);
    record("2025-02-06", "2025-02-07", 1_700_000_000_123_456);
    // Another run doesn't extend them.
    let next = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let later = entry(&tickers[0], "2025-02-10", "2025-02-10", 2);
    store.record_coverage(&next, &[later]).unwrap();

    let reader = store.reader().unwrap();
    for (index, ticker) in tickers.iter().enumerate() {
        let found = reader.coverage("fmp", &key(ticker)).unwrap();
        assert_eq!(found.len(), 1 + usize::from(index == 0), "{ticker}");
        let extended = CoverageEntry {
            rows: 20,
            ..entry(ticker, "2025-02-03", "2025-02-07", 1_700_000_000_123_456)
        };
        assert!(found.contains(&extended), "{found:?}");
    }
}
