//! Outputs: refused paths, replaced files, and pipes and devices.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use backfill::model::{Interval, OnConflict};
use proptest::prelude::*;
use proptest::sample::select;

use super::{csv, minutes, stage};
use crate::support::TestEnv;

/// Every file of a folder and its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn add(dir: &Path, base: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, base, found);
            } else {
                let name = path.strip_prefix(base).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    add(dir, dir, &mut found);
    found
}

/// A store with sealed bars and hot bars, and a CSV file.
fn store(env: &TestEnv) {
    stage(
        env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 90),
        OnConflict::Fail,
    );
    env.typed("seal").ok();
    stage(
        env,
        "B",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 5),
        OnConflict::Fail,
    );
    env.write(
        "dump.csv",
        csv(&[("C", minutes("2025-01-02T14:30:00Z", 3))]),
    );
}

const PARTITION: &str = "data/staging/lake/interval=1m/ticker=A/year=2025/bars.parquet";

/// Command lines that write to `PATH`.
const WRITERS: [&str; 7] = [
    "query --format csv --to PATH SELECT(1)",
    "export --format csv --to PATH",
    "export --to PATH/ --partition-by ticker,year",
    "inject-csv dump.csv --interval 1 --dry-run --output-filename PATH",
    "bundle create PATH",
    "status --summary-json=PATH",
    "specific --provider demo --tickers A --start 020125 --end 020125 --dry-run --output-filename PATH --store data/staging",
];

fn words<'a>(line: &'a str, path: &str) -> Vec<String> {
    let word = |word: &'a str| {
        word.replace("SELECT(1)", "select 1 x")
            .replace("PATH", path)
    };
    line.split_whitespace().map(word).collect()
}

#[test]
fn no_output_replaces_a_file_of_the_store() {
    let env = TestEnv::new();
    store(&env);
    symlink("staging/staging.duckdb", env.path("data/link.csv")).unwrap();
    symlink("data/staging/lake", env.path("lake.csv")).unwrap();
    fs::hard_link(env.path(PARTITION), env.path("hard.csv")).unwrap();
    let before = contents(&env.path("data"));
    for line in WRITERS {
        for path in [
            "data/staging/staging.duckdb",
            "data/staging/store.lock",
            PARTITION,
            "data/staging/new.csv",
            "./data/staging/../staging/new/deeper.csv",
            "data/link.csv",
            "lake.csv/new.csv",
        ] {
            let run = env.run(words(line, path)).code(2);
            assert!(
                run.stderr.contains("is inside the store"),
                "{line} {path}: {}",
                run.stderr
            );
            assert!(contents(&env.path("data")) == before, "{line} {path}");
        }
        if !line.contains("PATH/") {
            let run = env.run(words(line, "hard.csv")).code(2);
            assert!(
                run.stderr.contains("is the same file as data/staging/lake"),
                "{}",
                run.stderr
            );
        }
    }
    env.typed("verify").ok();
}

#[test]
fn no_output_replaces_a_file_of_another_or_a_future_store() {
    let env = TestEnv::new();
    store(&env);
    for (line, other) in [
        (
            "export --store data/staging --to elsewhere/staging/lake/x.csv",
            "elsewhere/staging",
        ),
        (
            "inject-csv dump.csv --store new/store --output-filename new/store/x.csv",
            "new/store",
        ),
        (
            "inject-csv dump.csv --store new/store --summary-json=new",
            "above the store new/store",
        ),
        (
            "inject-csv dump.csv --output-filename data/demo/x.csv",
            "data/demo",
        ),
    ] {
        env.write("elsewhere/staging/staging.duckdb", "a store");
        let run = env.typed(line).code(2);
        assert!(run.stderr.contains(other), "{line}: {}", run.stderr);
        assert!(!env.path("new").exists() && !env.path("data/demo").exists());
    }
}

