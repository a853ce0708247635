//! The random steps of a run.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use super::provider::Provider;
use super::rng::Rng;
use super::state::{Grain, State};
use crate::support::TestEnv;

/// The source of a run's bars. A store holds demo bars or real ones, never both.
#[derive(Clone, Copy, Debug)]
pub enum Flavor {
    Csv,
    Provider(&'static Provider),
}

/// One command, its setup on both sides, and what a kill may leave half done.
pub struct Step {
    pub command: &'static str,
    pub args: Vec<String>,
    pub grain: Grain,
    pub setup: Vec<Setup>,
    /// Crash points that the command reaches; others are tried sometimes.
    pub points: &'static [&'static str],
    /// The store that it fills, if it isn't the run's store: a bundle is applied to a new one.
    pub other_store: Option<String>,
    /// The killed side reads this file from a pipe instead of its folder.
    pub pipe: Option<String>,
    /// The killed side first injects the files cut off at this share of their bytes, as if they were
    /// still being written.
    pub cut_at: Option<f64>,
}

/// Something done before a step, without kills.
pub enum Setup {
    Write(String, String),
    Seal,
    /// All stored bars, in one file.
    Bundle(String),
    DeleteCatalog,
    /// The partition at this index of the sorted list, modulo its length.
    DeletePartition(u64),
}

const TICKERS: [&str; 4] = ["T0", "T1", "BTC/USD", "007"];

const COMMIT: &[&str] = &[
    "checkpoint.before",
    "checkpoint.after",
    "publish.before-rename",
    "commit.before-transaction",
    "commit.after-transaction",
    "publish.after-encode",
    "seal.after-intent",
    "publish.between-renames",
    "publish.after-rename",
    "publish.after-settle",
];
const SEAL: &[&str] = &[
    "checkpoint.before",
    "publish.before-rename",
    "publish.after-encode",
    "seal.after-intent",
    "publish.between-renames",
    "publish.after-rename",
    "publish.after-settle",
];
const DROP: &[&str] = &[
    "checkpoint.before",
    "publish.before-rename",
    "publish.after-encode",
    "drop.after-transaction",
    "publish.between-renames",
    "publish.after-rename",
    "publish.after-settle",
];
const REPAIR: &[&str] = &[
    "repair.after-transaction",
    "repair.before-transaction",
    "catalog.before-rename",
    "checkpoint.before",
];
const NONE: &[&str] = &[];

/// The next step of a run with this state.
pub fn next(rng: &mut Rng, flavor: Flavor, state: &State, number: usize) -> Step {
    if number == 0 || state.is_empty() {
        return fill(rng, flavor, number);
    }
    match rng.below(100) {
        0..40 => fill(rng, flavor, number),
        40..55 => step("seal", "seal", Grain::Nothing, SEAL),
        55..70 => drop_some(rng, state),
        70..80 => repair(rng),
        80..90 => sync(),
        90..93 => bundle(number),
        93..96 => push(),
        _ => step(
            "export",
            "export --to out --format csv --partition-by ticker",
            Grain::Nothing,
            NONE,
        ),
    }
}

