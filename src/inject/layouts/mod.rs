//! The layouts of CSV files: what is special about each vendor's.
//!
//! Most files need no entry here: the header, or the kinds of values in the first row, show the
//! columns, and the values show how times are written. A vendor with a habit that a file doesn't
//! show has an entry in [`LAYOUTS`]. To add one, add the entry and a test with a small file.

mod names;

use chrono_tz::Tz;

use names::{
    NameRule, NamedAs, binance_name, dukascopy_name, histdata_name, ninjatrader_name,
    tradingview_name,
};

use super::columns::{
    ChosenColumns, Role, assign_chosen, check_complete, check_unique, choose_time, clear,
    normalise, replace, slot,
};
use super::date::DateOrder;
use super::error::FileError;
use super::file_ticker::usual_name;
use super::filename::{only_interval, words};
use super::header::{HeaderRoles, roles_of_header};
use super::sample::{FieldKind, Fields, kind_of};
use super::settings::Label;
use crate::model::Interval;

/// What is special about a layout.
pub(super) struct Layout {
    pub(super) name: &'static str,
    /// Normalised names that only its header has: all names of one of these lists.
    header: &'static [&'static [&'static str]],
    /// The columns of a file without a header.
    content: Option<ContentRule>,
    /// What the names of its files show.
    file_name: Option<NameRule>,
    /// The exchange, unless `--exchange` is given.
    pub(super) exchange: &'static str,
    /// The zone of local times; `None` for the exchange's.
    pub(super) zone: Option<Tz>,
    /// Which instant of a bar its timestamp is.
    pub(super) label: Label,
    /// The order of day, month and year, if it is fixed.
    pub(super) date_order: Option<DateOrder>,
    /// Whether numbers have a decimal point unless the rows show otherwise.
    pub(super) has_decimal_point: bool,
    /// The codes of its interval column; empty if it has none.
    pub(super) interval_codes: &'static [(&'static str, Interval)],
    /// Whether integer prices are in units of 1e-9.
    pub(super) has_nano_prices: bool,
    /// Whether the tick volume replaces a volume of 0.
    has_tick_volume: bool,
}

/// The columns, from the kinds of the first row's fields and the delimiter; `None` if the file has
/// another layout.
type ContentRule = fn(&[FieldKind], u8) -> Option<Vec<Role>>;

/// The exchange of files that don't show it.
pub(super) const DEFAULT_EXCHANGE: &str = "NASDAQ";

const PLAIN: Layout = Layout {
    name: "plain CSV",
    header: &[],
    content: Some(|kinds, _| Some(columns_in_usual_order(kinds))),
    file_name: None,
    exchange: DEFAULT_EXCHANGE,
    zone: None,
    label: Label::Open,
    date_order: None,
    has_decimal_point: false,
    interval_codes: &[],
    has_nano_prices: false,
    has_tick_volume: false,
};

/// A vendor's layout without a habit.
const VENDOR: Layout = Layout {
    content: None,
    has_decimal_point: true,
    ..PLAIN
};

