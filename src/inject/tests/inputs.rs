//! Archives, tables and other forms of files, also hostile ones.

use std::io::Write;

use zip::write::SimpleFileOptions;

use super::*;
use crate::report::{RunReport, UnitStatus};

const ROWS: &str = "timestamp,open,high,low,close,volume\n\
    2025-01-02T14:30:00Z,10,12,9,11,100\n2025-01-02T14:31:00Z,11,12,9,11,100\n";

/// A folder with one file, injected in a dry run.
fn inject(name: &str, bytes: &[u8]) -> RunReport {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let settings = Settings {
        interval: Some(Interval::M1),
        ..Settings::new(Input::Folder(dir.path().to_path_buf()))
    };
    run(
        Sink::Dry,
        &settings,
        files(&settings),
        &Silent,
        &Stop::new(),
    )
    .unwrap()
}

/// Name, bars and error of each file.
fn results(report: &RunReport) -> Vec<(&str, u64, &str)> {
    let mut results = Vec::new();
    for unit in &report.files {
        let error = unit.error.as_deref().unwrap_or_default();
        results.push((unit.name.as_str(), unit.counts.prepared, error));
    }
    results
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        if name.ends_with('/') {
            writer
                .add_directory(*name, SimpleFileOptions::default())
                .unwrap();
        } else {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn members_of_an_archive_are_files() {
    let rows = ROWS.as_bytes();
    let packed = zstd::encode_all(rows, 1).unwrap();
    let archive = zip(&[
        ("MSFT.csv", rows),
        ("folder/", b""),
        ("folder/AAPL.csv.zst", &packed),
        ("folder/notes.pdf", b"%PDF-"),
        ("__MACOSX/MSFT.csv", b"\x00"),
        ("inner.zip", b"PK\x03\x04"),
        ("README.txt", b"about"),
        ("MSFT.txt", b"a report"),
    ]);
    let report = inject("in/a.zip", &archive);
    assert_eq!(
        results(&report),
        [
            ("in/a.zip/MSFT.csv", 2, ""),
            ("in/a.zip/folder/AAPL.csv.zst", 2, ""),
        ]
    );
}

/// Replaces a name, which is in the member's header and in the list. The crate's writer refuses
/// such names.
fn rename(archive: &mut [u8], from: &[u8], to: &[u8]) {
    let at: Vec<usize> = (0..archive.len() - from.len())
        .filter(|at| archive[*at..].starts_with(from))
        .collect();
    assert_eq!(at.len(), 2, "{from:?}");
    for at in at {
        archive[at..][..from.len()].copy_from_slice(to);
    }
}

#[test]
fn members_with_paths_that_lead_out_of_the_archive_fail() {
    let rows = ROWS.as_bytes();
    let mut archive = zip(&[("A.csv", rows), ("xx/C.csv", rows), ("x/D.csv", rows)]);
    rename(&mut archive, b"xx/C.csv", b"../C.csv");
    rename(&mut archive, b"x/D.csv", b"//D.csv");
    let report = inject("a.zip", &archive);
    let mut found = results(&report);
    found.sort_unstable();
    assert_eq!(found.len(), 3, "{found:?}");
    for (name, bars, error) in found {
        let is_good = name == "a.zip/A.csv";
        assert_eq!(
            (bars, error.is_empty()),
            if is_good { (2, true) } else { (0, false) }
        );
        assert!(
            is_good || error.contains("leads out of the archive"),
            "{name}: {error}"
        );
    }
}

#[test]
fn damaged_archives_fail_and_store_no_wrong_bar() {
    let archive = zip(&[("A.csv", ROWS.as_bytes())]);
    // The flag of encryption, in the local header and in the list.
    let list_at = archive
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    let mut encrypted = archive.clone();
    encrypted[6] |= 1;
    encrypted[list_at + 8] |= 1;
    let mut longer = archive.clone();
    longer[list_at + 24] -= 10;
    let mut checksum = archive.clone();
    checksum[list_at + 16] ^= 1;
    let mut position = archive.clone();
    position[list_at + 42] = 1;
    for (bytes, expected) in [
        (&encrypted[..], "it is encrypted"),
        (&longer, "unpacks to more than the archive's list says"),
        (&checksum, "its checksum isn't that of the archive's list"),
        (&position, "no member where its list says"),
        (&archive[..archive.len() - 30], "it is cut off or damaged"),
        (b"PK\x03\x04 and nothing else", "it is cut off or damaged"),
    ] {
        let report = inject("a.zip", bytes);
        let [(_, _, error)] = results(&report)[..] else {
            panic!("{report:?}");
        };
        assert!(error.contains(expected), "{error}, not {expected}");
        assert_eq!(report.files[0].status, UnitStatus::Failed);
    }
}

#[test]
fn archives_whose_members_share_a_name_or_bytes_fail() {
    let rows = ROWS.repeat(50);
    let archive = zip(&[("A.csv", rows.as_bytes())]);
    let at = |magic: &[u8]| archive.windows(4).position(|bytes| bytes == magic);
    let (list_at, end_at) = (at(b"PK\x01\x02").unwrap(), at(b"PK\x05\x06").unwrap());
    for (first, expected) in [(b'A', "have the same name"), (b'B', "its members overlap")] {
        let mut bytes = archive[..end_at].to_vec();
        for copy in 0..20 {
            let start = bytes.len();
            bytes.extend_from_slice(&archive[list_at..end_at]);
            bytes[start + 46] = first + copy;
        }
        let length = bytes.len() - list_at;
        let mut end = archive[end_at..].to_vec();
        end[8..12].copy_from_slice(&[21, 0, 21, 0]);
        end[12..16].copy_from_slice(&(length as u32).to_le_bytes());
        bytes.extend(end);
        let report = inject("a.zip", &bytes);
        let [(_, 0, error)] = results(&report)[..] else {
            panic!("{report:?}");
        };
        assert!(error.contains(expected), "{error}, not {expected}");
    }
}

#[test]
fn an_archive_with_too_many_members_fails() {
    let archive = zip(&[("A.csv", b"")]);
    let list_at = archive
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    let end_at = archive
        .windows(4)
        .position(|bytes| bytes == b"PK\x05\x06")
        .unwrap();
    let entry = archive[list_at..end_at].to_vec();
    let count = 100_001_u64;
    let mut many = archive[..list_at].to_vec();
    for number in 0..count {
        let at = many.len();
        many.extend_from_slice(&entry);
        many[at + 46..at + 51].copy_from_slice(format!("{number:05x}").as_bytes());
    }
    let end64_at = many.len() as u64;
    let length = end64_at - list_at as u64;
    many.extend_from_slice(b"PK\x06\x06");
    many.extend_from_slice(&44_u64.to_le_bytes());
    many.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [count, count, length, list_at as u64] {
        many.extend_from_slice(&number.to_le_bytes());
    }
    many.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    many.extend_from_slice(&end64_at.to_le_bytes());
    many.extend_from_slice(&[1, 0, 0, 0]);
    many.extend_from_slice(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
    many.extend_from_slice(&[0xff; 8]);
    many.extend_from_slice(&[0, 0]);
    let report = inject("a.zip", &many);
    let [(_, _, error)] = results(&report)[..] else {
        panic!("{} files", report.files.len());
    };
    assert!(
        error.contains("have the same name") || error.contains("members"),
        "{error}"
    );
}

#[test]
fn what_a_table_declares_needs_no_memory() {
    // A stream that declares a message of 4 GiB, then one with a batch of 8 EiB.
    let long = [&[0xff; 4][..], &[0xff, 0xff, 0xff, 0x7f], b"x"].concat();
    let report = inject("A.arrows", &long);
    let error = results(&report)[0].2;
    assert!(error.contains("too long"), "{error}");
    let footer = [b"PAR1", &[0x15; 8][..], &[8, 0, 0, 0x7f], b"PAR1"].concat();
    let report = inject("A.parquet", &footer);
    let error = results(&report)[0].2;
    assert!(error.contains("cut off or damaged"), "{error}");
    // A list of 2^31 row groups.
    let list = [
        b"PAR1",
        &[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 7][..],
        &[7, 0, 0, 0],
        b"PAR1",
    ];
    let report = inject("A.parquet", &list.concat());
    let error = results(&report)[0].2;
    assert!(error.contains("can't be read"), "{error}");
}

#[test]
fn files_of_other_kinds_are_named() {
    for (bytes, expected) in [
        (
            &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"[..],
            "an Excel workbook (.xls)",
        ),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
        (b"FEA1\0\0\0", "a Feather file of version 1"),
        (b"\x80\x05\x95\0\0", "a Python pickle"),
        (b"%PDF-1.7\n\0", "a PDF document"),
        (b"SQLite format 3\0\x10", "a SQLite database"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
    ] {
        let report = inject("A.csv", bytes);
        let error = results(&report)[0].2;
        assert_eq!(error, format!("is {expected}, which can't be read"));
        assert!(report.files[0].hint.is_some(), "{expected}");
    }
    let workbook = zip(&[
        ("[Content_Types].xml", b"<x/>"),
        ("xl/workbook.xml", b"<x/>"),
    ]);
    let report = inject("A.zip", &workbook);
    assert!(
        results(&report)[0].2.contains("an Excel workbook"),
        "{report:?}"
    );
}

#[test]
fn values_of_json_that_are_not_bars_are_rejects() {
    let bar = |minute: u32, rest: &str| {
        format!(
            "{{\"t\":\"2025-01-02T14:{minute}:00Z\",\"o\":10,\"h\":12,\"l\":9,\"c\":11{rest}}}\n"
        )
    };
    let text = [
        bar(30, ",\"v\":100"),
        "not JSON\n".to_owned(),
        bar(31, ",\"extra\":{\"a\":[1,2]}"),
        // A value of a bar under a name that the header lacks isn't dropped.
        bar(32, ""),
    ]
    .concat();
    let late = [bar(30, "").repeat(120), bar(33, ",\"volume\":5")].concat();
    let report = inject("A.jsonl", text.as_bytes());
    assert_eq!((report.totals.prepared, report.totals.rejected), (3, 1));
    let report = inject("A.jsonl", late.as_bytes());
    assert_eq!(report.totals.rejected, 1);
    let array = format!("[{}]", bar(30, "").trim_end());
    assert_eq!(inject("A.jsonl", array.as_bytes()).totals.prepared, 1);
    for (text, expected) in [
        (
            array[..array.len() - 1].to_owned(),
            "the array isn't closed",
        ),
        (array.clone() + &array, "something follows the array"),
        (
            "{\"Error\": \"no such symbol\"}\n".to_owned(),
            "is JSON, but neither",
        ),
    ] {
        let report = inject("A.jsonl", text.as_bytes());
        let error = results(&report)[0].2;
        assert!(error.contains(expected), "{text}: {error}");
    }
}
