//! Broken files: each is reported in one clear line, and costs no other file and no good row.

use std::io::Write;

use super::{dry, lines};
use crate::support::TestEnv;

const GOOD: &[u8] = b"2025-01-02 09:30:00,10,12,9,11,100\n2025-01-02 09:31:00,10,12,9,11,100\n";

/// Injects a broken file and a good one. The good one is read; returns the line about the broken
/// one.
fn with_good_file(name: &str, contents: &[u8], code: i32) -> String {
    let env = TestEnv::new();
    let run = dry(
        &env,
        &[(name, contents), ("good.csv", GOOD)],
        "--interval 1",
    );
    assert_eq!(run.code, Some(code), "{}", run.stderr);
    assert_eq!(
        lines(&env)
            .iter()
            .filter(|line| line.starts_with("GOOD,"))
            .count(),
        2,
        "{}",
        run.stderr
    );
    let start = format!("[{name}]");
    let line = run
        .stderr
        .lines()
        .find(|line| line.contains(&start) && !line.contains("read as"))
        .unwrap_or_else(|| panic!("no line about {name} in {}", run.stderr));
    line.to_owned()
}

#[test]
fn a_binary_file() {
    let said = with_good_file("bad.csv", b"\x7fELF\x02\x01\x01\x00\x00\x00", 3);
    assert!(said.contains("isn't text"), "{said}");
    let said = with_good_file("bad.csv", b"\x89HDF\r\n\x1a\n\x00\x00", 3);
    assert!(
        said.contains("is an HDF5 file, which can't be read"),
        "{said}"
    );
    let said = with_good_file("bad.csv.gz", GOOD, 3);
    assert!(
        said.contains("is named like gzip but is plain text"),
        "{said}"
    );
}

#[test]
fn empty_and_header_only() {
    assert!(with_good_file("bad.csv", b"", 0).contains("No data"));
    assert!(with_good_file("bad.csv", b"\r\n\n", 0).contains("No data"));
    assert!(
        with_good_file("bad.csv", b"timestamp,open,high,low,close,volume\n", 0).contains("No data")
    );
    assert!(with_good_file("bad.csv.gz", b"", 0).contains("No data"));
}

#[test]
fn text_that_is_not_csv() {
    let said = with_good_file(
        "bad.txt",
        b"It was the best of times,\nit was the worst of times.\n",
        3,
    );
    assert!(said.contains("its layout isn't recognised"), "{said}");
}

#[test]
fn two_headers_for_one_column() {
    let said = with_good_file(
        "bad.csv",
        b"timestamp,open,high,low,close,volume,Vol\n2025-01-02T14:30:00Z,10,12,9,11,1,2\n",
        3,
    );
    assert!(
        said.contains("two headers for the column volume: \"volume\" and \"Vol\""),
        "{said}"
    );
}

#[test]
fn a_file_of_mostly_rejects_is_refused() {
    let mut text = GOOD.to_vec();
    text.extend_from_slice(b"2025-01-02 09:32:00,10,8,9,11,100\n".repeat(3).as_slice());
    let said = with_good_file("bad.csv", &text, 3);
    assert!(
        said.contains("3 of its first 5 rows aren't valid bars"),
        "{said}"
    );
    assert!(said.contains("line 3 (high-low-order)"), "{said}");
}

#[test]
fn an_incomplete_last_line_is_a_reject() {
    for tail in [
        "2025-01-02 09:32:00,10,12,9",
        "2025-01-02 09:32:00,10,12,9,\"11",
        "2025-01-0",
    ] {
        let text = [GOOD, tail.as_bytes()].concat();
        let said = with_good_file("bad.csv", &text, 0);
        assert!(said.contains("rows=2 rejects=1"), "{said}");
    }
}

