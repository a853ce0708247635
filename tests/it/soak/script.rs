//! What a run does, step by step, drawn from the dice.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use super::dice::Dice;
use super::state::{Grain, State};
use crate::support::TestEnv;

/// Where a run's bars come from. A store holds demo bars or real ones, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Dumps,
    Provider,
}

/// One command, what is done before it on both sides, and how far it may be cut.
pub struct Step {
    pub command: &'static str,
    pub args: Vec<String>,
    pub grain: Grain,
    pub setup: Vec<Setup>,
    /// Points that the command passes; others are tried now and then.
    pub points: &'static [&'static str],
    /// The store that it fills, where that is not the run's own: a bundle is applied to a new one.
    pub aside: Option<String>,
    /// The disturbed side reads this dump from a pipe instead of its folder.
    pub pipe: Option<String>,
    /// The disturbed side first injects the dumps cut off at this share of their bytes, as files that
    /// are still being written.
    pub cut_at: Option<f64>,
}

/// Something done before a step, undisturbed.
pub enum Setup {
    Write(String, String),
    Seal,
    /// Everything that is staged, in one file.
    Bundle(String),
    DeleteCatalog,
    /// The partition at this place of the sorted list, counted round.
    DeletePartition(u64),
}

const TICKERS: [&str; 4] = ["T0", "T1", "BTC/USD", "007"];
const COMPANIES: [&str; 3] = ["AAPL", "MSFT", "NVDA"];

