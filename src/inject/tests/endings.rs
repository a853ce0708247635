//! Files that are incomplete, that change, or that can be read only once.

use std::io::Read;

use super::*;
use crate::inject::FileError;
use crate::model::Reason;
use crate::report::{Event, Observer};

/// Files in all forms of dates and numbers that one row doesn't decide.
fn forms() -> Vec<String> {
    let rows = |row: &dyn Fn(u32, u32) -> String| -> String {
        (6..10)
            .flat_map(|day| (0..4).map(move |at| (day, at)))
            .map(|(day, at)| row(day, at) + "\n")
            .collect()
    };
    vec![
        rows(&|day, at| format!("2025-01-{day:02} 09:3{at}:00,110.125,112.5,109.75,111,12345")),
        rows(&|day, at| format!("{day:02}/01/2025,09:3{at},110.125,112.5,109.75,111,12345")),
        rows(&|day, at| format!("01/{day:02}/2025,09:3{at},110.125,112.5,109.75,111,12345")),
        rows(&|day, at| format!("2025-01-{day:02} 09:3{at};5,001;5,009;5,000;5,00{at}.25;1,234")),
        rows(&|day, at| {
            let close = if day == 9 { "5,001.5" } else { "5,001" };
            format!("{day:02}-01-2025 09:3{at}\t5,001\t5,009\t5,000\t{close}\t1,234")
        }),
        rows(&|day, at| {
            let close = if day == 9 { "5,25" } else { "5,001" };
            format!("{day:02}.01.2025 09:3{at};5,001;6,002;5,000;{close};1.234.567")
        }),
        rows(&|day, at| {
            format!(
                "\"2025-01-{day:02} 09:3{at}\",\"1.010,5\",\"1.012,25\",\"1.009\",\"1.011,125\",\"100\""
            )
        }),
    ]
}

#[test]
fn a_file_cut_anywhere_has_only_values_of_the_whole_file() {
    let pool = pool(1);
    let limits = Limits::default();
    for text in forms() {
        let ((whole, rejects), _) =
            read_as("A", Packing::Plain, text.as_bytes(), limits, &pool).unwrap();
        assert_eq!((whole["A"].len(), rejects.len()), (16, 0), "{text}");
        for cut in 0..text.len() {
            let half = &text.as_bytes()[..cut];
            // A part that doesn't decide the forms is refused.
            let Ok(((found, rejects), failure)) = read_as("A", Packing::Plain, half, limits, &pool)
            else {
                continue;
            };
            assert!(failure.is_none(), "{failure:?}");
            let bars = found.get("A").map_or(0, Vec::len);
            assert_eq!(
                found.get("A").map(Vec::as_slice).unwrap_or_default(),
                &whole["A"][..bars],
                "cut at {cut}: {text}"
            );
            assert!(rejects.len() <= 1, "cut at {cut}: {rejects:?}");
        }
        for packing in PACKED {
            let packed = pack(packing, text.as_bytes());
            // In the first bytes it isn't known yet how it is packed.
            for cut in 10..packed.len() {
                let part = &packed[..cut];
                let Ok(((found, _), failure)) = read_as("A", packing, part, limits, &pool) else {
                    continue;
                };
                assert!(failure.is_some(), "{packing:?} cut at {cut}");
                let bars = found.get("A").map_or(0, Vec::len);
                assert_eq!(
                    found.get("A").map(Vec::as_slice).unwrap_or_default(),
                    &whole["A"][..bars],
                    "{packing:?} cut at {cut}: {text}"
                );
            }
        }
    }
}

const PACKED: [Packing; 4] = [Packing::Gzip, Packing::Zstd, Packing::Bzip2, Packing::Xz];

fn pack(packing: Packing, text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut read = |mut packer: Box<dyn Read + '_>| packer.read_to_end(&mut packed).unwrap();
    match packing {
        Packing::Plain => read(Box::new(text)),
        Packing::Gzip => read(Box::new(flate2::bufread::GzEncoder::new(
            text,
            flate2::Compression::fast(),
        ))),
        Packing::Zstd => read(Box::new(
            zstd::stream::read::Encoder::with_buffer(text, 1).unwrap(),
        )),
        Packing::Bzip2 => read(Box::new(bzip2::bufread::BzEncoder::new(
            text,
            bzip2::Compression::fast(),
        ))),
        Packing::Xz => read(Box::new(liblzma::bufread::XzEncoder::new(text, 1))),
    };
    packed
}