fn step(command: &'static str, line: &str, grain: Grain, points: &'static [&'static str]) -> Step {
    Step {
        command,
        args: line.split_whitespace().map(str::to_owned).collect(),
        grain,
        setup: Vec::new(),
        points,
        other_store: None,
        pipe: None,
        cut_at: None,
    }
}

fn fill(rng: &mut Rng, flavor: Flavor, number: usize) -> Step {
    match flavor {
        Flavor::Csv => inject(rng, number),
        Flavor::Provider(provider) => fetch(rng, provider),
    }
}

fn inject(rng: &mut Rng, number: usize) -> Step {
    let mode = rng.pick(&["ignore", "update", "update"]);
    let line = format!(
        "inject-csv --csv-dir d{number} --exchange CRYPTO --interval 1 --on-conflict {mode} --seal {}",
        when_to_seal(rng)
    );
    let mut step = step("inject-csv", &line, Grain::Ticker, COMMIT);
    if rng.chance(4) {
        // A day of many tickers: enough rows and series for a segment.
        let (first, seed) = (rng.below(3_000), rng.next());
        let mut all = String::new();
        for number in 0..64 {
            let one = csv_text(&format!("M{number}"), first, 1_030, seed ^ number);
            let rows = one.split_once('\n').map_or("", |(_, rows)| rows);
            all += if number == 0 { &one } else { rows };
        }
        step.setup
            .push(Setup::Write(format!("d{number}/market.csv"), all));
        return step;
    }
    if rng.chance(10) {
        step.grain = Grain::Date;
        small_files(rng, number, &mut step.setup);
        return step;
    }
    let mut tickers: Vec<&str> = TICKERS.to_vec();
    for _ in 0..=rng.below(3) {
        let ticker = tickers.remove(rng.below(tickers.len() as u64) as usize);
        // Few rows stay hot; many are published at once.
        let rows = if rng.chance(20) {
            16_400 + rng.below(1_000)
        } else {
            20 + rng.below(600)
        };
        let first = rng.below(3_000);
        step.setup.push(Setup::Write(
            format!("d{number}/{}.csv", ticker.replace('/', "_")),
            csv_text(ticker, first, rows, rng.next()),
        ));
    }
    // Under `ignore` a wrong bar of a cut file would stay and be noticed.
    if mode == "ignore" && rng.chance(50) {
        step.cut_at = Some(rng.share());
    } else if let [Setup::Write(name, _)] = step.setup.as_slice()
        && rng.chance(50)
    {
        step.pipe = Some(name.clone());
    }
    step
}

/// A value of `--seal`. Bars that stay hot are sealed by a later step.
fn when_to_seal(rng: &mut Rng) -> &'static str {
    rng.pick(&["auto", "always", "never", "never"])
}

/// One file per ticker and date, which are committed many at once.
fn small_files(rng: &mut Rng, number: usize, setup: &mut Vec<Setup>) {
    for ticker in 0..6 {
        let first = rng.below(3);
        for day in first..first + 6 {
            let (minute, rows) = (day * 1_440 + rng.below(1_200), 20 + rng.below(200));
            setup.push(Setup::Write(
                format!("d{number}/S{ticker}/{day}.csv"),
                csv_text(&format!("S{ticker}"), minute, rows, rng.next()),
            ));
        }
    }
}

/// Minutes around New Year 2025, so that many files have bars of two partitions.
fn csv_text(ticker: &str, first: u64, rows: u64, seed: u64) -> String {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    // 2024-12-31T00:00:00Z
    let start = chrono::DateTime::from_timestamp(1_735_603_200, 0).unwrap();
    for row in 0..rows {
        let minute = first + row;
        let at = start + chrono::Duration::minutes(i64::try_from(minute).unwrap());
        // Every tenth key has the same values in all files; the others differ.
        let of = if minute.is_multiple_of(10) { 0 } else { seed };
        let price = 100 + Rng::new(of ^ minute).below(50);
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        let high = price + 1;
        writeln!(
            text,
            "{ticker},{at},{price},{high}.5,{price},{price}.25,{minute}"
        )
        .unwrap();
    }
    text
}

fn fetch(rng: &mut Rng, provider: &Provider) -> Step {
    let command = rng.pick(&["specific", "concurrent"]);
    let mut tickers: BTreeSet<&str> = BTreeSet::new();
    for _ in 0..=rng.below(provider.tickers_max) {
        tickers.insert(rng.pick(provider.tickers));
    }
    let tickers: Vec<&str> = tickers.into_iter().collect();
    // From January 2025, sometimes from December on.
    let (first, days) = (rng.below(20), rng.below(provider.days_max));
    let date = |day: u64| {
        let at = chrono::NaiveDate::from_ymd_opt(2024, 12, 28).unwrap();
        at + chrono::Days::new(day)
    };
    let line = format!(
        "{command} --provider {} --interval {} --rate 60000 --resume --on-conflict ignore --start {} --end {} --tickers {} --seal {}",
        provider.name,
        provider.minutes,
        date(first),
        date(first + days),
        tickers.join(" "),
        when_to_seal(rng)
    );
    step(command, &line, Grain::Date, COMMIT)
}