const COMMIT: &[&str] = &[
    "checkpoint.before",
    "checkpoint.after",
    "publish.before-rename",
    "commit.before-transaction",
    "commit.after-transaction",
    "publish.after-encode",
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

/// The next step of a run that holds `state`.
pub fn next(dice: &mut Dice, flavor: Flavor, state: &State, number: usize) -> Step {
    if number == 0 || state.is_empty() {
        return fill(dice, flavor, number);
    }
    match dice.below(100) {
        0..40 => fill(dice, flavor, number),
        40..55 => step("seal", "seal", Grain::Nothing, SEAL),
        55..70 => drop_some(dice, state),
        70..80 => repair(dice),
        80..90 => sync(),
        90..95 => bundle(number),
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
        aside: None,
        pipe: None,
        cut_at: None,
    }
}

fn fill(dice: &mut Dice, flavor: Flavor, number: usize) -> Step {
    match flavor {
        Flavor::Dumps => inject(dice, number),
        Flavor::Provider => fetch(dice),
    }
}

fn inject(dice: &mut Dice, number: usize) -> Step {
    let mode = dice.pick(&["ignore", "update", "update"]);
    let line = format!(
        "inject-csv --csv-dir d{number} --exchange CRYPTO --interval 1 --on-conflict {mode}"
    );
    let mut step = step("inject-csv", &line, Grain::Ticker, COMMIT);
    if dice.chance(4) {
        // A day of a market: rows enough of series enough for a segment.
        let (first, seed) = (dice.below(3_000), dice.roll());
        let mut all = String::new();
        for number in 0..64 {
            let one = dump(&format!("M{number}"), first, 1_030, seed ^ number);
            let rows = one.split_once('\n').map_or("", |(_, rows)| rows);
            all += if number == 0 { &one } else { rows };
        }
        step.setup
            .push(Setup::Write(format!("d{number}/market.csv"), all));
        return step;
    }
    let mut tickers: Vec<&str> = TICKERS.to_vec();
    for _ in 0..=dice.below(3) {
        let ticker = tickers.remove(dice.below(tickers.len() as u64) as usize);
        // Few rows stay hot; many are published at once.
        let rows = if dice.chance(20) {
            16_400 + dice.below(1_000)
        } else {
            20 + dice.below(600)
        };
        let first = dice.below(3_000);
        step.setup.push(Setup::Write(
            format!("d{number}/{}.csv", ticker.replace('/', "_")),
            dump(ticker, first, rows, dice.roll()),
        ));
    }
    // A bar that was read wrong from a cut dump stays under `ignore`, and shows.
    if mode == "ignore" && dice.chance(50) {
        step.cut_at = Some(dice.share());
    } else if let [Setup::Write(name, _)] = step.setup.as_slice()
        && dice.chance(50)
    {
        step.pipe = Some(name.clone());
    }
    step
}

/// Minutes around the turn of the year 2025, so that many dumps fall into two partitions.
fn dump(ticker: &str, first: u64, rows: u64, seed: u64) -> String {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    // 2024-12-31T00:00:00Z
    let start = chrono::DateTime::from_timestamp(1_735_603_200, 0).unwrap();
    for row in 0..rows {
        let minute = first + row;
        let at = start + chrono::Duration::minutes(i64::try_from(minute).unwrap());
        // Every tenth key says the same in all dumps, the others differ from dump to dump.
        let of = if minute.is_multiple_of(10) { 0 } else { seed };
        let price = 100 + Dice::new(of ^ minute).below(50);
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

fn fetch(dice: &mut Dice) -> Step {
    let command = dice.pick(&["specific", "concurrent"]);
    let mut tickers: BTreeSet<&str> = BTreeSet::new();
    for _ in 0..=dice.below(2) {
        tickers.insert(dice.pick(&COMPANIES));
    }
    let tickers: Vec<&str> = tickers.into_iter().collect();
    // January 2025, over the turn of the year now and then.
    let (first, days) = (dice.below(20), dice.below(8));
    let date = |day: u64| {
        let at = chrono::NaiveDate::from_ymd_opt(2024, 12, 28).unwrap();
        at + chrono::Days::new(day)
    };
    let line = format!(
        "{command} --provider demo --rate 60000 --resume --on-conflict ignore --start {} --end {} --tickers {}",
        date(first),
        date(first + days),
        tickers.join(" ")
    );
    step(command, &line, Grain::Date, COMMIT)
}

fn drop_some(dice: &mut Dice, state: &State) -> Step {
    let keys: Vec<&(String, String)> = state.keys().collect();
    let (ticker, date) = dice.pick(&keys);
    let range = if dice.chance(60) {
        format!("--start {date} --end {date}")
    } else {
        String::new()
    };
    let line = format!("drop --yes --tickers {ticker} {range}");
    // A date of either exchange holds the bars of one UTC date.
    step("drop", &line, Grain::Ticker, DROP)
}

fn repair(dice: &mut Dice) -> Step {
    let mut step = step(
        "verify --repair",
        "verify --repair",
        Grain::Unreadable,
        REPAIR,
    );
    step.setup.push(Setup::Seal);
    step.setup.push(if dice.chance(50) {
        Setup::DeleteCatalog
    } else {
        Setup::DeletePartition(dice.roll())
    });
    step
}

/// Across the air gap: all that is staged into another store.
fn bundle(number: usize) -> Step {
    let (file, store) = (format!("b{number}.tar"), format!("copy{number}"));
    let line = format!("bundle apply {file} --on-conflict update");
    let mut step = step("bundle apply", &line, Grain::Ticker, COMMIT);
    step.setup.push(Setup::Bundle(file));
    step.aside = Some(store);
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

impl Step {
    /// The folder of its dumps.
    pub fn dumps(&self) -> &str {
        let at = self.args.iter().position(|arg| arg == "--csv-dir");
        at.map_or("", |at| &self.args[at + 1])
    }

    /// The arguments with the dumps of another folder, or with standard input for them.
    pub fn args_for(&self, dumps: &str) -> Vec<String> {
        let mut args = self.args.clone();
        if let Some(at) = args.iter().position(|arg| arg == "--csv-dir") {
            args[at + 1] = dumps.to_owned();
            if dumps == "/dev/stdin" {
                args.remove(at);
            }
        }
        args
    }
}

impl Setup {
    /// Does it in one of the two folders.
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
            Self::DeletePartition(place) => {
                let files = env.files(&format!("{folder}/lake"));
                let file = &files[(*place % files.len() as u64) as usize];
                fs::remove_file(env.path(file)).unwrap();
            }
        }
    }
}
