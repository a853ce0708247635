//! A corpus of CSV files: small files in the layouts that people have, each with the bars that it
//! contains.
//!
//! Each file is injected untouched into an empty store by the real program. A file is *right* if
//! exactly its bars are stored, *refused* if nothing is, *warned* if other bars are stored with a
//! warning. **No file may be wrong without a warning.** A file that isn't right is tried again with
//! the options that the hints and warnings name: one of them must get it in, as it is written. If
//! none has a value that can be used (`--ticker NAME`), the file is tried with the options of a
//! person who knows it, which the message must have named.

mod coins;
mod currencies;
mod files;
mod market;
mod others;
mod stocks;
mod times;

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use backfill::model::TimeRange;
use backfill::store::{OpenOptions, Reader};
use rayon::prelude::*;

use crate::support::TestEnv;
use market::{Bar, Series};

/// Files that can be stored, and that the program still refuses. Remove one here once it is read.
const NOT_READ_YET: [&str; 0] = [];

/// The layouts that files of the corpus are recognised as, by the beginning of their paths. Files
/// without an entry have a layout of no vendor, or are refused.
const LAYOUTS: [(&str, &str); 65] = [
    ("algoseek/", "algoseek"),
    ("archives/BTCUSDT", "Binance"),
    ("arrow/", "Arrow"),
    ("feather/", "Arrow"),
    ("files/array.json", "JSON"),
    ("files/bars.jsonl", "JSON"),
    ("files/blank.ndjson", "JSON"),
    ("freqtrade/", "JSON"),
    ("lean/", "LEAN"),
    ("parquet/", "Parquet"),
    ("alpaca/", "Alpaca"),
    ("alphavantage/fx_", "Alpha Vantage (currencies)"),
    ("alphavantage/intraday_", "Alpha Vantage"),
    ("amibroker/", "AmiBroker"),
    ("backtesting/", "pandas"),
    ("barchart/", "Barchart"),
    ("binance/", "Binance"),
    ("bitfinex/", "Bitfinex"),
    ("bitstamp/", "Bitcoincharts"),
    ("bybit/", "Bybit"),
    ("cdd/", "CryptoDataDownload"),
    ("coinapi/", "CoinAPI"),
    ("coinbase/", "Coinbase"),
    ("cryptocompare/", "CryptoCompare"),
    ("databento/", "Databento"),
    ("dukascopy/", "Dukascopy"),
    ("dukascopy_node/", "Dukascopy"),
    ("eodhd/", "EODHD"),
    ("finam/", "Finam"),
    ("finnhub/", "Finnhub"),
    ("firstrate/AAPL_full", "FirstRate"),
    ("firstrate/MSFT_full", "FirstRate"),
    ("flat/", "pandas"),
    ("fmp/", "FMP"),
    ("fxcm/", "FXCM"),
    ("gateio/", "Gate.io"),
    ("histdata/", "HistData"),
    ("huobi/", "HTX (Huobi)"),
    ("ib/", "Interactive Brokers"),
    ("ib_insync/", "Interactive Brokers"),
    ("kibot/", "Kibot"),
    ("kraken/", "Kraken"),
    ("kucoin/", "KuCoin"),
    ("marketstack/", "Marketstack"),
    ("metastock/", "MetaStock"),
    ("mt4/EURUSD1.csv", "MetaTrader 4"),
    ("mt4/EURUSD60.csv", "MetaTrader 4"),
    ("mt5/", "MetaTrader 5"),
    ("ninjatrader/", "NinjaTrader"),
    ("oanda/EUR", "OANDA"),
    ("okx/", "OKX"),
    ("pandas/", "pandas"),
    ("polygon/", "Massive (Polygon)"),
    ("quantquote/", "QuantQuote"),
    ("refinitiv/", "Refinitiv"),
    ("robinhood/", "Robinhood"),
    ("schwab/", "Schwab"),
    ("sierrachart/", "Sierra Chart"),
    ("stooq/", "Stooq"),
    ("tiingo/", "Tiingo"),
    ("tradestation/", "TradeStation"),
    ("tradier/", "Tradier"),
    ("tradingview/", "TradingView"),
    ("twelvedata/", "Twelve Data"),
    ("yfinance/", "Yahoo"),
];

