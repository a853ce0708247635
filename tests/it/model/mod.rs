//! The store compared with a map: random commits under each policy, small and large, seals, drops
//! and reopenings in this process; exports and syncs by the program. After each step both tiers,
//! and sometimes the file and the table, have the bars of the map, each key once.

use std::collections::BTreeMap;

use backfill::model::{
    Bar, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker, TimeRange,
    Timestamp,
};
use backfill::store::{Offer, OpenOptions, RunId, SealRule, Store, bars_from_batch};

use crate::support::{Database, TestEnv};

/// The steps of the test; `MODEL_STEPS` sets another number.
const STEPS: u64 = 150;

const TICKERS: [&str; 3] = ["A", "BTC/USD", "007"];
const MODES: [OnConflict; 3] = [OnConflict::Fail, OnConflict::Ignore, OnConflict::Update];
/// An hour before 2025, so that ranges reach into another partition.
const START: i64 = (1_735_689_600 - 3_600) / 60;

type Model = BTreeMap<(&'static str, i64), f64>;

struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn options() -> OpenOptions {
    OpenOptions {
        seal: SealRule {
            publish_rows_min: 25,
            partition_rows_min: 60,
            partition_sealed_per_hot: 2,
            store_rows_min: 200,
            store_sealed_per_hot: 8,
            segment_rows_min: 10,
            segment_series_min: 2,
            conflict_rows_min: 6,
        },
        memory_limit_mib: 100,
        threads: 1,
        ..OpenOptions::default()
    }
}

fn series(ticker: &str) -> SeriesKey {
    SeriesKey {
        interval: Interval::M1,
        ticker: Ticker::new(ticker).unwrap(),
    }
}

fn offer(ticker: &str, rows: &[(i64, f64)], on_conflict: OnConflict) -> Offer {
    let bar = |(minute, price): &(i64, f64)| {
        Bar::new(
            Timestamp::from_micros((START + minute) * 60_000_000),
            [*price, *price, *price, *price],
            10.0,
        )
    };
    Offer {
        series: series(ticker),
        provenance: Provenance {
            exchange: "CRYPTO".into(),
            basis: Basis::Unknown,
            hours: Hours::Unknown,
        },
        source: Source::csv(),
        bars: rows.iter().map(bar).collect(),
        on_conflict,
        is_repeated_request: false,
        coverage: Vec::new(),
    }
}

/// Applies an offer to the map; returns what the store must count: (committed, updated, skipped).
fn apply(
    model: &mut Model,
    ticker: &'static str,
    rows: &BTreeMap<i64, f64>,
    mode: OnConflict,
) -> Option<(u64, u64, u64)> {
    if mode == OnConflict::Fail && rows.keys().any(|at| model.contains_key(&(ticker, *at))) {
        return None;
    }
    let (mut committed, mut updated, mut skipped) = (0, 0, 0);
    for (at, price) in rows {
        match model.get(&(ticker, *at)).copied() {
            None => committed += 1,
            Some(old) if old != *price && mode == OnConflict::Update => {
                committed += 1;
                updated += 1;
            }
            Some(_) => {
                skipped += 1;
                continue;
            }
        }
        model.insert((ticker, *at), *price);
    }
    Some((committed, updated, skipped))
}

/// Both tiers, read in this process.
fn held(store: &Store) -> BTreeMap<(String, i64), f64> {
    let reader = store.reader().unwrap();
    let mut out = BTreeMap::new();
    for row in reader.series().unwrap() {
        for batch in reader.scan(&row.key, TimeRange::ALL).unwrap() {
            for bar in bars_from_batch(&batch.unwrap()).unwrap().iter() {
                let minute = bar.timestamp.micros() / 60_000_000 - START;
                let key = (row.key.ticker.to_string(), minute);
                assert!(out.insert(key, bar.close).is_none(), "duplicate key");
            }
        }
    }
    out
}

fn as_held(model: &Model) -> BTreeMap<(String, i64), f64> {
    let owned = model.iter();
    owned
        .map(|((ticker, at), price)| (((*ticker).to_owned(), *at), *price))
        .collect()
}

/// `ticker,minute,price` lines of a file or a table.
fn parsed(lines: impl Iterator<Item = String>) -> BTreeMap<(String, i64), f64> {
    let mut out = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split([',', '|']).collect();
        let key = (
            fields[0].to_owned(),
            fields[1].parse::<i64>().unwrap() - START,
        );
        assert!(
            out.insert(key, fields[2].parse().unwrap()).is_none(),
            "a key twice: {line}"
        );
    }
    out
}

struct World {
    env: TestEnv,
    database: Database,
    table: String,
    store: Option<Store>,
    run: RunId,
    model: Model,
    /// The expected table: the store's bars at the last sync, and those dropped before.
    synced: Model,
}

