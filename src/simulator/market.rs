//! The simulated market: every minute's bar as a pure function of seed, symbol and minute.
//!
//! A day is computed directly: its open and close come from [`Instrument::level_ln`], and a random
//! bridge over the minutes joins them. So any two requests get the same bars, in any order.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use chrono::{Datelike, Days, NaiveDate};

use crate::calendar::{self, Session};
use crate::model::{MINUTE_MICROS, Timestamp};

use super::bar_file::BarFile;
use super::instrument::{Instrument, Kind, Split, mix, normal, unit};
use super::row::Row;

/// Which bars of a day are requested.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub extended: bool,
    pub adjusted: bool,
    /// The exchange's current date: prices are adjusted for splits up to it.
    pub today: NaiveDate,
    /// How often history was revised.
    pub revision: u32,
    /// Splits in addition to those of the seed.
    pub splits: &'a [Split],
}

/// Maximum number of cached symbols.
const INSTRUMENTS_MAX: usize = 20_000;
/// Open of the pre-market, after midnight in New York.
const PRE_MARKET_MINUTES: i64 = 4 * 60;
/// Length of the post-market.
const POST_MARKET_MINUTES: i64 = 4 * 60;

/// The market of one seed, or of one file of bars.
pub(super) struct Market {
    seed: u64,
    file: Option<BarFile>,
    instruments: RwLock<HashMap<String, Arc<Instrument>>>,
}

impl Market {
    pub(super) fn new(seed: u64, file: Option<BarFile>) -> Self {
        Self {
            seed,
            file,
            instruments: RwLock::default(),
        }
    }

    /// Whether the symbol exists: those of the file, or any if the market is made up.
    pub(super) fn knows(&self, symbol: &str) -> bool {
        self.file
            .as_ref()
            .is_none_or(|file| file.rows(symbol).is_some())
    }

    pub(super) fn instrument(&self, symbol: &str) -> Result<Arc<Instrument>, calendar::Error> {
        if let Some(found) = self
            .instruments
            .read()
            .ok()
            .and_then(|all| all.get(symbol).cloned())
        {
            return Ok(found);
        }
        let made = Arc::new(Instrument::new(self.seed, symbol)?);
        if let Ok(mut all) = self.instruments.write() {
            if all.len() >= INSTRUMENTS_MAX {
                all.clear();
            }
            all.insert(symbol.to_owned(), made.clone());
        }
        Ok(made)
    }

    /// Adds a session's minute bars in ascending order.
    pub(super) fn minutes(
        &self,
        symbol: &str,
        instrument: &Instrument,
        session: &Session,
        view: &View<'_>,
        out: &mut Vec<Row>,
    ) {
        if let Some(file) = &self.file {
            let (start, end) = reach(instrument, session, view.extended);
            let rows = file.rows(symbol).unwrap_or_default();
            let from = rows.partition_point(|row| row.at < start);
            let to = rows.partition_point(|row| row.at < end);
            let wanted =
                |row: &&Row| view.extended || session.contains(Timestamp::from_micros(row.at));
            out.extend(rows[from..to].iter().filter(wanted));
        } else {
            Day::new(instrument, session, view).write(out);
        }
    }
}

/// The ranges of a session in which bars are counted: its parts, or with extended hours one from
/// 04:00.
pub(super) fn parts(instrument: &Instrument, session: &Session, extended: bool) -> Vec<(i64, i64)> {
    if extended && has_extended_hours(instrument) {
        return vec![reach(instrument, session, true)];
    }
    session
        .parts()
        .map(|(start, end)| (start.micros(), end.micros()))
        .collect()
}

/// Only the American exchanges have extended hours.
fn has_extended_hours(instrument: &Instrument) -> bool {
    instrument.kind == Kind::Stock && instrument.calendar.tz() == chrono_tz::America::New_York
}

