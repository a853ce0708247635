//! Bundles on bytes: what verify lets through is what create wrote, and nothing else.

use std::io::{Cursor, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;

use super::archive::{MANIFEST, header, write_end, write_member};
use super::manifest::{member_path, sha256};
use super::*;
use crate::model::{
    Bar, Bars, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker, Timestamp,
};
use crate::report::{Silent, Stop};
use crate::store::lake::write::file_schema;
use crate::store::{Offer, OpenOptions, PartitionKey, Store};

/// 2025-01-02T14:30:00Z.
const START: i64 = 1_735_828_200_000_000;

fn bars(minutes: std::ops::Range<i64>, price: f64) -> Bars {
    minutes
        .map(|minute| Bar {
            timestamp: Timestamp::from_micros(START + minute * 60_000_000),
            open: price,
            high: price + 1.0,
            low: price - 0.5,
            close: price + 0.25,
            volume: minute as f64,
            vwap: (minute % 2 == 0).then_some(price),
            trades: (minute % 3 == 0).then_some(minute),
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
        asked_again: false,
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
        &mut out,
        &Silent,
        &Stop::new(),
    )
    .unwrap();
    out
}

/// Two partitions, one of two sources, and a name of more than a hundred bytes.
fn small() -> Vec<u8> {
    // Once: every store has an id of its own, and every commit.
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

fn verdict(bytes: &[u8]) -> Result<Manifest, String> {
    verify_bytes(bytes).map_err(|error| error.to_string())
}

#[test]
fn a_bundle_says_what_it_holds() {
    let manifest = verdict(&small()).unwrap();
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
fn every_flipped_bit_is_refused() {
    let sound = small();
    assert!(verdict(&sound).is_ok());
    let passed: Vec<usize> = (0..sound.len())
        .into_par_iter()
        .filter(|place| {
            let mut bytes = sound.clone();
            bytes[*place] ^= 1 << (place % 8);
            verdict(&bytes).is_ok()
        })
        .collect();
    assert_eq!(passed, Vec::<usize>::new(), "of {} bytes", sound.len());
}

#[test]
fn every_cut_and_whatever_follows_the_end_is_refused() {
    let sound = small();
    let passed: Vec<usize> = (0..sound.len())
        .into_par_iter()
        .filter(|length| length % 512 == 0 || length % 61 == 0 || sound.len() - length < 64)
        .filter(|length| verdict(&sound[..*length]).is_ok())
        .collect();
    assert_eq!(passed, Vec::<usize>::new());
    for more in [1, 512, 1_024, 10_240] {
        let mut longer = sound.clone();
        longer.resize(sound.len() + more, 0);
        assert!(verdict(&longer).is_err(), "{more} zeros more");
    }
    assert!(verdict(&[sound.as_slice(), sound.as_slice()].concat()).is_err());
}

/// Numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

/// Bytes changed as a fuzzer would: set, swapped, cut out, doubled.
fn mutate(sound: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let length = dice.below(600).min(bytes.len() - at);
        match dice.below(6) {
            0 => bytes[at] = [0, 0x7f, 0x80, 0xff][dice.below(4)],
            1 => bytes[at] = dice.below(256) as u8,
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let part = bytes[at..at + length].to_vec();
                let to = dice.below(bytes.len());
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

/// Fixed, and few: `BUNDLE_SEEDS=1000000` tries more of them.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("BUNDLE_SEEDS").ok();
    0..asked.map_or(1_500, |seeds| seeds.parse().unwrap())
}

/// A bundle as the program of November 2026 wrote it, and its first partition: what a later one must still read, and
/// the same bytes on every run.
const WRITTEN: &[u8] = include_bytes!("../../fuzz/corpus/bundle/small.tar");
const WRITTEN_PARTITION: &[u8] = include_bytes!("../../fuzz/corpus/bundle/bars.parquet");

#[test]
fn a_bundle_of_an_older_program_is_still_read() {
    let manifest = verdict(WRITTEN).unwrap();
    let tickers: Vec<&str> = manifest
        .partitions
        .iter()
        .map(|entry| entry.ticker.as_str())
        .collect();
    assert_eq!(tickers, ["^B", "A"]);
    assert_eq!(verify_partition_bytes(WRITTEN_PARTITION), Ok(3));
}

#[test]
fn mutated_bundles_neither_pass_nor_panic() {
    let sound = WRITTEN;
    seeds().into_par_iter().for_each(|seed| {
        let bytes = mutate(sound, &mut Dice(seed));
        assert!(bytes == sound || verdict(&bytes).is_err(), "seed {seed}");
    });
}

/// The bytes of the second member of [`small`]: the partition of A.
fn partition() -> Vec<u8> {
    let sound = small();
    let manifest = verdict(&sound).unwrap();
    let [first, second] = manifest.partitions.as_slice() else {
        panic!("{manifest:?}")
    };
    let padded = |bytes: u64| bytes.div_ceil(512) as usize * 512;
    let start = header(&first.path, first.bytes).len()
        + padded(first.bytes)
        + header(&second.path, second.bytes).len();
    sound[start..start + second.bytes as usize].to_vec()
}

#[test]
fn mutated_partitions_do_not_pass_for_others() {
    seeds().into_par_iter().for_each(|seed| {
        let bytes = mutate(WRITTEN_PARTITION, &mut Dice(seed));
        // A change where nothing is read, as in a statistic, may pass: then its rows are those of the footer's hash.
        if let Ok(rows) = verify_partition_bytes(&bytes) {
            assert_eq!(rows, 3, "seed {seed}");
        }
    });
    // Some of those at which Parquet's reader panics.
    for seed in [22_774, 36_675, 44_907, 45_934, 55_993, 56_204] {
        let bytes = mutate(WRITTEN_PARTITION, &mut Dice(seed));
        let refused = verdict(&bundle_around(&path_of("A"), &bytes)).unwrap_err();
        assert!(refused.contains("is damaged: "), "{refused}");
        assert!(!is_guarded());
    }
}

/// A bundle whose only partition is `bytes`, all its hashes right.
fn bundle_around(path: &str, bytes: &[u8]) -> Vec<u8> {
    let mut manifest = verdict(&small()).unwrap();
    manifest.partitions.remove(0);
    let entry = &mut manifest.partitions[0];
    path.clone_into(&mut entry.path);
    entry.bytes = bytes.len() as u64;
    entry.sha256 = sha256(bytes);
    manifest.totals = Totals::of(&manifest.partitions);
    let mut out = Vec::new();
    write_member(&mut out, path, bytes).unwrap();
    write_end(&mut out, &manifest.to_bytes()).unwrap();
    out
}

fn path_of(ticker: &str) -> String {
    member_path(&PartitionKey {
        series: SeriesKey {
            interval: Interval::M1,
            ticker: Ticker::new(ticker).unwrap(),
        },
        year: 2025,
    })
}

/// A partition's columns with `rows` rows, written as `properties` say.
fn forged(rows: i64, source: &str, properties: WriterProperties) -> Vec<u8> {
    let timestamps: Vec<i64> = (0..rows).map(|row| START + row * 60_000_000).collect();
    let prices = || -> ArrayRef { Arc::new(Float64Array::from(vec![1.0; rows as usize])) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(timestamps).with_timezone("UTC")),
        prices(),
        prices(),
        prices(),
        prices(),
        prices(),
        Arc::new(Float64Array::new_null(rows as usize)),
        Arc::new(Int64Array::new_null(rows as usize)),
        Arc::new(StringArray::from(vec![source; rows as usize])),
        Arc::new(Int64Array::from(vec![1; rows as usize])),
    ];
    let batch = RecordBatch::try_new(file_schema(), columns).unwrap();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, file_schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

#[test]
fn a_partition_that_would_unpack_to_very_much_is_refused_before_it_is_unpacked() {
    let zstd = parquet::basic::Compression::ZSTD(Default::default());
    let one_page = WriterProperties::builder()
        .set_compression(zstd)
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(1 << 30)
        .set_data_page_row_count_limit(1 << 30)
        .set_write_batch_size(1 << 20)
        .build();
    let bomb = forged(20_000, &"x".repeat(1_000), one_page);
    assert!(bomb.len() < 1 << 18, "{} bytes for 20 MB", bomb.len());
    let refused = verdict(&bundle_around(&path_of("A"), &bomb)).unwrap_err();
    assert!(refused.contains("would unpack to more"), "{refused}");

    // More rows than a year has minutes.
    let many = forged(
        600_000,
        "csv",
        WriterProperties::builder().set_compression(zstd).build(),
    );
    let refused = verdict(&bundle_around(&path_of("A"), &many)).unwrap_err();
    assert!(refused.contains("more rows than a year"), "{refused}");

    // A footer that is not a partition's.
    let plain = forged(
        3,
        "csv",
        WriterProperties::builder().set_compression(zstd).build(),
    );
    let refused = verdict(&bundle_around(&path_of("A"), &plain)).unwrap_err();
    assert!(refused.contains("the footer lacks"), "{refused}");

    let schema = Arc::new(Schema::new(vec![Field::new(
        "x",
        arrow::datatypes::DataType::Int64,
        false,
    )]));
    let batch =
        RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    let mut other = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut other, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for bytes in [
        other.as_slice(),
        b"PAR1".as_slice(),
        b"PAR1\xff\xff\xff\x7fPAR1".as_slice(),
        &[],
    ] {
        let refused = verdict(&bundle_around(&path_of("A"), bytes)).unwrap_err();
        assert!(refused.contains("is damaged"), "{refused}");
    }
}

#[test]
fn a_partition_of_another_place_is_refused_though_all_hashes_are_right() {
    let sound = partition();
    verdict(&bundle_around(&path_of("A"), &sound)).unwrap();
    for path in [
        path_of("B"),
        path_of("A").replace("2025", "2024"),
        path_of("A").replace("1m", "5m"),
        format!("/{}", path_of("A")),
        format!("../{}", path_of("A")),
        format!("lake/../../{}", path_of("A")),
        format!("./{}", path_of("A")),
        path_of("A").replace("bars", "cars"),
        "a/".repeat(200) + "bars.parquet",
        "manifest.sha256".to_owned(),
    ] {
        assert!(verdict(&bundle_around(&path, &sound)).is_err(), "{path}");
    }
}

type ChangeEntry<'a> = &'a dyn Fn(&mut Entry);
type ChangeManifest<'a> = &'a dyn Fn(&mut Manifest);

#[test]
fn facts_that_the_manifest_gets_wrong_are_named() {
    let sound = small();
    let manifest = verdict(&sound).unwrap();
    let members = sound.len() - bundle_end(&manifest).len();
    let with = |change: ChangeManifest| {
        let mut other = manifest.clone();
        change(&mut other);
        other.totals = Totals::of(&other.partitions);
        verdict(&[&sound[..members], &bundle_end(&other)].concat())
    };
    assert!(with(&|_| {}).is_ok());
    let entry: [(&str, ChangeEntry); 12] = [
        ("rows", &|entry| entry.rows += 1),
        ("first", &|entry| {
            entry.first = "2025-01-02T14:29:00Z".into();
        }),
        ("last", &|entry| entry.last = "2025-01-02T14:39:00Z".into()),
        ("commit_seq_first", &|entry| entry.commit_seq_first += 1),
        ("commit_seq_last", &|entry| entry.commit_seq_last -= 1),
        ("footer_commit_id", &|entry| {
            entry.footer_commit_id = entry.store_id;
        }),
        ("store_id", &|entry| entry.store_id = entry.footer_commit_id),
        ("row_hash", &|entry| entry.row_hash.replace_range(..1, "x")),
        ("sources", &|entry| entry.sources = vec!["demo2".into()]),
        ("exchange", &|entry| entry.exchange = "XETRA".into()),
        ("basis", &|entry| entry.basis = "unadjusted".into()),
        ("hours", &|entry| entry.hours = "regular".into()),
    ];
    for (fact, change) in entry {
        let refused = with(&|manifest| change(&mut manifest.partitions[1])).unwrap_err();
        assert!(refused.contains(&format!("{fact} is")), "{fact}: {refused}");
    }
    let whole: [ChangeManifest; 8] = [
        &|manifest| manifest.partitions.swap(0, 1),
        &|manifest| drop(manifest.partitions.pop()),
        &|manifest| drop(manifest.partitions.remove(0)),
        &|manifest| manifest.partitions.push(manifest.partitions[1].clone()),
        &|manifest| manifest.commit = None,
        &|manifest| manifest.filter.tickers = Some(vec!["A".into()]),
        &|manifest| manifest.filter.start = chrono::NaiveDate::from_ymd_opt(2025, 1, 3),
        &|manifest| manifest.partitions[0].sources = vec!["demo".into()],
    ];
    for (place, change) in whole.into_iter().enumerate() {
        assert!(with(change).is_err(), "change {place}");
    }
    let mut totals = manifest.clone();
    totals.totals.rows += 1;
    assert!(verdict(&[&sound[..members], &bundle_end(&totals)].concat()).is_err());
}

fn bundle_end(manifest: &Manifest) -> Vec<u8> {
    let mut end = Vec::new();
    write_end(&mut end, &manifest.to_bytes()).unwrap();
    end
}

#[test]
fn members_that_do_not_belong_are_named_before_anything_is_read() {
    let sound = small();
    let manifest = verdict(&sound).unwrap();
    let path = path_of("A");
    let front = |make: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        make(&mut bytes);
        bytes.write_all(&sound).unwrap();
        verdict(&bytes).unwrap_err()
    };
    let twice = front(&|out| write_member(out, &manifest.partitions[0].path, b"x").unwrap());
    assert!(twice.contains("stands there twice"), "{twice}");
    let order = front(&|out| write_member(out, &path_of("Z"), b"x").unwrap());
    assert!(order.contains("stands behind"), "{order}");
    let stranger = front(&|out| write_member(out, "README", b"x").unwrap());
    assert!(stranger.contains("does not belong"), "{stranger}");
    let outside = front(&|out| write_member(out, "../../etc/passwd", b"x").unwrap());
    assert!(outside.contains("leads out"), "{outside}");
    // Eight gigabytes and more, in a file of a few kilobytes.
    let huge = front(&|out| out.extend(header(&path, (1 << 33) - 1)));
    assert!(huge.contains("is said to have"), "{huge}");
    let huge = front(&|out| out.extend(header(MANIFEST, (1 << 33) - 1)));
    assert!(huge.contains("is said to have"), "{huge}");
    let cut = front(&|out| out.extend(header(&path, 60 << 20)));
    assert!(cut.contains("cut off"), "{cut}");
    for kind in [b'1', b'2', b'5', b'x', b'g', b'K', 0] {
        let link = front(&|out| {
            let mut head = header(&path, 0);
            head[156] = kind;
            // With a checksum that is right.
            head[148..156].copy_from_slice(b"        ");
            let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
            head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            out.extend(head);
        });
        assert!(link.contains("it is no bundle"), "{kind}: {link}");
    }
}

#[test]
fn a_bundle_applied_is_the_store_again() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&from);
    commit(&store, "A", "csv", bars(0..500, 10.0));
    commit(&store, "A", "fmp", bars(700..900, 11.0));
    commit(&store, "A", "csv", bars(500..700, 11.0));
    commit(&store, "B", "fmp", bars(0..20, 10.0));
    let bytes = bundle_of(&store);
    let target = open(&to);
    for time in 0..2 {
        let archive = Archive::open(Cursor::new(bytes.clone())).unwrap();
        let sound = verify(archive, &Silent, &Stop::new()).unwrap();
        let run = target
            .begin_run("apply", Timestamp::from_micros(START))
            .unwrap();
        let at = Timestamp::from_micros(START + time);
        let report = apply(
            &target,
            &run,
            sound,
            "b",
            OnConflict::Fail,
            at,
            &Silent,
            &Stop::new(),
        )
        .unwrap();
        let committed = if time == 0 { 920 } else { 0 };
        assert_eq!(report.totals.committed, committed);
        assert_eq!(report.totals.skipped_identical, 920 - committed);
        assert_eq!(report.status().exit_code(), 0);
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