/// A file of the corpus.
pub struct Case {
    /// Its path below the folder of the corpus. Each is unique.
    path: String,
    bytes: Vec<u8>,
    /// What it contains; nothing if it can't be stored, as daily bars can't.
    truth: Vec<Series>,
    /// The options that a person would add who knows the file, if it is refused or warned about.
    options: &'static str,
}

impl Case {
    fn new(path: &str, truth: impl Into<Vec<Series>>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            bytes: bytes.into(),
            truth: truth.into(),
            options: "",
        }
    }

    /// A header, and a line for each bar.
    fn lines(path: &str, header: &str, series: &Series, line: impl Fn(&Bar) -> String) -> Self {
        let mut text = String::new();
        if !header.is_empty() {
            text.push_str(header);
            text.push('\n');
        }
        for bar in &series.bars {
            text.push_str(&line(bar));
            text.push('\n');
        }
        Self::new(path, [series.clone()], text)
    }

    /// The file can't be stored, with any options.
    fn impossible(mut self) -> Self {
        self.truth.clear();
        self
    }

    fn needs(mut self, options: &'static str) -> Self {
        self.options = options;
        self
    }

    /// Changes the text.
    fn edit(mut self, change: impl Fn(String) -> String) -> Self {
        self.bytes = change(String::from_utf8(self.bytes).unwrap()).into_bytes();
        self
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Result {
    Right,
    Refused,
    Warned,
    /// Wrong without a warning.
    Silent,
}

struct Tried {
    result: Result,
    message: String,
}

/// Injects a file into an empty store, and compares what is stored.
fn inject<'c>(
    env: &TestEnv,
    case: &'c Case,
    store: &'c str,
    options: impl IntoIterator<Item = &'c str>,
) -> Tried {
    let mut args = vec!["--store", store, "inject-csv", &case.path, "--threads", "1"];
    args.extend(options);
    let run = env.run(args);
    let stored = stored(&env.path(store));
    let is_right = stored == key(&case.truth) && !stored.is_empty();
    let is_warned = run.stderr.contains("warning:");
    let is_done = run.code == Some(0);
    let result = match is_done {
        true if is_right => Result::Right,
        _ if stored.is_empty() && (!is_done || case.truth.is_empty()) => Result::Refused,
        true if !is_warned => Result::Silent,
        _ => Result::Warned,
    };
    Tried {
        result,
        message: run.stderr,
    }
}

/// The options that hints and warnings name with a value that can be used as it is. `a|b` is two.
fn suggestions(message: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let lines = message.lines().filter(|line| {
        line.starts_with("hint: ") || line.starts_with("warning: ") || line.starts_with("note: ")
    });
    for line in lines {
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let option = word.trim_end_matches([',', ';', ':']);
            if !option.starts_with("--") {
                continue;
            }
            if option == "--accept-last-line" {
                all.push(vec![option.to_owned()]);
                continue;
            }
            let value = words
                .peek()
                .map_or("", |value| value.trim_end_matches([',', ';']));
            // `N`, `ZONE`, `volume=HEADER`
            let is_blank = |part: &str| {
                let is_upper = part.bytes().all(|b| b.is_ascii_uppercase());
                is_upper && !part.is_empty() && part != "UTC"
            };
            let is_code = option == "--exchange" && value != "CODE";
            let is_text = option == "--columns" && !value.contains('=');
            if is_text || (value.split(['=', ',']).any(is_blank) && !is_code) {
                continue;
            }
            for value in value.split('|') {
                all.push(vec![option.to_owned(), value.to_owned()]);
            }
        }
    }
    all
}

type Key = BTreeMap<(String, u16), Vec<(i64, [u64; 5])>>;

/// Injects a file with what the message proposes, else with the options of a person who knows it.
fn try_again(env: &TestEnv, case: &Case, message: &str, index: usize) -> Option<Tried> {
    let mut last = None;
    for (at, options) in suggestions(message).iter().enumerate() {
        let store = format!("again-{index}-{at}");
        let tried = inject(env, case, &store, options.iter().map(String::as_str));
        let is_right = tried.result == Result::Right;
        last = Some(tried);
        if is_right {
            return last;
        }
    }
    if last.is_none() && !case.options.is_empty() {
        let options = case.options.split_whitespace();
        return Some(inject(env, case, &format!("again-{index}"), options));
    }
    last
}

/// Tickers without the marks that vendors write between the parts of a pair.
fn plain(ticker: &str) -> String {
    ticker.replace(['/', '-', '_'], "")
}