fn reach(instrument: &Instrument, session: &Session, extended: bool) -> (i64, i64) {
    let (open, close) = (session.open.micros(), session.close.micros());
    if !extended || !has_extended_hours(instrument) {
        return (open, close);
    }
    let zone = instrument.calendar.zone();
    let midnight = crate::model::date_micros(session.date);
    let start = zone
        .from_local(midnight + PRE_MARKET_MINUTES * MINUTE_MICROS)
        .earliest();
    (start, close + POST_MARKET_MINUTES * MINUTE_MICROS)
}

/// The parameters of one symbol's day.
struct Day<'a> {
    instrument: &'a Instrument,
    session: &'a Session,
    view: &'a View<'a>,
    /// Levels (log) at the end of the day before, at the open, the close and the end of the day.
    levels: [f64; 4],
    /// Divisor from a level to the traded price, and from that to the requested price.
    divisor: f64,
    adjustment: f64,
    volume: f64,
    steps: f64,
}

impl<'a> Day<'a> {
    fn new(instrument: &'a Instrument, session: &'a Session, view: &'a View<'a>) -> Self {
        let date = session.date;
        let before = previous_session(instrument, date);
        let close = instrument.level_ln(day_number(date));
        let last_close = instrument.level_ln(day_number(before));
        let random = |date: NaiveDate, what: u64| {
            mix(instrument.key ^ mix((day_number(date) as u64) << 4 | what))
        };
        let after_hours =
            |date, close: f64| close + instrument.sigma * 0.08 * normal(random(date, 1));
        let gap = instrument.sigma * 0.25 * normal(random(date, 2));
        let open = last_close + 0.3 * (close - last_close) + gap;
        Self {
            instrument,
            session,
            view,
            levels: [
                after_hours(before, last_close),
                open,
                close,
                after_hours(date, close),
            ],
            divisor: instrument.traded_divisor(date, view.splits),
            adjustment: if view.adjusted {
                instrument.adjustment(date, view.today, view.splits)
            } else {
                1.0
            },
            volume: instrument.volume * (0.6 + 1.2 * unit(random(date, 3))),
            steps: instrument.steps(),
        }
    }

    fn write(&self, out: &mut Vec<Row>) {
        let regular: Vec<(i64, i64)> = self
            .session
            .parts()
            .map(|(start, end)| (start.micros(), end.micros()))
            .collect();
        let (start, end) = reach(self.instrument, self.session, self.view.extended);
        let (open, close) = (self.session.open.micros(), self.session.close.micros());
        let [last, at_open, at_close, after] = self.levels;
        self.bridge(&[(start, open)], last, at_open, false, out);
        self.bridge(&regular, at_open, at_close, true, out);
        self.bridge(&[(close, end)], at_close, after, false, out);
    }

