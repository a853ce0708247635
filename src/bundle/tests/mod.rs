//! Bundles in memory: verify accepts what create wrote, and nothing else.

mod forged;

use std::io::Cursor;
use std::sync::OnceLock;
use std::time::Duration;

use arrow::array::StringArray;
use rayon::prelude::*;

use super::*;
use crate::calendar::Overrides;
use crate::model::{
    Bar, Bars, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker, Timestamp,
};
use crate::report::{Observer, RunReport, Silent, Stop};
use crate::store::{Offer, OpenOptions, Store};
use forged::{bundle_around, path_of};

/// 2025-01-02T14:30:00Z.
const START: i64 = 1_735_828_200_000_000;

fn bars(minutes: std::ops::Range<i64>, price: f64) -> Bars {
    minutes
        .map(|minute| Bar {
            vwap: (minute % 2 == 0).then_some(price),
            trades: (minute % 3 == 0).then_some(minute),
            ..Bar::new(
                Timestamp::from_micros(START + minute * 60_000_000),
                [price, price + 1.0, price - 0.5, price + 0.25],
                minute as f64,
            )
        })
        .collect()
}

fn open(dir: &tempfile::TempDir) -> Store {
    let options = OpenOptions {
        memory_limit_mib: 64,
        threads: 1,
        wait_for_readers: Duration::ZERO,
        ..OpenOptions::default()
    };
    Store::open(dir.path(), &options).unwrap()
}

fn commit(store: &Store, ticker: &str, source: &str, bars: Bars) {
    let run = store
        .begin_run("test", Timestamp::from_micros(START))
        .unwrap();
    let offer = Offer {
        series: SeriesKey {
            interval: Interval::M1,
            ticker: Ticker::new(ticker).unwrap(),
        },
        provenance: Provenance {
            exchange: "NASDAQ".into(),
            basis: Basis::Unknown,
            hours: Hours::Unknown,
        },
        source: Source::new(source),
        bars,
        on_conflict: OnConflict::Fail,
        is_repeated_request: false,
        coverage: Vec::new(),
    };
    store.commit(&run, vec![offer]).unwrap().remove(0).unwrap();
}

fn bundle_of(store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    create(
        store,
        &Filter::default(),
        None,
        &Overrides::default(),
        &mut out,
        &Silent,
        &Stop::new(),
    )
    .unwrap();
    out
}

/// Two partitions: one with bars of two sources, one with a path of more than 100 bytes.
fn small() -> Vec<u8> {
    // Made once: store and commit ids differ each time.
    static SMALL: OnceLock<Vec<u8>> = OnceLock::new();
    let made = SMALL.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        commit(&store, "A", "csv", bars(0..3, 10.0));
        commit(&store, "A", "fmp", bars(5..8, 11.0));
        commit(&store, &"^".repeat(30), "fmp", bars(0..2, 10.0));
        bundle_of(&store)
    });
    made.clone()
}

fn verify_text(bytes: &[u8]) -> Result<Manifest, String> {
    verify_bytes(bytes).map_err(|error| error.to_string())
}

#[test]
fn a_manifest_lists_what_the_bundle_holds() {
    let manifest = verify_text(&small()).unwrap();
    let [first, second] = manifest.partitions.as_slice() else {
        panic!("{manifest:?}")
    };
    assert!(first.ticker == "^".repeat(30) && first.path.len() > 100);
    assert_eq!(second.ticker, "A");
    assert_eq!((second.rows, second.year), (6, 2025));
    assert_eq!(second.first, "2025-01-02T14:30:00Z");
    assert_eq!(second.last, "2025-01-02T14:37:00Z");
    assert_eq!(second.sources, ["csv", "fmp"]);
    assert_eq!((second.commit_seq_first, second.commit_seq_last), (1, 2));
    assert_eq!(manifest.totals.rows, 8);
    assert_eq!(manifest.commit.as_ref().unwrap().seq, 3);
    assert_eq!(manifest.commit.unwrap().at.unwrap(), "2025-01-02T14:30:00Z");
}

