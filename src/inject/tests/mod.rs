//! The result doesn't depend on how a file is cut into blocks and pieces, nor on the number of
//! cores.

#![allow(clippy::disallowed_methods)] // tests make their files directly

use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

mod endings;
mod inputs;
mod mutate;

use super::block::BadRow;
use super::filename::Packing;
use super::layouts::FileName;
use super::open::{Opened, open};
use super::pieces::PieceReader;
use super::planner::Planner;
use super::source::Source;
use super::{FileError, Input, InputFiles, Limits, Settings, Sink, collect, run};
use crate::model::{Bar, Interval, OnConflict, Timestamp};
use crate::report::{Silent, Stop, UnitStatus};
use crate::store::{OpenOptions, Store};

const HEADER: &str = "note,ticker,timestamp,open,high,low,close,volume,trades\n";

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

fn files(settings: &Settings) -> InputFiles {
    collect(&settings.input, &Silent, &Stop::new()).unwrap()
}

/// Everything in a file: bars by ticker, in file order, and rejects.
fn all(text: &str, limits: Limits, pool: &ThreadPool) -> Found {
    let (found, failure) = read_as("x", Packing::Plain, text.as_bytes(), limits, pool).unwrap();
    assert!(failure.is_none(), "{failure:?}");
    found
}

/// Bars by ticker, in file order, and rejects.
type Found = (BTreeMap<String, Vec<Bar>>, Vec<BadRow>);

/// What is in a file, and the error if it ends early.
fn read_as(
    stem: &str,
    packing: Packing,
    bytes: &[u8],
    limits: Limits,
    pool: &ThreadPool,
) -> Result<(Found, Option<FileError>), FileError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let settings = Settings {
        interval: Some(Interval::M1),
        limits,
        ..Settings::new(Input::Files(Vec::new()))
    };
    let planner = Planner::new(&settings).unwrap();
    let source = Source::file(file.path(), Some(packing)).unwrap();
    let opened = open(
        &planner,
        &settings,
        &source,
        &FileName::read(stem),
        stem,
        || false,
    )?;
    let Some(Opened { plan, blocks, .. }) = opened else {
        return Ok(Default::default());
    };
    let mut reader = PieceReader::new(&limits, pool, &plan, blocks);
    let (mut bars, mut rejects) = (BTreeMap::<String, Vec<Bar>>::new(), Vec::new());
    loop {
        let (piece, failure) = reader.piece(|_, _| true)?;
        for group in piece.groups {
            let series = bars.entry(group.ticker.to_string()).or_default();
            series.extend(group.bars.iter());
        }
        rejects.extend(piece.rejects);
        if !reader.more() {
            return Ok(((bars, rejects), failure));
        }
        assert!(failure.is_none(), "a piece follows {failure:?}");
    }
}