#[test]
fn no_output_replaces_an_input() {
    let env = TestEnv::new();
    store(&env);
    env.write(".env", "# nothing\n");
    env.write("tickers.json", "[\"A\"]");
    env.write("calendars/NASDAQ.csv", "kind,date\n");
    env.typed("bundle create monday.tar").ok();
    symlink("monday.tar", env.path("link.tar")).unwrap();
    symlink("dump.csv", env.path("link.csv")).unwrap();
    fs::hard_link(env.path("dump.csv"), env.path("hard.csv")).unwrap();
    let read: Vec<String> = env
        .files("")
        .into_iter()
        .filter(|name| !name.contains("lock"))
        .collect();
    let before: Vec<Vec<u8>> = read
        .iter()
        .map(|name| fs::read(env.path(name)).unwrap())
        .collect();
    for line in [
        "bundle create monday.tar --since monday.tar",
        "bundle create link.tar --since monday.tar",
        "bundle create ./data/../monday.tar --since link.tar",
        "bundle verify monday.tar --summary-json=monday.tar",
        "inject-csv dump.csv --dry-run --output-filename dump.csv",
        "inject-csv dump.csv --dry-run --output-filename link.csv",
        "inject-csv dump.csv --dry-run --output-filename hard.csv",
        "inject-csv dump.csv --dry-run --summary-json=dump.csv",
        "inject-csv --csv-dir . --dry-run --output-filename all.csv",
        "export --to calendars/NASDAQ.csv --calendar-dir calendars",
        "specific --tickers-file dump.csv --start 010125 --end 020125 --plan --summary-json=dump.csv",
        "concurrent --start 010125 --end 020125 --plan --summary-json=tickers.json",
        "status --summary-json=.env",
        "export --to same.csv --summary-json=data/../same.csv",
    ] {
        let run = env.typed(line).code(2);
        assert_eq!(run.stderr.lines().count(), 1, "{line}: {}", run.stderr);
        let after: Vec<Vec<u8>> = read
            .iter()
            .map(|name| fs::read(env.path(name)).unwrap())
            .collect();
        assert!(after == before, "{line}");
    }
    // A file that this command doesn't read may be written.
    env.typed("export --to dump.csv").ok();
    env.typed(
        "inject-csv --csv-dir in --dry-run --output-filename all.csv --summary-json=run.json",
    )
    .code(2);
    fs::create_dir(env.path("in")).unwrap();
    env.typed(
        "inject-csv --csv-dir in --dry-run --output-filename all.csv --summary-json=in/run.json",
    )
    .ok();
}

#[test]
fn an_export_to_a_folder_leaves_stores_in_it_alone() {
    let env = TestEnv::new();
    store(&env);
    let before = contents(&env.path("data/staging"));
    // Next to the store and above it, with no file inside the store.
    env.typed("export --to data/exports --partition-by ticker,year")
        .ok();
    env.typed("export --to data").ok();
    assert!(env.path("data/bars.parquet").exists());
    // A store where the export would create a folder.
    let copy = |to: &str| {
        let done = Command::new("cp")
            .args(["-r", "data/staging", to])
            .current_dir(env.dir())
            .status();
        assert!(done.unwrap().success());
    };
    fs::create_dir(env.path("out")).unwrap();
    copy("out/ticker=A");
    for line in [
        "export --to out --partition-by ticker,year",
        "export --to out --partition-by ticker,year --store out/ticker=A",
    ] {
        let run = env.typed(line).code(2);
        assert!(
            run.stderr.contains("out/ticker=A is a store"),
            "{}",
            run.stderr
        );
    }
    assert!(contents(&env.path("out/ticker=A")) == before);
    // A link where the export would create a folder, and where it would create a file.
    fs::create_dir_all(env.path("links/ticker=B/year=2025")).unwrap();
    symlink(
        "../data/staging/lake/interval=1m/ticker=A",
        env.path("links/ticker=A"),
    )
    .unwrap();
    fs::create_dir_all(env.path("file")).unwrap();
    symlink(env.path(PARTITION), env.path("file/bars.parquet")).unwrap();
    for line in [
        "export --to links --partition-by ticker,year",
        "export --to file",
    ] {
        let run = env.typed(line).code(2);
        assert!(
            run.stderr.contains("is inside the store data/staging"),
            "{}",
            run.stderr
        );
    }
    assert!(contents(&env.path("data/staging")) == before);
    assert_eq!(
        env.files("links"),
        ["links/ticker=A/year=2025/bars.parquet"]
    );
}

#[test]
fn a_link_is_followed_and_stays() {
    let env = TestEnv::new();
    store(&env);
    fs::create_dir(env.path("deep")).unwrap();
    for (number, line) in WRITERS
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.contains("PATH/"))
    {
        for target in [
            format!("deep/old{number}.csv"),
            format!("deep/new{number}.csv"),
        ] {
            if target.contains("old") {
                env.write(&target, "old");
            }
            let link = target.replace("deep/", "");
            symlink(&target, env.path(&link)).unwrap();
            env.run(words(line, &link)).ok();
            assert_eq!(
                fs::read_link(env.path(&link)).unwrap(),
                Path::new(&target),
                "{line}"
            );
            assert!(
                fs::read(env.path(&target)).unwrap().len() > 3,
                "{line}: the target is written"
            );
        }
    }
    symlink("circle.csv", env.path("circle.csv")).unwrap();
    let run = env.typed("export --to circle.csv").code(2);
    assert!(run.stderr.contains("circle"), "{}", run.stderr);
    assert!(!env.files("").iter().any(|name| name.contains(".part")));
}