#[test]
fn all_members_of_a_packed_file_are_read() {
    let half = |hour: u32| -> String {
        (0..40)
            .map(|at| format!("2025-01-02 {hour:02}:{at:02}:00,10,12,9,11,100\n"))
            .collect()
    };
    let (limits, pool) = (Limits::default(), pool(1));
    for packing in PACKED {
        let mut packed = pack(packing, half(10).as_bytes());
        packed.extend(pack(packing, half(11).as_bytes()));
        let ((bars, rejects), failure) = read_as("A", packing, &packed, limits, &pool).unwrap();
        assert!(failure.is_none(), "{packing:?}: {failure:?}");
        assert_eq!((bars["A"].len(), rejects.len()), (80, 0), "{packing:?}");
        packed.truncate(packed.len() - 4);
        let (_, failure) = read_as("A", packing, &packed, limits, &pool).unwrap();
        assert!(
            matches!(failure, Some(FileError::CutShort { .. })),
            "{packing:?}"
        );
    }
}

#[test]
fn the_end_of_a_file_is_reported_for_any_size_of_pieces() {
    let row = |at: usize| format!("2025-01-02 09:{at:02}:00,10,12,9,11,100\n");
    let rows: String = (0..40).map(row).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(rows.as_bytes()).unwrap();
    let mut packed = packed.finish().unwrap();
    // Without its checksum: all rows are there, but the stream is incomplete.
    packed.truncate(packed.len() - 8);
    let long = rows.clone() + &"x".repeat(9 << 20) + "\n" + &row(50);
    for in_parallel in [false, true] {
        for piece_rows in [1, 7, 40, 1000] {
            let limits = Limits {
                block_bytes: 100,
                parallel_bytes: if in_parallel { 0 } else { u64::MAX },
                piece_rows,
                ..Limits::default()
            };
            let pool = pool(2);
            let ((bars, rejects), failure) =
                read_as("A", Packing::Gzip, &packed, limits, &pool).unwrap();
            assert!(
                matches!(failure, Some(FileError::CutShort { line: 40, .. })),
                "{piece_rows}: {failure:?}"
            );
            assert_eq!((bars["A"].len(), rejects.len()), (40, 0), "{piece_rows}");
            let ((bars, rejects), failure) =
                read_as("A", Packing::Plain, long.as_bytes(), limits, &pool).unwrap();
            assert!(
                matches!(failure, Some(FileError::LongLine { line: 41, .. })),
                "{piece_rows}: {failure:?}"
            );
            assert_eq!(bars["A"].len(), 40, "{piece_rows}");
            let rejects: Vec<_> = rejects.iter().map(|row| (row.line, row.reason)).collect();
            assert_eq!(rejects, [(41, Reason::LineTooLong)], "{piece_rows}");
            let open = &rows[..rows.len() - 1];
            let (bars, rejects) = all(open, limits, &pool);
            assert_eq!(bars["X"].len(), 39, "{piece_rows}");
            let rejects: Vec<_> = rejects.iter().map(|row| (row.line, row.reason)).collect();
            assert_eq!(rejects, [(40, Reason::NoLineEnd)], "{piece_rows}");
        }
    }
}

/// Changes a file once some of it was read.
struct FileChanger<'p>(&'p std::path::Path);

impl Observer for FileChanger<'_> {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Progress { done: 1.., bars: 0 }) {
            std::fs::write(self.0, "2025-01-02 09:30:00,10,12,9,11,100\n").unwrap();
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("A.csv");
    let rows: String = (0..40)
        .map(|at| format!("2025-01-02 09:{at:02}:00,10,12,9,11,100\n"))
        .collect();
    std::fs::write(&path, rows).unwrap();
    let settings = Settings {
        interval: Some(Interval::M1),
        ..Settings::new(Input::Files(vec![path.clone()]))
    };
    let found = files(&settings);
    let report = run(
        Sink::Dry,
        &settings,
        found,
        &FileChanger(&path),
        &Stop::new(),
    )
    .unwrap();
    assert_eq!(report.status().code(), 3, "{report:?}");
    let error = report.files[0].error.as_deref().unwrap();
    assert!(error.starts_with("changed while it was read"), "{error}");
    assert_eq!(report.totals.prepared, 0);
}

#[cfg(unix)]
#[test]
fn all_rows_of_a_pipe_are_read_although_the_file_is_read_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("A.csv");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    // Days up to 12 and bars five minutes apart: the first piece shows neither the order of dates
    // nor the interval.
    let text: String = (1..=20)
        .flat_map(|day| (0..100).map(move |at| (day, at)))
        .map(|(day, at)| {
            format!(
                "{day:02}/01/2025 {:02}:{:02},10,12,9,11,100\n",
                at / 12,
                at % 12 * 5
            )
        })
        .collect();
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, text).unwrap()
    });
    let settings = Settings {
        limits: Limits {
            block_bytes: 200,
            piece_rows: 50,
            ..Limits::default()
        },
        ..Settings::new(Input::Files(vec![path.clone()]))
    };
    let found = files(&settings);
    writer.join().unwrap();
    let report = run(Sink::Dry, &settings, found, &Silent, &Stop::new()).unwrap();
    assert_eq!(report.status().code(), 0, "{report:?}");
    assert_eq!(report.totals.prepared, 2000);
}