    /// Adds the minutes of `parts`: a random walk from one level to another.
    fn bridge(&self, parts: &[(i64, i64)], from: f64, to: f64, regular: bool, out: &mut Vec<Row>) {
        let minutes = parts
            .iter()
            .map(|(start, end)| (end - start) / MINUTE_MICROS)
            .sum::<i64>();
        if minutes <= 0 {
            return;
        }
        let count = minutes as f64;
        let step = self.instrument.sigma * if regular { 0.9 } else { 0.3 } / count.sqrt();
        let all = || {
            parts
                .iter()
                .flat_map(|&(start, end)| (start..end).step_by(MINUTE_MICROS as usize))
        };
        let shape = |index: usize| {
            let x = (index as f64 + 0.5) / count * 2.0 - 1.0;
            if regular {
                0.6 + 1.4 * x * x * x * x
            } else {
                0.03
            }
        };
        let random = |at: i64| mix(self.instrument.key ^ (at / MINUTE_MICROS) as u64);
        let total: f64 = all()
            .enumerate()
            .map(|(index, at)| shape(index) * normal(random(at)))
            .sum();
        out.reserve(minutes as usize);
        let last = minutes as usize - 1;
        let mut walked = 0.0;
        let mut price = from.exp() / self.divisor;
        for (index, at) in all().enumerate() {
            let random = random(at);
            let shape = shape(index);
            walked += shape * normal(random);
            let share = (index + 1) as f64 / count;
            let level = from + (to - from) * share + step * (walked - total * share);
            let next = level.exp() / self.divisor;
            let detail = mix(random);
            let edge = regular && (index == 0 || index == last);
            let missing = u64::from(self.instrument.missing) * if regular { 1 } else { 3 };
            if edge || detail >> 48 >= missing {
                let burst = match (regular, index) {
                    (true, 0) => 3.0,
                    (true, index) if index == last => 4.0,
                    _ => 1.0,
                };
                out.push(self.bar(at, price, next, step * shape, shape * burst, random, detail));
            } else if self.instrument.is_pair() {
                out.push(self.without_trades(at, price));
                continue;
            }
            price = next;
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one bar's ingredients, all plain numbers"
    )]
    fn bar(
        &self,
        at: i64,
        open: f64,
        close: f64,
        step: f64,
        busy: f64,
        random: u64,
        detail: u64,
    ) -> Row {
        let part = |shift: u32| ((detail >> shift) & 0xffff) as f64 / 65_536.0;
        let open = open * (1.0 + step * 0.2 * (part(0) - 0.5));
        let (top, bottom) = if open > close {
            (open, close)
        } else {
            (close, open)
        };
        let mut row = Row {
            at,
            open: self.round(open),
            high: self.round(top * (1.0 + step * part(16))),
            low: self.round(bottom * (1.0 - step * part(32))),
            close: self.round(close),
            volume: self.shares(self.volume * busy * (0.3 + 1.4 * part(8)), random),
            ..Row::default()
        };
        for epoch in 1..=self.view.revision {
            self.revise(&mut row, mix(random ^ mix(u64::from(epoch))));
        }
        row
    }

    /// A minute without trades, at the last price.
    fn without_trades(&self, at: i64, price: f64) -> Row {
        let price = self.round(price);
        Row {
            at,
            open: price,
            high: price,
            low: price,
            close: price,
            ..Row::default()
        }
    }

    /// Changes one bar in a hundred, as late corrections do.
    fn revise(&self, row: &mut Row, random: u64) {
        if random.is_multiple_of(100) {
            row.close = if random & 128 == 0 { row.low } else { row.high };
            row.volume = (row.volume * (1.01 + unit(random) * 0.05)).ceil();
        }
    }

    /// The requested price: the traded one rounded to the exchange's step, then adjusted and
    /// rounded to four decimals.
    fn round(&self, price: f64) -> f64 {
        let traded = (price * self.steps).round().max(1.0) / self.steps;
        if self.adjustment == 1.0 {
            return traded;
        }
        let steps = self.steps.max(10_000.0);
        (traded / self.adjustment * steps).round().max(1.0) / steps
    }

    /// The requested volume. Some are fractional, as those of the service.
    fn shares(&self, level_volume: f64, random: u64) -> f64 {
        if matches!(self.instrument.kind, Kind::Coin | Kind::Pair) {
            return (level_volume * 1_000.0).round() / 1_000_000.0;
        }
        let whole = (level_volume * self.divisor).round().max(1.0) * self.adjustment;
        if random & 31 == 0 {
            whole + unit(random)
        } else {
            whole
        }
    }
}

fn day_number(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163
}

/// The session before `date`; the day before if the calendar has none.
fn previous_session(instrument: &Instrument, date: NaiveDate) -> NaiveDate {
    (1..12)
        .filter_map(|days| date.checked_sub_days(Days::new(days)))
        .find(|before| matches!(instrument.calendar.session_on(*before), Ok(Some(_))))
        .or_else(|| date.pred_opt())
        .unwrap_or(date)
}