#[test]
fn pipes_and_devices_are_written_in_place() {
    let env = TestEnv::new();
    store(&env);
    let made = Command::new("mkfifo").arg(env.path("pipe.csv")).status();
    assert!(made.unwrap().success());
    for line in WRITERS.iter().filter(|line| !line.contains("PATH/")) {
        env.run(words(line, "/dev/null")).ok();
        // The program waits until the pipe has a reader.
        let pipe = env.path("pipe.csv");
        let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
        env.run(words(line, "pipe.csv")).ok();
        env.run(words(line, "file.csv")).ok();
        let (piped, filed) = (
            reader.join().unwrap(),
            fs::read(env.path("file.csv")).unwrap(),
        );
        match line.contains("summary") {
            true => assert!(piped.starts_with(b"{\"schema\":\"backfill.summary/1\"")),
            false => assert!(piped == filed, "{line}"),
        }
        fs::remove_file(env.path("file.csv")).unwrap();
    }
    let bars = env.typed("export --to -").ok();
    assert_eq!(
        env.typed("export --to /dev/stdout").ok().stdout,
        bars.stdout
    );
    // Standard output is appended to.
    let script = "echo first > out.csv; \"$0\" export --to /dev/stdout >> out.csv";
    let program = env!("CARGO_BIN_EXE_backfill");
    let done = Command::new("sh")
        .args(["-c", script, program])
        .current_dir(env.dir())
        .output();
    assert!(done.unwrap().status.success());
    assert_eq!(env.read("out.csv"), format!("first\n{}", bars.out()));
    let full = env.typed("export --to /dev/full").code(1);
    assert!(
        full.stderr.contains("/dev/full: No space left"),
        "{}",
        full.stderr
    );
    let folder = env.typed("query --to data select(1)").code(2);
    assert!(
        folder.stderr.contains("data is a folder"),
        "{}",
        folder.stderr
    );
    let folder = env.typed("query --to new.csv/ select(1)").code(2);
    assert!(
        folder.stderr.contains("new.csv/ is a folder"),
        "{}",
        folder.stderr
    );
    let file = env.typed("export --to dump.csv/").code(2);
    assert!(
        file.stderr.contains("is a file, not a folder"),
        "{}",
        file.stderr
    );
}

#[test]
fn a_signal_ends_the_wait_for_a_reader() {
    let env = TestEnv::new();
    store(&env);
    let made = Command::new("mkfifo").arg(env.path("pipe.csv")).status();
    assert!(made.unwrap().success());
    // These two listen to Ctrl-C while they work.
    let stopping = [
        "inject-csv dump.csv --interval 1 --dry-run --summary-json=PATH",
        "simulate --bars PATH",
    ];
    let writers = WRITERS.iter().filter(|line| !line.contains("PATH/"));
    for line in writers.chain(&stopping) {
        let waiting = env.program(words(line, "pipe.csv")).spawn();
        // It waits by now; if not, it ends just the same. (Not INT, which a background job may
        // ignore.)
        std::thread::sleep(std::time::Duration::from_millis(300));
        waiting.signal("TERM");
        assert_eq!(waiting.wait().code, None, "{line}");
    }
}

#[test]
fn a_file_named_for_two_outputs_stays_as_it_was() {
    let env = TestEnv::new();
    store(&env);
    for line in WRITERS
        .iter()
        .filter(|line| !line.contains("PATH/") && !line.contains("summary"))
    {
        env.write("same.csv", "old");
        let line = format!("{line} --summary-json=data/../same.csv");
        let run = env.run(words(&line, "same.csv")).code(2);
        let expected = "error: same.csv is named for two outputs\n";
        assert_eq!(run.stderr, expected, "{line}");
        assert_eq!(env.read("same.csv"), "old", "{line}");
    }
}

#[test]
fn data_and_summary_never_share_standard_output() {
    let env = TestEnv::new();
    store(&env);
    for line in [
        "export --to /dev/stdout --summary-json",
        "export --to /dev/fd/1 --summary-json=/dev/stdout",
        "export --to - --summary-json=/dev/stdout",
        "query --to /dev/stdout --summary-json select(1)",
        "inject-csv dump.csv --interval 1 --dry-run --output-filename /dev/stdout --summary-json",
    ] {
        let run = env.typed(line).code(2);
        assert!(
            run.stderr.contains("can't both go"),
            "{line}: {}",
            run.stderr
        );
        assert!(
            run.out().starts_with("{\"schema\""),
            "{line}: {}",
            run.out()
        );
        assert_eq!(run.out().lines().count(), 1, "{line}");
    }
    env.typed("inject-csv dump.csv --interval 1 --dry-run --summary-json=/dev/stdout")
        .ok();
    env.typed("export --to /dev/stdout --summary-json=/dev/null")
        .ok();
}