#[test]
fn dates_are_in_the_manifest_as_instants() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    commit(&store, "A", "csv", bars(0..3_000, 10.0));
    let day = chrono::NaiveDate::from_ymd_opt(2025, 1, 3);
    let filter = Filter::new(&[], None, day, day);
    let mut out = Vec::new();
    create(
        &store,
        &filter,
        None,
        &Overrides::default(),
        &mut out,
        &Silent,
        &Stop::new(),
    )
    .unwrap();
    let manifest = verify_text(&out).unwrap();
    let span = &manifest.spans["NASDAQ"];
    assert_eq!(span.start.as_deref(), Some("2025-01-03T05:00:00Z"));
    assert_eq!(span.end.as_deref(), Some("2025-01-04T05:00:00Z"));
    assert_eq!(manifest.totals.rows, 1_440);
    assert_eq!(manifest.totals.first, span.start);
    assert_eq!(
        manifest.totals.last.as_deref(),
        Some("2025-01-04T04:59:00Z")
    );
    let changes: [&dyn Fn(&mut Manifest); 6] = [
        &|manifest| manifest.spans.clear(),
        &|manifest| {
            let span = manifest.spans["NASDAQ"].clone();
            manifest.spans.insert("XETRA".into(), span);
        },
        &|manifest| span_of(manifest).start = None,
        &|manifest| span_of(manifest).start = Some("2025-01-03T05:01:00Z".into()),
        &|manifest| span_of(manifest).end = Some("2025-01-04T04:59:00Z".into()),
        &|manifest| span_of(manifest).end = Some("2025-01-04T05:00:00+00:00".into()),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = manifest.clone();
        change(&mut other);
        assert!(
            Manifest::from_bytes(&other.to_bytes()).is_err(),
            "change {index}"
        );
    }
}

fn span_of(manifest: &mut Manifest) -> &mut Span {
    manifest.spans.get_mut("NASDAQ").unwrap()
}

#[test]
fn every_flipped_bit_is_refused() {
    let valid = small();
    assert!(verify_text(&valid).is_ok());
    let passed: Vec<usize> = (0..valid.len())
        .into_par_iter()
        .filter(|index| {
            let mut bytes = valid.clone();
            bytes[*index] ^= 1 << (index % 8);
            verify_text(&bytes).is_ok()
        })
        .collect();
    assert_eq!(passed, Vec::<usize>::new(), "of {} bytes", valid.len());
}

#[test]
fn cut_and_extended_bundles_are_refused() {
    let valid = small();
    let passed: Vec<usize> = (0..valid.len())
        .into_par_iter()
        .filter(|length| length % 512 == 0 || length % 61 == 0 || valid.len() - length < 64)
        .filter(|length| verify_text(&valid[..*length]).is_ok())
        .collect();
    assert_eq!(passed, Vec::<usize>::new());
    for more in [1, 512, 1_024, 10_240] {
        let mut longer = valid.clone();
        longer.resize(valid.len() + more, 0);
        assert!(verify_text(&longer).is_err(), "{more} more zero bytes");
    }
    assert!(verify_text(&[valid.as_slice(), valid.as_slice()].concat()).is_err());
}

/// A pseudo-random sequence that only depends on the seed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

/// Changes bytes as a fuzzer does: sets, reverses, cuts out and doubles some.
fn mutate(valid: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len());
        let length = rng.below(600).min(bytes.len() - at);
        match rng.below(6) {
            0 => bytes[at] = [0, 0x7f, 0x80, 0xff][rng.below(4)],
            1 => bytes[at] = rng.below(256) as u8,
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let part = bytes[at..at + length].to_vec();
                let to = rng.below(bytes.len());
                bytes.splice(to..to, part);
            }
            4 => bytes[at..at + length].reverse(),
            _ => bytes.truncate(at),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// A few fixed seeds. `BUNDLE_SEEDS=1000000` tries more.
fn seeds() -> std::ops::Range<u64> {
    let wanted = std::env::var("BUNDLE_SEEDS").ok();
    0..wanted.map_or(1_500, |seeds| seeds.parse().unwrap())
}

/// A bundle of November 2026 and one of its partitions: later versions must still read them.
const WRITTEN: &[u8] = include_bytes!("../../../fuzz/corpus/bundle/small.tar");
const WRITTEN_PARTITION: &[u8] = include_bytes!("../../../fuzz/corpus/bundle/bars.parquet");
/// A partition with three row groups, each with its hash.
const WRITTEN_GROUPS: &[u8] = include_bytes!("../../../fuzz/corpus/bundle/groups.parquet");

#[test]
fn a_bundle_of_an_older_program_is_still_read() {
    let manifest = verify_text(WRITTEN).unwrap();
    let tickers: Vec<&str> = manifest
        .partitions
        .iter()
        .map(|entry| entry.ticker.as_str())
        .collect();
    assert_eq!(tickers, ["^B", "A"]);
    assert_eq!(verify_partition_bytes(WRITTEN_PARTITION), Ok(3));
    assert_eq!(verify_partition_bytes(WRITTEN_GROUPS), Ok(7));
}

#[test]
fn mutated_bundles_are_refused_without_a_panic() {
    let valid = WRITTEN;
    seeds().into_par_iter().for_each(|seed| {
        let bytes = mutate(valid, &mut Rng(seed));
        assert!(
            bytes == valid || verify_text(&bytes).is_err(),
            "seed {seed}"
        );
    });
}