/// The first whose header or content matches is a file's layout. The last matches every file.
static LAYOUTS: [Layout; 10] = [
    Layout {
        name: "NinjaTrader",
        file_name: Some(ninjatrader_name),
        zone: Some(Tz::UTC),
        label: Label::Close,
        ..VENDOR
    },
    Layout {
        name: "TradeStation",
        header: &[&["up", "down"]],
        label: Label::Close,
        ..VENDOR
    },
    Layout {
        name: "HistData",
        content: Some(|kinds, delimiter| {
            (delimiter == b';' && kinds.contains(&FieldKind::CompactTimestamp))
                .then(|| columns_in_usual_order(kinds))
        }),
        file_name: Some(histdata_name),
        exchange: "FOREX",
        // New York's winter time all year: UTC-5, which the tz database calls GMT+5.
        zone: Some(Tz::Etc__GMTPlus5),
        ..VENDOR
    },
    Layout {
        name: "TradingView",
        file_name: Some(tradingview_name),
        ..VENDOR
    },
    Layout {
        name: "Databento",
        header: &[&["tsevent"]],
        // Its `rtype`: the number of a schema.
        interval_codes: &[("33", Interval::M1), ("34", Interval::M60)],
        has_nano_prices: true,
        ..VENDOR
    },
    Layout {
        name: "Binance",
        header: &[&["opentime", "closetime"]],
        content: Some(binance_columns),
        file_name: Some(binance_name),
        exchange: "CRYPTO",
        ..VENDOR
    },
    Layout {
        name: "Dukascopy",
        header: &[&["gmttime"], &["timeutc"]],
        file_name: Some(dukascopy_name),
        exchange: "FOREX",
        zone: Some(Tz::UTC),
        date_order: Some(DateOrder::Dmy),
        ..VENDOR
    },
    Layout {
        name: "MetaTrader",
        header: &[&["tickvol"], &["tickvolume", "realvolume"]],
        has_tick_volume: true,
        ..VENDOR
    },
    Layout {
        name: "Stooq",
        header: &[&["per", "openint"]],
        interval_codes: &[
            ("1", Interval::M1),
            ("5", Interval::M5),
            ("15", Interval::M15),
            ("30", Interval::M30),
            ("60", Interval::M60),
        ],
        ..VENDOR
    },
    PLAIN,
];

/// The layout of a file whose values show its columns, and what each column holds.
pub(super) struct Columns {
    pub(super) roles: Vec<Role>,
    /// What the user should check.
    pub(super) warnings: Vec<String>,
    pub(super) layout: &'static Layout,
}

impl Layout {
    /// Whether it is the layout without a habit.
    pub(super) fn is_plain(&self) -> bool {
        self.name == PLAIN.name
    }
}

/// The exchanges of all layouts.
pub(super) fn exchanges() -> impl Iterator<Item = &'static str> {
    LAYOUTS.iter().map(|layout| layout.exchange)
}

fn plain() -> &'static Layout {
    &LAYOUTS[LAYOUTS.len() - 1]
}

