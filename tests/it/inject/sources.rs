//! Which files are read: pipes, standard input, stores and other things in a folder.

use std::io::{BufRead, BufReader, Write};
use std::process::Command;

use super::{dry, lines, minutes};
use crate::support::TestEnv;

fn row(hour: u32, minute: u32) -> String {
    format!("2025-01-02 {hour:02}:{minute:02}:00,10,12,9,11,100")
}

fn make_pipe(env: &TestEnv, relative: &str) {
    std::fs::create_dir_all(env.path(relative).parent().unwrap()).unwrap();
    let made = Command::new("mkfifo").arg(env.path(relative)).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_pipe_as_file_is_read_to_its_end() {
    let env = TestEnv::new();
    let run = env
        .program("inject-csv /dev/stdin --ticker A --store s".split(' '))
        .stdin(minutes(40, 5, row))
        .run()
        .ok();
    assert!(
        run.stderr.contains("[/dev/stdin] isn't a file: copying it"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("[/dev/stdin] Inserted")
            && run.stderr.contains("(ins=40 skip=0 rejects=0)"),
        "{}",
        run.stderr
    );
}

#[test]
fn standard_input_is_read_by_its_content_plain_or_packed() {
    let text = minutes(40, 5, row);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let xz = liblzma::encode_all(text.as_bytes(), 1).unwrap();
    for bytes in [text.into_bytes(), gzip.finish().unwrap(), zstd, xz] {
        for path in ["-", "/dev/stdin"] {
            let env = TestEnv::new();
            let line = format!("inject-csv {path} --ticker A --store s");
            let run = env.program(line.split(' ')).stdin(bytes.clone()).run().ok();
            let inserted = format!("[{path}] Inserted");
            assert!(run.stderr.contains(&inserted), "{}", run.stderr);
            assert!(run.stderr.contains("(ins=40 skip=0"), "{}", run.stderr);
        }
    }
}

#[test]
fn standard_input_has_no_name_to_take_a_ticker_from() {
    let env = TestEnv::new();
    let text = minutes(40, 5, row);
    for path in ["-", "/dev/stdin"] {
        let line = format!("inject-csv {path} --dry-run");
        let run = env
            .program(line.split(' '))
            .stdin(text.clone())
            .run()
            .code(3);
        let hinted = run
            .stderr
            .contains("neither its name nor a column shows the ticker")
            && run.stderr.contains("hint: --ticker");
        assert!(hinted, "{}", run.stderr);
    }
    let header = "ticker,timestamp,open,high,low,close,volume\n";
    let rows = text.lines().map(|row| format!("A,{row}\n"));
    let text: String = std::iter::once(header.to_owned()).chain(rows).collect();
    let run = env.program("inject-csv - --dry-run".split(' '));
    let run = run.stdin(text).run().ok();
    assert!(
        run.stderr.contains("tickers=1 prepared=40"),
        "{}",
        run.stderr
    );
}

#[test]
fn one_interrupt_ends_the_wait_for_a_pipe() {
    let env = TestEnv::new();
    make_pipe(&env, "A.csv");
    let mut running = env
        .program("inject-csv A.csv --interval 1 --store s".split(' '))
        .spawn();
    let mut said = String::new();
    let stderr = running.child().stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut said).unwrap();
    assert!(said.contains("[A.csv] isn't a file"), "{said}");
    running.signal("INT");
    running.wait().code(130);
    // The store wasn't opened, so no other process had to wait.
    assert!(!env.path("s").exists());
}

#[test]
fn pipes_in_a_folder_are_ignored_and_named() {
    let env = TestEnv::new();
    make_pipe(&env, "in/sub/A.csv");
    let _socket = std::os::unix::net::UnixListener::bind(env.path("in/sub/B.csv")).unwrap();
    let text = minutes(2, 1, row);
    let run = dry(&env, &[("good.csv", text.as_bytes())], "--interval 1").ok();
    assert!(
        run.stderr
            .contains("ignored (pipes, sockets or devices): sub/A.csv, sub/B.csv"),
        "{}",
        run.stderr
    );
    assert_eq!(lines(&env).len(), 2);
}

#[test]
fn a_device_as_file_fails() {
    let env = TestEnv::new();
    let run = env
        .typed("inject-csv /dev/zero --interval 1 --dry-run")
        .code(3);
    assert!(
        run.stderr.contains("[/dev/zero] Failed")
            && run.stderr.contains("neither a file nor a pipe"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_store_in_a_folder_is_ignored_and_named() {
    let env = TestEnv::new();
    env.write("in/A.csv", minutes(2, 1, row) + "not a bar\n");
    for flags in ["", "--on-conflict ignore"] {
        let run = env
            .typed(&format!(
                "inject-csv --csv-dir in --store in/data/s --interval 1 {flags}"
            ))
            .ok();
        assert!(run.stderr.contains("Summary: files=1 "), "{}", run.stderr);
        let named = run.stderr.contains("ignored (stores): data/s");
        assert_eq!(named, !flags.is_empty(), "{}", run.stderr);
    }
    let run = env.typed("inject-csv --csv-dir in/data/s --dry-run").ok();
    assert!(
        run.stderr.contains("ignored (stores): in/data/s")
            && run.stderr.contains("Summary: files=0 "),
        "{}",
        run.stderr
    );
}
