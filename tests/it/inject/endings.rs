//! How a file ends: inside a line, or in a line that never ends.

use std::io::Write;

use super::{dry, lines};
use crate::support::TestEnv;

const TEXT: &str = "2025-01-02 09:30:00,10,12,9,11,12345\n2025-01-02 09:31:00,10,12,9,11,12345";

fn packed(name: &str) -> Vec<u8> {
    if name.ends_with(".gz") {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(TEXT.as_bytes()).unwrap();
        out.finish().unwrap()
    } else if name.ends_with(".zst") {
        zstd::encode_all(TEXT.as_bytes(), 1).unwrap()
    } else if name.ends_with(".bz2") {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        out.write_all(TEXT.as_bytes()).unwrap();
        out.finish().unwrap()
    } else if name.ends_with(".xz") {
        liblzma::encode_all(TEXT.as_bytes(), 1).unwrap()
    } else {
        TEXT.into()
    }
}

#[test]
fn a_last_line_without_a_line_end_is_a_reject_unless_it_is_accepted() {
    for name in ["A.csv", "A.csv.gz", "A.csv.zst", "A.csv.bz2", "A.csv.xz"] {
        let env = TestEnv::new();
        env.write(&format!("in/{name}"), packed(name));
        let run = env
            .typed("inject-csv --csv-dir in --interval 1 --store s")
            .ok();
        assert!(
            run.stderr.contains("ins=1 skip=0 rejects=1"),
            "{}",
            run.stderr
        );
        assert_eq!(
            env.read(&env.files("s/rejects")[0]),
            format!(
                "file,line,reason,raw\n{name},2,no-line-end,\"2025-01-02 09:31:00,10,12,9,11,12345\"\n"
            )
        );
        let warning = run
            .stderr
            .lines()
            .find(|line| line.starts_with("warning: the last line has no line end"))
            .unwrap_or_else(|| panic!("{}", run.stderr));
        assert!(
            warning.contains(name) && warning.contains("--accept-last-line"),
            "{warning}"
        );
        let run = env
            .typed(
                "inject-csv --csv-dir in --interval 1 --store s --on-conflict ignore --accept-last-line",
            )
            .ok();
        assert!(
            run.stderr.contains("ins=1 skip=1 rejects=0"),
            "{}",
            run.stderr
        );
        assert!(!run.stderr.contains("no line end"), "{}", run.stderr);
    }
}

#[test]
fn an_accepted_last_line_still_needs_all_its_fields() {
    let env = TestEnv::new();
    let text = &TEXT[..TEXT.len() - 9];
    let run = dry(
        &env,
        &[("A.csv", text.as_bytes())],
        "--interval 1 --accept-last-line",
    )
    .ok();
    assert!(run.stderr.contains("rows=1 rejects=1"), "{}", run.stderr);
}

#[test]
fn one_row_or_one_header_without_a_line_end() {
    let env = TestEnv::new();
    let header = "timestamp,open,high,low,close,volume";
    let row = "2025-01-02 09:30:00,10,12,9,11,12345";
    let run = dry(
        &env,
        &[
            ("header.csv", header.as_bytes()),
            ("row.csv", row.as_bytes()),
            ("blank.csv", format!("{row}\n  ").as_bytes()),
        ],
        "--interval 1",
    )
    .ok();
    let said = &run.stderr;
    assert!(said.contains("[header.csv] No data"), "{said}");
    assert!(
        said.contains("(rows=0 rejects=1)") || said.contains("rejects=1"),
        "{said}"
    );
    assert!(
        said.lines()
            .any(|line| line.starts_with("[blank.csv]") && line.contains("(rows=1 rejects=0)")),
        "{said}"
    );
    assert_eq!(lines(&env), ["BLANK,2025-01-02T14:30:00Z,10,12,9,11,12345"]);
}

#[test]
fn a_line_that_never_ends_is_a_reject_and_fails_the_file() {
    let env = TestEnv::new();
    let long = format!("{TEXT}\n{}\n{TEXT}\n", "x".repeat(9 << 20));
    env.write("in/A.csv", long);
    env.write("in/B.csv", format!("{TEXT}\n"));
    let run = env
        .typed("inject-csv --csv-dir in --interval 1 --store s --summary-json=sum.json")
        .code(3);
    assert!(
        run.stderr.contains("[A.csv] Failed") && run.stderr.contains("line 3 is longer than"),
        "{}",
        run.stderr
    );
    let sum: serde_json::Value = serde_json::from_str(&env.read("sum.json")).unwrap();
    for (file, committed, rejected) in [(0, 2, 1), (1, 2, 0)] {
        assert_eq!(sum["files"][file]["committed"], committed, "{sum}");
        assert_eq!(sum["files"][file]["rejected"], rejected, "{sum}");
    }
    let rejects = env.read(&env.files("s/rejects")[0]);
    assert!(
        rejects.contains("\nA.csv,3,line-too-long,xxx") && rejects.len() < 10_000,
        "{} bytes",
        rejects.len()
    );
}
