//! Readers while a command is killed at each crash point: every reader sees a state that the store
//! had, with each key once, and never an older state than it saw before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use crate::support::{Database, TestEnv};

const ROWS: u32 = 300;

/// Rows and the sum of the whole volumes, by ticker. `status` shows no volumes.
type State = BTreeMap<String, (u64, Option<u64>)>;

/// A command and the points at which it is killed.
struct Case<'a> {
    line: &'static str,
    points: &'static [&'static str],
    readers: Readers,
    changes: Changes,
    /// Whether readers may fail after the kill, because the store is damaged until it is repaired.
    may_refuse: bool,
    /// The database to sync to. Each run finds it without a table.
    database: Option<&'a Database>,
}

/// When the readers start.
#[derive(Clone, Copy, PartialEq)]
enum Readers {
    /// Before the command, which is held at this point until each of them has read.
    Held(&'static str),
    /// Before the command.
    Early,
    /// When the command is held at this point of its opening. A reader before it would do its work.
    Opening(&'static str),
    /// After the kill. A reader before it would do the command's work.
    Late,
}

/// How the states of the store follow each other.
#[derive(Clone, Copy)]
enum Changes {
    /// All tickers change at once.
    AtOnce,
    /// Ticker by ticker, in order.
    ByTicker,
}

const CASE: Case<'_> = Case {
    line: "",
    points: &[],
    readers: Readers::Early,
    changes: Changes::AtOnce,
    may_refuse: false,
    database: None,
};

/// What a reader runs.
#[derive(Clone, Copy)]
enum Look {
    Query,
    Status,
    Export,
}

impl Look {
    const ALL: [Self; 3] = [Self::Query, Self::Status, Self::Export];

    /// The state that the command shows, or what it prints if it fails.
    fn at(self, env: &TestEnv) -> Result<State, String> {
        let sql = "SELECT ticker, count(*), count(DISTINCT timestamp), sum(floor(volume))::BIGINT FROM bars GROUP BY ticker";
        let run = match self {
            Self::Query => env.run(["query", "--format", "csv", sql]),
            Self::Status => env.typed("status --format json"),
            Self::Export => env.typed("export --to seen.csv"),
        };
        if run.code != Some(0) {
            if run.stderr.contains("there is no store") {
                return Ok(State::new());
            }
            return Err(run.snapshot());
        }
        Ok(match self {
            Self::Query => of_query(run.out()),
            Self::Status => of_status(&run.json()),
            Self::Export => of_export(&env.read("seen.csv")),
        })
    }
}

fn of_query(text: &str) -> State {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [ticker, rows, keys, volume] = fields[..] else {
            panic!("{line:?}");
        };
        assert_eq!(rows, keys, "a key is there twice: {line}");
        let (rows, volume) = (rows.parse().unwrap(), volume.parse().unwrap());
        (ticker.to_owned(), (rows, Some(volume)))
    };
    text.lines().skip(1).map(row).collect()
}

fn of_status(status: &serde_json::Value) -> State {
    assert_eq!(
        status["lake_only"], false,
        "there was no snapshot: {status}"
    );
    let series = status["series"].as_array().unwrap().iter();
    let row = |series: &serde_json::Value| {
        let ticker = series["ticker"].as_str().unwrap().to_owned();
        (ticker, (series["rows"].as_u64().unwrap(), None))
    };
    series.map(row).collect()
}

fn of_export(csv: &str) -> State {
    let mut keys: Vec<&str> = Vec::new();
    let mut state = State::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        keys.push(&line[..fields[0].len() + fields[1].len() + 1]);
        let (rows, volume) = state
            .entry(fields[0].to_owned())
            .or_insert((0, Some(0_u64)));
        *rows += 1;
        *volume = volume.map(|sum| sum + fields[6].parse::<f64>().unwrap() as u64);
    }
    keys.sort_unstable();
    let repeated = keys.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(repeated, None, "a key is there twice");
    state
}