#[test]
fn mutated_partitions_have_the_right_rows_or_are_refused() {
    seeds().into_par_iter().for_each(|seed| {
        for (written, rows) in [(WRITTEN_PARTITION, 3), (WRITTEN_GROUPS, 7)] {
            let bytes = mutate(written, &mut Rng(seed));
            // A change in bytes that aren't read, as in a statistic, may pass: the rows have the right hash.
            if let Ok(found) = verify_partition_bytes(&bytes) {
                assert_eq!(found, rows, "seed {seed}");
            }
        }
    });
    // Parquet's reader panics at these.
    for seed in [22_774, 36_675, 44_907, 45_934, 55_993, 56_204] {
        let bytes = mutate(WRITTEN_PARTITION, &mut Rng(seed));
        let refused = verify_text(&bundle_around(&path_of("A"), &bytes)).unwrap_err();
        assert!(refused.contains("is damaged: "), "{refused}");
        assert!(!is_guarded());
    }
}

/// Verifies and applies a bundle, `time` microseconds after the first.
fn applied(
    target: &Store,
    bytes: &[u8],
    on_conflict: OnConflict,
    time: i64,
    observer: &dyn Observer,
) -> Result<RunReport, Error> {
    let archive = Archive::open(Cursor::new(bytes.to_vec())).unwrap();
    let valid = verify(archive, &Silent, &Stop::new()).unwrap();
    let run = target
        .begin_run("apply", Timestamp::from_micros(START))
        .unwrap();
    let at = Timestamp::from_micros(START + time);
    apply(
        target,
        &run,
        valid,
        "b",
        on_conflict,
        at,
        observer,
        &Stop::new(),
    )
}

#[test]
fn a_forged_commit_number_does_not_block_true_bundles() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&from);
    commit(&store, "A", "csv", bars(0..10, 10.0));
    let first = bundle_of(&store);
    commit(&store, "B", "csv", bars(0..10, 10.0));
    let second = bundle_of(&store);
    let manifest = verify_text(&first).unwrap();
    let forged = |seq: u64| {
        let mut claims = manifest.clone();
        claims.commit.as_mut().unwrap().seq = seq;
        let members = first.len() - forged::bundle_end(&manifest).len();
        [&first[..members], &forged::bundle_end(&claims)].concat()
    };
    let refused = verify_text(&forged(1 << 63)).unwrap_err();
    assert!(refused.contains("is out of range"), "{refused}");

    let target = open(&to);
    let update = |bytes: &[u8], time: i64| {
        applied(&target, bytes, OnConflict::Update, time, &Silent).unwrap()
    };
    let is_refused = |bytes: &[u8]| {
        let order = check_order(&target.reader().unwrap(), &verify_text(bytes).unwrap());
        matches!(order, Err(Error::Superseded { .. }))
    };
    update(&first, 0);
    update(&second, 1);
    // An older bundle is refused, also one that was never applied.
    assert!(is_refused(&first) && !is_refused(&second));
    // A forged one makes true ones look older; without the check they are applied.
    update(&forged(i64::MAX as u64), 2);
    assert!(is_refused(&second));
    assert_eq!(update(&second, 3).totals.skipped_identical, 20);
}

#[test]
fn an_applied_bundle_gives_the_same_store() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&from);
    commit(&store, "A", "csv", bars(0..500, 10.0));
    commit(&store, "A", "fmp", bars(700..900, 11.0));
    commit(&store, "A", "csv", bars(500..700, 11.0));
    commit(&store, "B", "fmp", bars(0..20, 10.0));
    let bytes = bundle_of(&store);
    let target = open(&to);
    for time in 0..2 {
        let report = applied(&target, &bytes, OnConflict::Fail, time, &Silent).unwrap();
        let committed = if time == 0 { 920 } else { 0 };
        assert_eq!(report.totals.committed, committed);
        assert_eq!(report.totals.skipped_identical, 920 - committed);
        assert_eq!(report.status().code(), 0);
    }
    let rows = |store: &Store| -> Vec<String> {
        let reader = store.reader().unwrap();
        let mut rows = Vec::new();
        for series in reader.series().unwrap() {
            for batch in reader
                .scan(&series.key, crate::model::TimeRange::ALL)
                .unwrap()
            {
                let batch = batch.unwrap();
                let staged = crate::store::bars_from_batch(&batch).unwrap();
                let source =
                    arrow::compute::cast(batch.column(8), &arrow::datatypes::DataType::Utf8)
                        .unwrap();
                let source = source.as_any().downcast_ref::<StringArray>().unwrap();
                rows.extend(
                    staged
                        .iter()
                        .zip(source.iter())
                        .map(|(bar, source)| format!("{} {bar:?} {source:?}", series.key)),
                );
            }
        }
        rows
    };
    let (before, after) = (rows(&store), rows(&target));
    assert_eq!(before.len(), 920);
    assert_eq!(before, after);
    let reader = target.reader().unwrap();
    let applied = reader.applied_bundles().unwrap();
    assert_eq!(applied.len(), 1, "recorded once: {applied:?}");
    assert_eq!(applied[0].bars, 920);
    assert_eq!(applied[0].store_id, store.store_id());
}