fn key(series: &[Series]) -> Key {
    let mut all = Key::new();
    for one in series {
        let rows = all.entry((plain(&one.ticker), one.minutes)).or_default();
        rows.extend(one.bars.iter().map(|bar| {
            let values = [bar.open, bar.high, bar.low, bar.close, bar.volume];
            (bar.at, values.map(f64::to_bits))
        }));
        rows.sort_unstable();
    }
    all
}

fn stored(store: &Path) -> Key {
    let mut all = Key::new();
    let Ok(reader) = Reader::open(store, &OpenOptions::default()) else {
        return all;
    };
    for row in reader.series().unwrap() {
        let mut rows = Vec::new();
        for batch in reader.scan(&row.key, TimeRange::ALL).unwrap() {
            let batch = batch.unwrap();
            let at = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            // Open, high, low, close and volume follow the timestamp.
            let value = |row, index| {
                let column = batch.column(1 + index).as_primitive::<Float64Type>();
                column.value(row).to_bits()
            };
            for row in 0..batch.num_rows() {
                let values = std::array::from_fn(|index| value(row, index));
                rows.push((at.value(row) / 1_000_000, values));
            }
        }
        let key = (plain(row.key.ticker.as_str()), row.key.interval.minutes());
        all.insert(key, rows);
    }
    all
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(stocks::cases());
    all.extend(times::cases());
    all.extend(currencies::cases());
    all.extend(coins::cases());
    all.extend(others::cases());
    all.extend(files::cases());
    all
}

#[test]
fn no_file_of_the_corpus_is_wrong_without_a_warning() {
    let env = TestEnv::new();
    let cases = cases();
    let tried: Vec<(&Case, Tried, Option<Tried>)> = cases
        .par_iter()
        .enumerate()
        .map(|(index, case)| {
            env.write(&case.path, &case.bytes);
            let first = inject(&env, case, &format!("store-{index}"), []);
            let second = (first.result != Result::Right && !case.truth.is_empty())
                .then(|| try_again(&env, case, &first.message, index))
                .flatten();
            (case, first, second)
        })
        .collect();
    let mut counts: BTreeMap<Result, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (case, first, second) in &tried {
        *counts.entry(first.result).or_default() += 1;
        let options_named = (case.options.split_whitespace())
            .filter(|word| word.starts_with("--"))
            .all(|option| first.message.contains(option));
        let layout = LAYOUTS
            .iter()
            .find(|(path, _)| case.path.starts_with(path))
            .map_or("plain CSV", |(_, layout)| layout);
        let is_read = first.message.contains("] read as ");
        let is_layout = first.message.contains(&format!("] read as {layout}: "));
        let fault = match (first.result, second) {
            (Result::Silent, _) => Some("wrong without a warning"),
            _ if is_read && !is_layout => Some("read as another layout"),
            (Result::Right, _) if NOT_READ_YET.contains(&case.path.as_str()) => {
                Some("is read now: remove it from NOT_READ_YET")
            }
            (Result::Right, _) => None,
            (Result::Refused, _) if NOT_READ_YET.contains(&case.path.as_str()) => None,
            (_, Some(second)) if second.result != Result::Right => {
                Some("its options don't get it in")
            }
            (_, Some(_)) if suggestions(&first.message).is_empty() && !options_named => {
                Some("the message doesn't name its options")
            }
            (_, Some(_)) => None,
            (_, None) if case.truth.is_empty() => None,
            (_, None) => Some("can be read, but was not"),
        };
        println!(
            "{:<8} {:<52} {}",
            format!("{:?}", first.result).to_lowercase(),
            case.path,
            fault.unwrap_or_default()
        );
        if let Some(fault) = fault {
            let again = second.as_ref().map_or("", |second| &second.message);
            faults.push(format!(
                "{}: {fault}\n{}{}{again}",
                case.path, first.message, case.options
            ));
        }
    }
    let possible = cases.iter().filter(|case| !case.truth.is_empty()).count();
    let right = counts.get(&Result::Right).copied().unwrap_or(0);
    println!(
        "{counts:?} of {}, {possible} of which can be stored",
        cases.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(right * 100 >= possible * 88, "{right} of {possible}");
}

#[test]
fn the_paths_of_the_corpus_are_unique() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let paths: std::collections::BTreeSet<&str> =
        cases.iter().map(|case| case.path.as_str()).collect();
    assert_eq!(paths.len(), cases.len());
}