fn drop_some(rng: &mut Rng, state: &State) -> Step {
    let keys: Vec<&(String, String)> = state.keys().collect();
    let (ticker, date) = rng.pick(&keys);
    let range = if rng.chance(60) {
        format!("--start {date} --end {date}")
    } else {
        String::new()
    };
    let line = format!(
        "drop --yes --tickers {ticker} {range} --seal {}",
        when_to_seal(rng)
    );
    // In both exchanges a date has the bars of one UTC date.
    step("drop", &line, Grain::Ticker, DROP)
}

fn repair(rng: &mut Rng) -> Step {
    let mut step = step(
        "verify --repair",
        "verify --repair",
        Grain::Unreadable,
        REPAIR,
    );
    step.setup.push(Setup::Seal);
    step.setup.push(if rng.chance(50) {
        Setup::DeleteCatalog
    } else {
        Setup::DeletePartition(rng.next())
    });
    step
}

/// A bundle: all bars into another store.
fn bundle(number: usize) -> Step {
    let (file, store) = (format!("b{number}.tar"), format!("copy{number}"));
    let line = format!("bundle apply {file} --on-conflict update --seal always");
    let mut step = step("bundle apply", &line, Grain::Ticker, COMMIT);
    step.setup.push(Setup::Bundle(file));
    step.other_store = Some(store);
    step
}

fn sync() -> Step {
    step(
        "sync",
        "sync --create-table --on-conflict update --allow-demo",
        Grain::Nothing,
        &["sync.before-commit", "sync.after-commit"],
    )
}

/// The folder that is pushed to.
pub const PUSHED: &str = "table";

fn push() -> Step {
    step(
        "push",
        "push table --on-conflict update --full --allow-demo --vacuum=0",
        Grain::Nothing,
        &[
            "push.after-seal",
            "push.after-upload",
            "push.before-commit",
            "push.after-commit",
            "push.between-deletes",
        ],
    )
}

impl Step {
    /// Whether it writes to the store and can wait for another writer.
    pub fn can_wait(&self) -> bool {
        !matches!(self.command, "verify --repair" | "sync" | "push" | "export")
    }

    /// The folder of its files.
    pub fn files(&self) -> &str {
        let at = self.args.iter().position(|arg| arg == "--csv-dir");
        at.map_or("", |at| &self.args[at + 1])
    }

    /// The arguments with the files of another folder, or with standard input.
    pub fn args_for(&self, files: &str) -> Vec<String> {
        let mut args = self.args.clone();
        if let Some(at) = args.iter().position(|arg| arg == "--csv-dir") {
            args[at + 1] = files.to_owned();
            if files == "/dev/stdin" {
                args.remove(at);
            }
        }
        args
    }
}

impl Setup {
    /// Does it on one side.
    pub fn done_in(&self, env: &TestEnv, folder: &str, store: &[String]) {
        match self {
            Self::Write(name, text) => drop(env.write(name, text)),
            Self::Seal => {
                let mut args = store.to_vec();
                args.push("seal".to_owned());
                env.run(&args).ok();
            }
            Self::Bundle(file) => {
                let mut args = store.to_vec();
                args.extend(["bundle", "create", file].map(str::to_owned));
                env.run(&args).ok();
            }
            Self::DeleteCatalog => {
                for name in ["staging.duckdb", "staging.duckdb.wal"] {
                    let _ = fs::remove_file(env.path(folder).join(name));
                }
            }
            Self::DeletePartition(index) => {
                let files = env.files(&format!("{folder}/lake"));
                let file = &files[(*index % files.len() as u64) as usize];
                fs::remove_file(env.path(file)).unwrap();
            }
        }
    }
}