/// The columns that a header names; those of `--columns` take precedence.
pub(super) fn columns_by_header(
    header: &[String],
    rows: &[Fields<'_>],
    chosen: &ChosenColumns,
) -> Result<Columns, FileError> {
    let names: Vec<String> = header.iter().map(|name| normalise(name)).collect();
    let has_all = |list: &&[&str]| {
        list.iter()
            .all(|name| names.iter().any(|known| known == name))
    };
    let layout = LAYOUTS
        .iter()
        .find(|layout| layout.header.iter().any(has_all))
        .unwrap_or_else(|| by_times(rows));
    let HeaderRoles {
        mut roles,
        mut warnings,
    } = roles_of_header(header, rows);
    if layout.interval_codes.is_empty() {
        clear(&mut roles, |role| role == Role::Interval);
    }
    assign_chosen(&mut roles, &names, chosen)?;
    if chosen.iter().any(|(column, _)| column.is_volume()) {
        warnings.clear();
    }
    choose_time(&mut roles);
    check_unique(&roles, header)?;
    let tick_volume = Role::Number(slot::TICK_VOLUME);
    if !roles.contains(&Role::Number(slot::VOLUME)) {
        replace(
            &mut roles,
            |role| role == tick_volume,
            Role::Number(slot::VOLUME),
        );
    } else if !layout.has_tick_volume {
        clear(&mut roles, |role| role == tick_volume);
    }
    let first = rows.first().map_or(&[][..], Vec::as_slice);
    let kinds: Vec<FieldKind> = first.iter().map(|field| kind_of(field)).collect();
    check_complete(&roles, &kinds)?;
    Ok(Columns {
        roles,
        warnings,
        layout,
    })
}

/// Dukascopy if the first row has a time in its form, `02.01.2025 14:30:00.000`. The header isn't
/// looked at.
fn by_times(rows: &[Fields<'_>]) -> &'static Layout {
    let form = b"dd.dd.dddd dd:dd:dd.ddd";
    let has_form = |field: &[u8]| {
        field.len() == form.len()
            && field.iter().zip(form).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                mark => byte == mark,
            })
    };
    let mut fields = rows.first().into_iter().flatten();
    if !fields.any(|field| has_form(field.trim_ascii())) {
        return plain();
    }
    let dukascopy = LAYOUTS.iter().find(|layout| layout.name == "Dukascopy");
    dukascopy.unwrap_or_else(plain)
}

/// The columns of a file without a header, from the kinds of its first row's fields.
pub(super) fn columns_by_content(
    kinds: &[FieldKind],
    delimiter: u8,
    chosen: &ChosenColumns,
) -> Result<Columns, FileError> {
    // If `--columns` names all columns, the content doesn't matter.
    let mut roles = vec![Role::Skip; kinds.len()];
    if assign_chosen(&mut roles, &[], chosen).is_ok() && check_complete(&roles, kinds).is_ok() {
        return Ok(Columns {
            roles,
            warnings: Vec::new(),
            layout: plain(),
        });
    }
    let (layout, mut roles) = LAYOUTS
        .iter()
        .find_map(|layout| Some((layout, layout.content?(kinds, delimiter)?)))
        .unwrap_or((plain(), roles));
    assign_chosen(&mut roles, &[], chosen)?;
    check_complete(&roles, kinds)?;
    Ok(Columns {
        roles,
        warnings: Vec::new(),
        layout,
    })
}

/// A ticker or none, then the time in one column or two, then open, high, low, close, volume. All
/// columns are skipped if there is no time.
fn columns_in_usual_order(kinds: &[FieldKind]) -> Vec<Role> {
    use FieldKind::{
        CompactTimestamp, Date, DateDigits, Epoch, ShortTimeDigits, Time, TimeDigits, Timestamp,
    };
    let mut roles = vec![Role::Skip; kinds.len()];
    let kind = |at: usize| kinds.get(at).copied();
    let is_whole = |at| matches!(kind(at), Some(Timestamp | CompactTimestamp | Epoch));
    let is_date = |at| matches!(kind(at), Some(Date | DateDigits));
    // `930` is a time if all columns of a bar follow.
    let is_time = |at| match kind(at) {
        Some(Time | TimeDigits) => true,
        Some(ShortTimeDigits) => kinds.len() > at + slot::VOLUME + 1,
        _ => false,
    };
    // `AAPL`, or `007` before a field that can only be a time.
    let at = usize::from(!is_whole(0) && !is_date(0) && (is_whole(1) || is_date(1)));
    let first_price = if is_date(at) && is_time(at + 1) {
        roles[at] = Role::Date;
        roles[at + 1] = Role::Time;
        at + 2
    } else if is_whole(at) || is_date(at) {
        roles[at] = Role::Timestamp;
        at + 1
    } else {
        return roles;
    };
    if at == 1 {
        roles[0] = Role::Ticker;
    }
    let numbers = kinds[first_price..]
        .iter()
        .take_while(|kind| kind.is_number());
    for (slot, _) in numbers.take(slot::VOLUME + 1).enumerate() {
        roles[first_price + slot] = Role::Number(slot);
    }
    roles
}

/// Open time, open, high, low, close, volume, close time, quote volume, trades and more.
fn binance_columns(kinds: &[FieldKind], _: u8) -> Option<Vec<Role>> {
    let is_epoch = |at: usize| kinds[at] == FieldKind::Epoch;
    if kinds.len() < 11 || !is_epoch(0) || !is_epoch(6) {
        return None;
    }
    let mut roles = vec![Role::Skip; kinds.len()];
    roles[0] = Role::Timestamp;
    for slot in slot::OPEN..=slot::VOLUME {
        roles[1 + slot] = Role::Number(slot);
    }
    roles[8] = Role::Number(slot::TRADES);
    Some(roles)
}

/// What a file's name shows.
pub(super) struct FileName {
    /// By the layout's habit; else the first word that isn't about something else. `None` if there
    /// is none.
    pub(super) ticker: Option<String>,
    /// In minutes, if the name shows exactly one.
    pub(super) interval: Option<u32>,
    /// The layout, if only its files have such names.
    pub(super) layout: Option<&'static Layout>,
}

impl FileName {
    /// Reads the stem of a name.
    pub(super) fn read(stem: &str) -> Self {
        let (layout, named) = LAYOUTS
            .iter()
            .find_map(|layout| Some((layout, layout.file_name?(stem)?)))
            .unwrap_or_else(|| (plain(), NamedAs::default()));
        let usual = usual_name(stem);
        let is_by_rule = named.ticker.is_some();
        Self {
            interval: named
                .interval
                .or(if is_by_rule { None } else { usual.interval }),
            ticker: named.ticker.or(usual.ticker),
            layout: named.is_unique.then_some(layout),
        }
    }

    /// The interval if a column has the ticker, so that the first word may show it too.
    pub(super) fn interval_anywhere(&self, stem: &str) -> Option<u32> {
        self.interval.or_else(|| only_interval(words(stem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_file_names() {
        let cases = [
            ("SPY_full_1min", "SPY", Some(1)),
            ("DAT_ASCII_EURUSD_M1_2012", "EURUSD", Some(1)),
            ("BATS_SPY, 1", "SPY", Some(1)),
            ("BATS_SPY, 1D", "SPY", Some(1440)),
            ("CME_MINI_ES1!, 5_0a1b2", "ES1!", Some(5)),
            ("BTCUSDT-1m-2024-01", "BTCUSDT", Some(1)),
            ("BTCUSDT-1d-2024-01", "BTCUSDT", Some(1440)),
            ("EURUSD_M15_202401020000_202401312359", "EURUSD", Some(15)),
            (
                "EURUSD_Candlestick_1_M_BID_01.01.2024-31.01.2024",
                "EURUSD",
                Some(1),
            ),
            (
                "EURUSD_Candlestick_1_Hour_BID_01.01.2024-31.01.2024",
                "EURUSD",
                Some(60),
            ),
            ("SPY", "SPY", None),
            ("BRK.B", "BRK.B", None),
            ("BTC-USD", "BTC-USD", None),
            ("M1", "M1", None),
            ("SPY_1min_5min", "SPY", None),
            ("SPY_1M", "SPY", None),
            ("SPY_H1", "SPY", Some(60)),
            ("aapl.us", "aapl.us", None),
            ("EUR_USD_M1", "EURUSD", Some(1)),
            ("BTC_USDT-1m", "BTCUSDT", Some(1)),
            ("BTC-USDT", "BTC-USDT", None),
            ("intraday_1min_AAPL", "AAPL", Some(1)),
            ("fx_intraday_5min_EURUSD", "EURUSD", Some(5)),
            ("FOREX_EURUSD_1H_ASK", "EURUSD", Some(60)),
            ("eurusd-m1-bid-2025-01-12-2025-01-15", "eurusd", Some(1)),
            ("table_aapl", "aapl", None),
            ("AAPL (1)", "AAPL", None),
            ("AAPL_2025-01-02_5min", "AAPL", Some(5)),
            ("2025-01_AAPL", "AAPL", None),
            ("EURUSD60", "EURUSD", Some(60)),
            ("EURUSD1", "EURUSD", Some(1)),
            ("US30", "US30", None),
            ("AAPL_240min", "AAPL", Some(240)),
            ("data", "", None),
            ("ohlcv_1min", "", Some(1)),
            ("AAPL Historical Data", "AAPL", None),
        ];
        for (stem, ticker, interval) in cases {
            let name = FileName::read(stem);
            assert_eq!(
                (name.ticker.as_deref().unwrap_or_default(), name.interval),
                (ticker, interval),
                "{stem}"
            );
        }
        let layout = FileName::read("DAT_ASCII_EURUSD_M1_2012").layout;
        assert_eq!(layout.unwrap().name, "HistData");
        for (stem, interval) in [("glbx-mdp3-20240102.ohlcv-1m", 1), ("5min_bars", 5)] {
            let anywhere = FileName::read(stem).interval_anywhere(stem);
            assert_eq!(anywhere, Some(interval), "{stem}");
        }
    }

    #[test]
    fn names_differ_and_only_the_last_layout_matches_every_file() {
        for (at, layout) in LAYOUTS.iter().enumerate() {
            assert!(LAYOUTS[..at].iter().all(|other| other.name != layout.name));
            assert_eq!(
                layout.is_plain(),
                at + 1 == LAYOUTS.len(),
                "{}",
                layout.name
            );
        }
    }
}
