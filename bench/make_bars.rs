//! Makes input for the benchmarks: CSV files with minute bars of invented tickers, always the same.
//!
//!     make_bars files DIR TICKERS BARS [FIRST]     one file per ticker: ticker,timestamp,open,high,low,close,volume
//!     make_bars small DIR TICKERS DAYS             the same layout, one folder per ticker with one file per session
//!     make_bars day FILE TICKERS [DAY]             one session of 390 minutes of every ticker, in the flat-file layout
//!
//! The scripts compile it with `rustc -O`; it needs only the standard library.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

const SEED: u64 = 20_250_102;
/// 2020-01-02, the first session.
const FIRST_DAY: i64 = 18_263;
const SESSION_MINUTES: i64 = 390;
/// 09:30 in New York in winter; these bars have no daylight saving time.
const OPEN_MINUTE: i64 = 14 * 60 + 30;

struct Random(u64);

impl Random {
    /// splitmix64
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> i64 {
        (self.next() % end) as i64
    }
}

/// A random walk in cents.
struct Walk {
    random: Random,
    price: i64,
}

struct Bar {
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i64,
}

impl Walk {
    fn new(ticker: usize) -> Self {
        let mut random = Random(SEED ^ ((ticker as u64 + 1) << 32));
        let price = 2_000 + random.below(40_000);
        Self { random, price }
    }

    fn bar(&mut self) -> Bar {
        let step = |random: &mut Random| random.below(13) - 6;
        let open = self.price;
        let close = (open + step(&mut self.random)).max(100);
        let high = open.max(close) + self.random.below(5);
        let low = (open.min(close) - self.random.below(5)).max(1);
        let scale = [10, 100, 1_000, 10_000][self.random.below(4) as usize];
        self.price = close;
        Bar {
            open,
            high,
            low,
            close,
            volume: 1 + self.random.below(90) * scale / 10 + self.random.below(100),
        }
    }
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments[at].parse::<usize>().expect("a number");
    let optional = |at: usize| arguments.get(at).map_or(0, |_| number(at));
    match arguments[1].as_str() {
        "files" => files(&arguments[2], number(3), number(4), optional(5)),
        "small" => small(&arguments[2], number(3), number(4)),
        "day" => day(&arguments[2], number(3), optional(4)),
        other => panic!("{other}: files, small or day"),
    }
}

fn files(dir: &str, tickers: usize, bars: usize, first: usize) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    for ticker in first..first + tickers {
        let name = format!("SYM{ticker:03}");
        let mut out = create(&format!("{dir}/{name}.csv"))?;
        let mut walk = Walk::new(ticker);
        let (mut day, mut left) = (FIRST_DAY, bars as i64);
        while left > 0 {
            session(&mut out, &name, &mut walk, day, left.min(SESSION_MINUTES))?;
            left -= SESSION_MINUTES;
            day = next_day(day);
        }
        out.flush()?;
    }
    Ok(())
}

fn small(dir: &str, tickers: usize, days: usize) -> std::io::Result<()> {
    for ticker in 0..tickers {
        let name = format!("SYM{ticker:03}");
        fs::create_dir_all(format!("{dir}/{name}"))?;
        let mut walk = Walk::new(ticker);
        let mut day = FIRST_DAY;
        for _ in 0..days {
            let mut out = create(&format!("{dir}/{name}/{}.csv", date_text(day)))?;
            session(&mut out, &name, &mut walk, day, SESSION_MINUTES)?;
            out.flush()?;
            day = next_day(day);
        }
    }
    Ok(())
}

/// A new file with the header that `session` writes rows for.
fn create(path: &str) -> std::io::Result<BufWriter<File>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(b"ticker,timestamp,open,high,low,close,volume\n")?;
    Ok(out)
}

/// The first minutes of one session.
fn session(out: &mut impl Write, name: &str, walk: &mut Walk, day: i64, minutes: i64) -> std::io::Result<()> {
    let date = date_text(day);
    for minute in OPEN_MINUTE..OPEN_MINUTE + minutes {
        let Bar { open, high, low, close, volume } = walk.bar();
        writeln!(
            out,
            "{name},{date}T{:02}:{:02}:00Z,{},{},{},{},{volume}",
            minute / 60, minute % 60, Cents(open), Cents(high), Cents(low), Cents(close)
        )?;
    }
    Ok(())
}

/// The next weekday. 1970-01-01 was a Thursday.
fn next_day(day: i64) -> i64 {
    day + if (day + 4) % 7 == 5 { 3 } else { 1 }
}

fn day(path: &str, tickers: usize, day: usize) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(b"ticker,volume,open,close,high,low,window_start,transactions\n")?;
    for ticker in 0..tickers {
        let mut walk = Walk::new(ticker);
        for minute in 0..SESSION_MINUTES {
            let Bar { open, high, low, close, volume } = walk.bar();
            let start = ((FIRST_DAY + day as i64) * 1440 + OPEN_MINUTE + minute) * 60;
            writeln!(
                out,
                "D{ticker:05},{volume},{},{},{},{},{start}000000000,{}",
                Cents(open), Cents(close), Cents(high), Cents(low), 1 + volume / 50
            )?;
        }
    }
    out.flush()
}

struct Cents(i64);

impl std::fmt::Display for Cents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// The civil date of a day since 1970.
fn date_text(day: i64) -> String {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let y = yoe + era * 400 + i64::from(m <= 2);
    format!("{y:04}-{m:02}-{d:02}")
}