/// Whether a reader that saw `found` saw `state`.
fn shows(found: &State, state: &State) -> bool {
    found.len() == state.len()
        && found.iter().zip(state).all(|(found, held)| {
            let ((ticker, (rows, volume)), (of, (held_rows, held_volume))) = (found, held);
            (ticker, rows) == (of, held_rows) && (volume.is_none() || volume == held_volume)
        })
}

/// The states from `old` to `new`.
fn states(old: &State, new: &State, changes: Changes) -> Vec<State> {
    let mut states = vec![old.clone()];
    if matches!(changes, Changes::ByTicker) {
        let mut next = old.clone();
        for (ticker, held) in new {
            if old.get(ticker) != Some(held) {
                next.insert(ticker.clone(), *held);
                states.push(next.clone());
            }
        }
    }
    states.push(new.clone());
    states
}

/// A copy of a scratch folder.
fn copy_of(template: &TestEnv) -> TestEnv {
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                fs::create_dir_all(&to).unwrap();
                copy(&from, &to);
            } else {
                fs::copy(&from, &to).unwrap();
            }
        }
    }
    let env = TestEnv::new();
    copy(template.dir(), env.dir());
    env
}

/// Sets its switch when it is dropped, also by a failed test: else its readers would never end.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Case<'_> {
    /// Kills the command at each of its points, in copies of `template`.
    fn check(&self, template: &TestEnv) {
        let whole = copy_of(template);
        let old = Look::Query.at(&whole).unwrap_or_default();
        self.run(&whole, "");
        let new = Look::Query.at(&whole).unwrap();
        let states = states(&old, &new, self.changes);
        for point in self.points {
            let env = copy_of(template);
            self.kill(point, &env, &states);
            self.run(&env, "");
            assert_eq!(Look::Query.at(&env).unwrap(), new, "{point}");
            env.typed("verify").ok();
            let left = env.files("data/staging/tmp");
            assert_eq!(left, Vec::<String>::new(), "{point}");
        }
    }

    fn program<'e>(&self, env: &'e TestEnv, point: &str) -> crate::support::Program<'e> {
        let program = env.program(self.line.split_whitespace());
        let program = program.env("BACKFILL_CRASH", point);
        match &self.database {
            Some(database) => {
                database.sql("DROP TABLE IF EXISTS market_data, backfill_sync");
                program.env("DATABASE_URL", database.url())
            }
            None => program,
        }
    }

    fn run(&self, env: &TestEnv, point: &str) {
        self.program(env, point).run().ok();
    }

    /// The index of the state that a reader saw, which isn't older than the one it saw before.
    fn position(&self, point: &str, found: &State, states: &[State], before: usize) -> usize {
        let shown = |state| shows(found, state);
        let index = states[before..].iter().position(shown);
        let why = match states.iter().any(shown) {
            true => "an older state than before",
            false => "no state of the store",
        };
        let index = index
            .unwrap_or_else(|| panic!("{point}, {}: {why}: {found:?}\nof {states:?}", self.line));
        before + index
    }

    /// Runs the command to `point`, with three readers that read again and again until it is killed,
    /// and once after that.
    fn kill(&self, point: &str, env: &TestEnv, states: &[State]) {
        let ended = AtomicBool::new(false);
        let looks = [const { AtomicU64::new(0) }; 3];
        let read = |index: usize| {
            let mut seen = 0;
            loop {
                let is_last = ended.load(Ordering::SeqCst);
                let found = Look::ALL[index].at(env);
                match found {
                    Ok(found) => seen = self.position(point, &found, states, seen),
                    Err(why) => assert!(self.may_refuse, "{point}: {why}"),
                }
                looks[index].fetch_add(1, Ordering::SeqCst);
                if is_last {
                    return;
                }
            }
        };
        let read = &read;
        std::thread::scope(|scope| {
            let _ending = SetOnDrop(&ended);
            let start = |index| scope.spawn(move || read(index));
            let hold = env.write("hold", "");
            let mut program = self.program(env, point).env("BACKFILL_HOLD_FILE", &hold);
            if let Readers::Held(at) | Readers::Opening(at) = self.readers {
                program = program.env("BACKFILL_HOLD", at);
            }
            let mut readers = Vec::new();
            // One only: a writer waits for readers at its start.
            if matches!(self.readers, Readers::Held(_) | Readers::Early) {
                readers.push(start(0));
            }
            let mut command = program.spawn();
            let pid = format!("{} ", command.id());
            let lock = env.path("data/staging/store.lock");
            let has_lock = || fs::read_to_string(&lock).is_ok_and(|text| text.starts_with(&pid));
            let mut is_running = || command.child().try_wait().unwrap().is_none();
            let pause = || std::thread::sleep(Duration::from_millis(5));
            while is_running() && !has_lock() && self.readers != Readers::Late {
                pause();
            }
            if self.readers != Readers::Late {
                readers.extend((readers.len()..3).map(start));
            }
            if let Readers::Held(at) = self.readers {
                let before = looks
                    .each_ref()
                    .map(|count| count.load(Ordering::SeqCst) + 1);
                let have_read = || {
                    let now = looks.iter().map(|count| count.load(Ordering::SeqCst));
                    now.zip(before).all(|(now, before)| now > before)
                };
                let has_failed = || readers.iter().any(ScopedJoinHandle::is_finished);
                while is_running() && !have_read() && !has_failed() {
                    pause();
                }
                // Other threads reach these points while the command is held.
                let is_apart = ["snapshot.", "progress."].map(|part| point.starts_with(part));
                assert!(
                    is_apart.contains(&true) || is_running(),
                    "{point}: {at} is not reached before"
                );
            }
            fs::remove_file(&hold).unwrap();
            let killed = command.wait();
            assert_eq!(
                killed.code,
                None,
                "{point} is not reached by {}: {}",
                self.line,
                killed.snapshot()
            );
            readers.extend((readers.len()..3).map(start));
            ended.store(true, Ordering::SeqCst);
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}

/// Bars of a ticker over the turn of a year: two partitions.
fn write_csv(env: &TestEnv, ticker: &str, price: u32) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    text += &rows("", ROWS, price);
    env.write(&format!("{ticker}.csv"), text);
}

/// A day of many tickers, which goes into a segment.
fn write_day(env: &TestEnv, price: u32) {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    for ticker in 0..66 {
        text += &rows(&format!("S{ticker},"), 1_000, price);
    }
    env.write("day.csv", text);
}

/// From 2024-12-30T12:00:00Z, every 15 minutes.
fn rows(start_of_line: &str, count: u32, price: u32) -> String {
    let first = chrono::DateTime::from_timestamp(1_735_560_000, 0).unwrap();
    let row = |row: u32| {
        let at = first + chrono::Duration::minutes(i64::from(15 * row));
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        let volume = price + row;
        format!("{start_of_line}{at},{price},{price},{price},{price},{volume}\n")
    };
    (0..count).map(row).collect()
}

/// A store with bars of A and B, and other bars of A, B and C in files.
fn stored(seal: &str) -> TestEnv {
    let env = TestEnv::new();
    for ticker in ["A", "B"] {
        write_csv(&env, ticker, 10);
    }
    let line = "inject-csv A.csv B.csv --exchange CRYPTO --on-conflict update --seal";
    env.typed(&format!("{line} {seal}")).ok();
    for ticker in ["A", "B", "C"] {
        write_csv(&env, ticker, 20);
    }
    env
}

/// Leaves what a kill at this point leaves.
fn left_by(env: &TestEnv, point: &str, line: &str) {
    let program = env.program(line.split_whitespace());
    let killed = program.env("BACKFILL_CRASH", point).run();
    assert_eq!(killed.code, None, "{point}: {}", killed.snapshot());
}

const UPDATE: &str =
    "inject-csv A.csv B.csv C.csv --threads 1 --exchange CRYPTO --on-conflict update";

#[test]
fn an_update_until_it_is_committed() {
    Case {
        line: UPDATE,
        points: &[
            "progress.before-rename",
            "snapshot.before-publish",
            "snapshot.after-publish",
            "publish.after-encode",
            "commit.before-transaction",
            "commit.after-transaction",
            "commit.done",
        ],
        readers: Readers::Held("commit.begin"),
        changes: Changes::ByTicker,
        ..CASE
    }
    .check(&stored("always"));
}

#[test]
fn an_update_until_its_end() {
    Case {
        line: UPDATE,
        points: &[
            "publish.before-rename",
            "publish.between-renames",
            "publish.after-rename",
            "publish.after-settle",
            "seal.after-intent",
            "checkpoint.before",
            "checkpoint.after",
        ],
        readers: Readers::Held("commit.begin"),
        changes: Changes::ByTicker,
        ..CASE
    }
    .check(&stored("always"));
}

#[test]
fn the_start_of_a_commit() {
    Case {
        line: UPDATE,
        points: &["commit.begin"],
        changes: Changes::ByTicker,
        ..CASE
    }
    .check(&stored("always"));
}

#[test]
fn rejected_rows_before_their_commit() {
    let template = stored("always");
    let text = template.read("C.csv");
    template.write(
        "C.csv",
        text.replace(",20,20,20,20,25\n", ",20,20,20,x,25\n"),
    );
    Case {
        line: UPDATE,
        points: &["rejected.after-transaction"],
        changes: Changes::ByTicker,
        ..CASE
    }
    .check(&template);
}

#[test]
fn an_update_of_a_day_of_many_tickers() {
    let env = TestEnv::new();
    write_day(&env, 10);
    let line = "inject-csv day.csv --exchange CRYPTO --on-conflict update --seal never";
    env.typed(line).ok();
    write_day(&env, 20);
    Case {
        line,
        points: &[
            "conflicts.after-write",
            "segment.after-write",
            "segment.after-rename",
        ],
        readers: Readers::Held("commit.begin"),
        ..CASE
    }
    .check(&env);
}

#[test]
fn a_seal() {
    Case {
        line: "seal",
        points: &[
            "seal.after-intent",
            "publish.between-renames",
            "publish.after-settle",
        ],
        readers: Readers::Held("publish.after-encode"),
        ..CASE
    }
    .check(&stored("never"));
}

/// Bars after the sealed ones: the row groups before them are copied.
#[test]
fn a_seal_that_copies_row_groups() {
    let env = stored("always");
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let all = rows("", ROWS + 40, 10);
    let later = all.lines().skip(ROWS as usize);
    later.for_each(|line| text += &format!("{line}\n"));
    env.write("later/A.csv", text);
    env.typed("inject-csv later/A.csv --exchange CRYPTO --seal never")
        .ok();
    Case {
        line: "seal",
        points: &["publish.after-copy"],
        readers: Readers::Early,
        ..CASE
    }
    .check(&env);
}

#[test]
fn a_drop_of_some_bars() {
    Case {
        line: "drop --tickers A --start 2024-12-31 --end 2025-01-01 --yes",
        points: &[
            "drop.after-transaction",
            "publish.between-renames",
            "publish.after-settle",
        ],
        readers: Readers::Held("publish.after-encode"),
        ..CASE
    }
    .check(&stored("always"));
}

#[test]
fn a_download() {
    Case {
        line: "concurrent --provider demo --store data/staging --tickers AAPL --start 2025-02-03 --end 2025-02-04 --resume",
        points: &["progress.before-rename", "commit.after-transaction"],
        readers: Readers::Held("commit.begin"),
        ..CASE
    }
    .check(&TestEnv::new());
}

#[test]
fn a_first_opening() {
    let env = stored("always");
    fs::remove_dir_all(env.path("data")).unwrap();
    Case {
        line: UPDATE,
        points: &["catalog.before-rename"],
        changes: Changes::ByTicker,
        ..CASE
    }
    .check(&env);
}

#[test]
fn an_upgrade_of_an_older_store() {
    let env = stored("always");
    crate::crash_points::make_older(&env);
    Case {
        line: UPDATE,
        points: &["upgrade.before-commit", "upgrade.after-commit"],
        readers: Readers::Late,
        ..CASE
    }
    .check(&env);
}

#[test]
fn a_recovery_of_a_publish() {
    let env = stored("never");
    left_by(&env, "publish.between-renames", "seal");
    let case = |points, readers| Case {
        line: "seal",
        points,
        readers,
        ..CASE
    };
    case(&["recover.before-rename"], Readers::Late).check(&env);
    let rest = &["recover.after-rename", "recover.after-settle"];
    case(rest, Readers::Opening("recover.before-rename")).check(&env);
}

#[test]
fn a_recovery_of_the_catalog() {
    let case = |points| Case {
        line: "seal",
        points,
        readers: Readers::Late,
        ..CASE
    };
    let env = stored("always");
    left_by(&env, "checkpoint.before", UPDATE);
    case(&["recover.after-undo"]).check(&env);

    let env = stored("always");
    left_by(&env, "commit.after-transaction", UPDATE);
    let log = env.path("data/staging/staging.duckdb.wal");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
    case(&["recover.before-log-cut"]).check(&env);

    let env = stored("always");
    left_by(&env, "commit.begin", UPDATE);
    case(&["open.after-killed-runs"]).check(&env);
}

#[test]
fn a_repair() {
    let env = stored("always");
    fs::remove_file(env.path("data/staging/staging.duckdb")).unwrap();
    Case {
        line: "verify --repair",
        points: &["repair.before-transaction", "repair.after-transaction"],
        may_refuse: true,
        ..CASE
    }
    .check(&env);
}

#[test]
fn commands_that_read() {
    let env = stored("always");
    let database = Database::new();
    Case {
        line: "sync --create-table --threads 1",
        points: &["sync.before-commit", "sync.after-commit"],
        database: Some(&database),
        ..CASE
    }
    .check(&env);
    Case {
        line: "export --to out/",
        points: &["snapshot.after-copy"],
        ..CASE
    }
    .check(&env);
    Case {
        line: "bundle create out.tar",
        points: &[
            "bundle.create.after-seal",
            "bundle.create.between-partitions",
            "bundle.create.before-rename",
            "bundle.create.after-rename",
        ],
        ..CASE
    }
    .check(&env);
}

#[test]
fn pushes() {
    Case {
        line: "push table",
        points: &[
            "push.after-upload",
            "push.before-commit",
            "push.after-commit",
        ],
        ..CASE
    }
    .check(&stored("always"));
    Case {
        line: "push table",
        points: &["push.after-seal"],
        ..CASE
    }
    .check(&stored("never"));
    let env = stored("always");
    for price in 30..40 {
        env.typed("push table").ok();
        write_csv(&env, "A", price);
        env.typed("inject-csv A.csv --exchange CRYPTO --on-conflict update")
            .ok();
    }
    Case {
        line: "push table --vacuum=0",
        points: &[
            "push.between-checkpoint-and-its-name",
            "push.between-deletes",
        ],
        ..CASE
    }
    .check(&env);
}

#[test]
fn a_bundle_that_is_applied() {
    let env = TestEnv::new();
    // More partitions than one commit takes.
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    for ticker in 0..260 {
        text += &rows(&format!("T{ticker},"), 3, 10);
    }
    env.write("all.csv", text);
    env.typed("inject-csv all.csv --exchange CRYPTO --interval 15 --store other")
        .ok();
    env.typed("bundle create 1.tar --store other").ok();
    fs::remove_dir_all(env.path("other")).unwrap();
    Case {
        line: "bundle apply 1.tar",
        points: &[
            "bundle.apply.between-commits",
            "bundle.apply.before-record",
            "bundle.apply.after-record",
        ],
        readers: Readers::Held("commit.begin"),
        changes: Changes::ByTicker,
        ..CASE
    }
    .check(&env);
}