#[test]
fn each_row_has_its_reason_and_line() {
    let env = TestEnv::new();
    let rows = [
        "2025-01-02 09:30:00,10,12,9,11,100",
        "",
        "2025-01-02 09:31:30,10,12,9,11,100",
        "2025-01-02 09:32:00,10,12,9",
        "2025-01-02 09:33:00,x,12,9,11,100",
        "2025-01-02 09:34:00,0,12,9,11,100",
        "2025-01-02 09:35:00,10,9,12,11,100",
        "2025-01-02 09:36:00,10,12,9,11,-1",
        "2025-13-02 09:37:00,10,12,9,11,100",
        "2025-01-02 09:38:00,10,12,9,nan,100",
    ];
    let good = (0..20).map(|at| format!("2025-01-02 10:{at:02}:00,10,12,9,11,100"));
    let text: Vec<String> = rows
        .iter()
        .map(|row| (*row).to_owned())
        .chain(good)
        .collect();
    env.write("in/A.csv", text.join("\n") + "\n");
    let run = env.typed("inject-csv --csv-dir in --interval 1 --store s");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("ins=21 skip=0 rejects=8"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("8 rows rejected; see"),
        "{}",
        run.stderr
    );
    let rejects = env.read(&env.files("s/rejects")[0]);
    let reported: Vec<&str> = rejects
        .lines()
        .skip(1)
        .map(|line| line.split(",\"").next().unwrap())
        .collect();
    assert_eq!(
        reported,
        [
            "A.csv,3,not-whole-minute",
            "A.csv,4,field-count",
            "A.csv,5,bad-number",
            "A.csv,6,price-not-positive",
            "A.csv,7,high-low-order",
            "A.csv,8,bad-volume",
            "A.csv,9,bad-timestamp",
            "A.csv,10,price-not-positive",
        ]
    );
}

#[test]
fn the_whole_rows_of_an_incomplete_gz_are_stored() {
    let rows: String = (0..2000)
        .map(|at| {
            format!(
                "2025-01-02 {:02}:{:02}:00,{}.{},99999,9,11,{}\n",
                4 + at / 60 % 16,
                at % 60,
                10 + at % 7,
                at * 7919 % 1000,
                at * 104_729 % 99_991
            )
        })
        .take(900)
        .collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(rows.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let env = TestEnv::new();
    env.write("in/cut.csv.gz", &packed[..packed.len() / 2]);
    env.write("in/good.csv", GOOD);
    let run = env.typed("inject-csv --csv-dir in --interval 1 --store s --summary-json=sum.json");
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(
        run.stderr.contains("[cut.csv.gz] Failed") && run.stderr.contains("ends early, after line"),
        "{}",
        run.stderr
    );
    let sum: serde_json::Value = serde_json::from_str(&env.read("sum.json")).unwrap();
    let cut = &sum["files"][0];
    let committed = cut["committed"].as_u64().unwrap();
    assert!((100..900).contains(&committed), "{cut}");
    assert_eq!(cut["status"], "failed");
    assert_eq!(sum["files"][1]["committed"], 2);
    assert!(
        run.stderr
            .contains(&format!("ends early, after line {committed}:")),
        "{}",
        run.stderr
    );
}

#[test]
fn missing_folders() {
    let env = TestEnv::new();
    let run = env.typed("inject-csv --csv-dir nowhere --store s");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("error: folder nowhere can't be read: no such file"),
        "{}",
        run.stderr
    );
    env.write("file.csv", GOOD);
    let run = env.typed("inject-csv --csv-dir file.csv --store s");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let run = env.typed("inject-csv file.csv --output-filename all.xlsx --store s");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(!env.path("s").exists());
    let run = env.typed("inject-csv file.csv gone.csv --interval 1 --store s");
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(
        run.stderr.contains("[gone.csv] Failed") && run.stderr.contains("[file.csv] Inserted"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_empty_folder_is_reported() {
    let env = TestEnv::new();
    std::fs::create_dir(env.path("in")).unwrap();
    let run = env.typed("inject-csv --csv-dir in --dry-run");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("no CSV files found"), "{}", run.stderr);
}