impl World {
    fn new(seed: u64) -> Self {
        let env = TestEnv::new();
        let store = Store::open(&env.path("data/staging"), &options()).unwrap();
        let run = store.begin_run("model", Timestamp::from_micros(0)).unwrap();
        Self {
            env,
            database: Database::new(),
            table: format!("model_{seed}"),
            store: Some(store),
            run,
            model: Model::new(),
            synced: Model::new(),
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Closes the store, lets the program work on it, and opens it again.
    fn with_store_closed(&mut self, work: impl FnOnce(&Self)) {
        drop(self.store.take());
        work(self);
        self.store = Some(Store::open(&self.env.path("data/staging"), &options()).unwrap());
    }

    fn commit(&mut self, rng: &mut Rng) {
        let (mut offers, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..=rng.below(3) {
            let ticker = TICKERS[rng.below(3) as usize];
            let mode = MODES[rng.below(3) as usize];
            let first = rng.below(120) as i64;
            let most = if rng.below(4) == 0 { 50 } else { 10 };
            let mut rows: BTreeMap<i64, f64> = BTreeMap::new();
            for _ in 0..rng.below(most) {
                let minute = first + rng.below(60) as i64;
                rows.insert(minute, 1.0 + rng.below(3) as f64);
            }
            let given: Vec<(i64, f64)> = rows.iter().map(|(at, price)| (*at, *price)).collect();
            offers.push(offer(ticker, &given, mode));
            expected.push(apply(&mut self.model, ticker, &rows, mode));
        }
        let answers = self.store().commit(&self.run, offers).unwrap();
        for (answer, expected) in answers.iter().zip(expected) {
            let found = answer.as_ref().ok().map(|done| {
                let counts = done.counts;
                let skipped = counts.skipped_identical + counts.skipped_restated;
                (counts.committed, counts.updated, skipped)
            });
            assert_eq!(found, expected);
        }
    }

    fn drop_some(&mut self, rng: &mut Rng) {
        let ticker = TICKERS[rng.below(3) as usize];
        let first = rng.below(180) as i64;
        let range = first..first + 1 + rng.below(90) as i64;
        let instants = TimeRange {
            start: (START + range.start) * 60_000_000,
            end: (START + range.end) * 60_000_000,
        };
        let before = self.model.len();
        self.model
            .retain(|(of, at), _| *of != ticker || !range.contains(at));
        let dropped = self.store().drop_bars(&series(ticker), instants).unwrap();
        assert_eq!(dropped.rows as usize, before - self.model.len());
    }

    /// The export, and SQL over both tiers, read back.
    fn export(&mut self) {
        if self.model.is_empty() {
            return;
        }
        let sql = "SELECT ticker, epoch_us(timestamp) // 60000000, close FROM bars";
        self.with_store_closed(|world| {
            world.env.typed("export --to out.csv").ok();
            let text = world.env.read("out.csv");
            let lines = text.lines().skip(1).map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                let at = chrono::DateTime::parse_from_rfc3339(fields[1]).unwrap();
                format!("{},{},{}", fields[0], at.timestamp() / 60, fields[5])
            });
            assert_eq!(parsed(lines), as_held(&world.model), "the export");
            let run = world.env.run(["query", "--format", "csv", sql]).ok();
            let lines = run.out().lines().skip(1).map(str::to_owned);
            assert_eq!(parsed(lines), as_held(&world.model), "SQL");
            world.env.typed("verify").ok();
        });
    }

    fn sync(&mut self) {
        if self.model.is_empty() {
            return;
        }
        // The table keeps bars that were dropped here.
        self.synced
            .extend(self.model.iter().map(|(key, price)| (*key, *price)));
        self.with_store_closed(|world| {
            let table = &world.table;
            let line = format!("sync --create-table --on-conflict update --table {table}");
            let program = world.env.program(line.split_whitespace());
            program.env("DATABASE_URL", world.database.url()).run().ok();
            let rows = world.database.sql(&format!(
                "SELECT ticker, extract(epoch FROM timestamp)::bigint / 60, close FROM {table}"
            ));
            let lines = rows.lines().map(str::to_owned);
            assert_eq!(parsed(lines), as_held(&world.synced), "the table");
        });
    }
}

#[test]
fn a_store_behaves_like_a_map() {
    let number = |name: &str, otherwise| {
        std::env::var(name).map_or(otherwise, |text| text.parse::<u64>().unwrap())
    };
    let (seed, steps) = (number("MODEL_SEED", 7), number("MODEL_STEPS", STEPS));
    let mut rng = Rng(seed);
    let mut world = World::new(seed);
    for step in 0..steps {
        match rng.below(100) {
            0..70 => world.commit(&mut rng),
            70..79 => {
                world.store().seal().unwrap();
            }
            79..88 => world.drop_some(&mut rng),
            88..92 => world.with_store_closed(|_| {}),
            92..96 => world.export(),
            _ => world.sync(),
        }
        assert_eq!(
            held(world.store()),
            as_held(&world.model),
            "step {step} of seed {seed}"
        );
    }
    world.export();
    world.sync();
}