#[test]
fn one_export_at_a_time_into_a_folder() {
    let env = TestEnv::new();
    store(&env);
    env.typed("export --to out --partition-by ticker").ok();
    let before = contents(&env.path("out"));
    // The lock that a running export holds.
    let lock = fs::File::open(env.path("out")).unwrap();
    lock.lock().unwrap();
    for line in [
        "export --to out",
        "export --to ./out/ --partition-by year",
        "export --to link",
    ] {
        let _ = symlink("out", env.path("link"));
        let run = env.typed(line).code(1);
        assert!(
            run.stderr.contains("another export is writing into"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
    }
    assert!(contents(&env.path("out")) == before);
    drop(lock);
    env.typed("export --to out").ok();
    assert_eq!(env.files("out"), ["out/bars.parquet"]);
}

#[test]
fn many_exports_to_one_file_leave_one_whole_file() {
    let env = TestEnv::new();
    store(&env);
    let whole = env.typed("export --to -").ok().stdout;
    let part = env.typed("export --to - --tickers B").ok().stdout;
    for _ in 0..3 {
        let running: Vec<_> = ["export --to x.csv", "export --to x.csv --tickers B"]
            .repeat(3)
            .into_iter()
            .map(|line| env.program(line.split_whitespace()).spawn())
            .collect();
        for run in running {
            run.wait().ok();
            let seen = fs::read(env.path("x.csv")).unwrap();
            assert!(seen == whole || seen == part);
        }
    }
    assert!(!env.files("").iter().any(|name| name.contains(".part")));
}

/// Paths of outputs, inside the store and outside.
fn targets() -> impl Strategy<Value = &'static str> {
    select(vec![
        "data/staging/staging.duckdb",
        "data/staging/staging.duckdb.wal",
        "data/staging/store.lock",
        PARTITION,
        "data/staging/lake",
        "data/staging/lake/interval=1m/ticker=A/year=2025/new.csv",
        "data/staging/tmp/new.parquet",
        "data/staging",
        "data/exports",
        "data/out.csv",
        "data",
        "out.parquet",
        "out.tar",
        "out",
    ])
}

/// Another name of the same path.
fn spelled(env: &TestEnv, target: &str, spelling: u8) -> String {
    let (dir, name) = target.rsplit_once('/').unwrap_or((".", target));
    let link = |to: &Path, at: &str| {
        let at = env.path(at);
        let _ = fs::remove_file(&at);
        symlink(to, at).unwrap();
    };
    match spelling {
        0 => target.to_owned(),
        1 => env.path(target).display().to_string(),
        2 => format!("./data/../{target}"),
        3 => {
            link(&env.path(dir), "linked-dir");
            format!("linked-dir/{name}")
        }
        4 => {
            link(&env.path(target), "linked.csv");
            "linked.csv".to_owned()
        }
        5 => {
            link(Path::new("linked.csv"), "twice.csv");
            link(&env.path(target), "linked.csv");
            "twice.csv".to_owned()
        }
        6 => format!("data/staging/lake/../../../{target}"),
        _ => {
            let _ = fs::remove_file(env.path("hard.csv"));
            match fs::hard_link(env.path(target), env.path("hard.csv")) {
                Ok(()) => "hard.csv".to_owned(),
                Err(_) => target.to_owned(),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn no_output_damages_the_store(
        steps in prop::collection::vec((targets(), 0_u8..8, select(WRITERS.to_vec())), 1..4)
    ) {
        let env = TestEnv::new();
        store(&env);
        env.typed("seal").ok();
        for (target, spelling, line) in steps {
            let before = contents(&env.path("data/staging"));
            let path = spelled(&env, target, spelling);
            let run = env.run(words(line, &path));
            let after = contents(&env.path("data/staging"));
            let shown = format!("{line} {path} ({target}): {}", run.snapshot());
            let is_inside = target.starts_with("data/staging");
            prop_assert!(!is_inside || run.code == Some(2), "{}", shown);
            // `bundle create` opens the store for writing: its catalog may change, its bars may
            // not.
            let bars = |files: &BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
                let all = run.code == Some(2) || !line.starts_with("bundle");
                let kept = files.iter().filter(|(name, _)| all || name.starts_with("lake"));
                kept.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
            };
            prop_assert!(bars(&after) == bars(&before), "{}", shown);
            prop_assert!(after.keys().eq(before.keys()), "{}", shown);
            if run.code == Some(0) {
                prop_assert!(env.path(&path).exists(), "{}", shown);
            }
            env.typed("verify").ok();
        }
    }
}