/// A row of a file, plain or not.
fn row() -> impl Strategy<Value = String> {
    let note = prop_oneof![
        6 => Just("x".to_owned()),
        1 => Just("\"a,b\"".to_owned()),
        1 => Just("\"two\nlines, \"\"quoted\"\"\"".to_owned()),
        1 => Just("\"open".to_owned()),
        1 => Just("5\"".to_owned()),
    ];
    let volume = prop_oneof![8 => Just("100"), 1 => Just("1e2"), 1 => Just(" 7 "), 1 => Just("-1"), 1 => Just("")];
    let rest = (
        "[A-C]",
        0..1440_u32,
        volume,
        prop_oneof![Just(""), Just("12")],
    );
    prop_oneof![
        10 => (note, rest).prop_map(|(note, (ticker, minute, volume, trades))| {
            format!(
                "{note},{ticker},2025-11-02 {:02}:{:02}:00,10,12,9,11.25,{volume},{trades}",
                minute / 60, minute % 60
            )
        }),
        1 => Just(String::new()),
        1 => Just("half a row".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn blocks_of_any_size_have_the_same_result(
        rows in prop::collection::vec(row(), 1..60),
        block_bytes in 1..400_usize,
        in_parallel in any::<bool>(),
        line_end in prop_oneof![Just("\n"), Just("\r\n")],
        closed in any::<bool>(),
    ) {
        // The first rows must show the layout.
        let mut text = HEADER.to_owned();
        for minute in 0..20 {
            text += &format!("x,A,2025-11-01 09:{minute:02}:00,10,12,9,11,1,{line_end}");
        }
        text += &rows.join(line_end);
        if closed {
            text += line_end;
        }
        let pool = pool(2);
        let whole = all(&text, Limits::default(), &pool);
        let limits = Limits {
            block_bytes,
            parallel_bytes: if in_parallel { 0 } else { u64::MAX },
            ..Limits::default()
        };
        prop_assert_eq!(all(&text, limits, &pool), whole);
    }

    #[test]
    fn pieces_of_any_size_have_the_same_result(
        minutes in prop::collection::vec((0..3_usize, 600..1439_u32), 1..200),
        piece_rows in 1..50_usize,
        block_bytes in 50..400_usize,
        in_parallel in any::<bool>(),
    ) {
        let mut text = HEADER.to_owned();
        for (ticker, minute) in minutes {
            let ticker = ["A", "B", "C"][ticker];
            text += &format!("x,{ticker},2025-11-02 {:02}:{:02}:00,10,12,9,11,1,\n", minute / 60, minute % 60);
        }
        let pool = pool(2);
        let limits = Limits {
            block_bytes,
            parallel_bytes: if in_parallel { 0 } else { u64::MAX },
            piece_rows,
            ..Limits::default()
        };
        prop_assert_eq!(all(&text, limits, &pool), all(&text, Limits::default(), &pool));
    }
}

#[test]
fn pieces_are_cut_after_a_repeated_hour() {
    let mut text = HEADER.to_owned();
    for hour in ["00", "01", "01", "02"] {
        for minute in 0..60 {
            text += &format!("x,A,2025-11-02 {hour}:{minute:02}:00,10,12,9,11,1,\n");
        }
    }
    let limits = Limits {
        block_bytes: 64,
        piece_rows: 100,
        ..Limits::default()
    };
    let (bars, rejects) = all(&text, limits, &pool(1));
    assert_eq!((bars["A"].len(), rejects.len()), (240, 0));
    assert!(
        bars["A"]
            .windows(2)
            .all(|pair| pair[0].timestamp < pair[1].timestamp)
    );
}

#[test]
fn the_interval_of_a_file_in_pieces_is_detected_from_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    // Many bars five minutes apart, then an hour of bars a minute apart.
    let mut text = String::new();
    for at in 0..240 {
        text += &format!(
            "2025-01-02 {:02}:{:02}:00,10,12,9,11,100\n",
            at * 5 / 60,
            at * 5 % 60
        );
    }
    let path = dir.path().join("A.csv");
    std::fs::write(&path, &text).unwrap();
    let mut settings = Settings {
        output: Some(
            crate::export::Guard::default()
                .file(&dir.path().join("out.csv"))
                .unwrap(),
        ),
        limits: Limits {
            block_bytes: 200,
            piece_rows: 40,
            waiting_rows: 50,
            ..Limits::default()
        },
        ..Settings::new(Input::Files(vec![path.clone()]))
    };
    let intervals = |settings: &Settings| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let run_id = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        let sink = Sink::Store {
            store: &store,
            run: &run_id,
        };
        let report = run(sink, settings, files(settings), &Silent, &Stop::new()).unwrap();
        assert_eq!(report.status().code(), 0, "{report:?}");
        let series = store.reader().unwrap().series().unwrap();
        let rows: Vec<(Interval, u64)> = series
            .iter()
            .map(|row| (row.key.interval, row.rows))
            .collect();
        rows
    };
    assert_eq!(intervals(&settings), [(Interval::M5, 240)]);
    for minute in 0..60 {
        text += &format!("2025-01-02 20:{minute:02}:00,10,12,9,11,100\n");
    }
    std::fs::write(&path, text).unwrap();
    settings.threads = 1;
    assert_eq!(intervals(&settings), [(Interval::M1, 300)]);
    let rows = std::fs::read_to_string(dir.path().join("out.csv")).unwrap();
    assert_eq!(rows.lines().count(), 301);
}

/// A file that contradicts an earlier one only after its first pieces: these are stored, and none
/// of the pieces after.
#[test]
fn a_piece_that_contradicts_another_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let day = |first: u32, count: u32, price: u32| -> String {
        let row = |at: u32| {
            let (hour, minute) = (at / 60, at % 60);
            format!("2025-01-02 {hour:02}:{minute:02}:00,{price},{price},{price},{price},1\n")
        };
        (first..first + count).map(row).collect()
    };
    let paths = ["A_1.csv", "A_2.csv"].map(|name| dir.path().join(name));
    std::fs::write(&paths[0], day(200, 100, 10)).unwrap();
    std::fs::write(&paths[1], day(0, 400, 11)).unwrap();
    let settings = Settings {
        on_conflict: OnConflict::Update,
        limits: Limits {
            block_bytes: 200,
            piece_rows: 40,
            waiting_rows: 50,
            ..Limits::default()
        },
        ..Settings::new(Input::Files(paths.into()))
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let run_id = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let sink = Sink::Store {
        store: &store,
        run: &run_id,
    };
    let report = run(sink, &settings, files(&settings), &Silent, &Stop::new()).unwrap();
    let [first, second] = &report.files[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (first.counts.committed, first.status),
        (100, UnitStatus::Ok)
    );
    let error = second.error.clone().unwrap();
    assert!(
        error.contains("bars of A 1m compared with earlier files have other prices"),
        "{error}"
    );
    assert!(
        error.ends_with("A_1.csv; bars before them are stored"),
        "{error}"
    );
    let counts = second.counts;
    assert!((100..=200).contains(&counts.committed), "{counts:?}");
    assert_eq!(counts.updated, 0);
    let series = store.reader().unwrap().series().unwrap();
    assert_eq!(series[0].rows, 100 + counts.committed);
}
