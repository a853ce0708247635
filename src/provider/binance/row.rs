//! One kline: twelve fields, the same in a file and over REST, except for the quotes.

use crate::model::{Bar, Reason, Timestamp};
use crate::provider::{NotBar, Request};

/// Times of at least this size are microseconds, smaller ones milliseconds. As milliseconds it is
/// in the year 5138, as microseconds in 1973.
const MICROS_MIN: u64 = 100_000_000_000_000;

/// Which instants bars of a request can have, in microseconds UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) start: i64,
    /// After the last one.
    pub(super) end: i64,
    pub(super) latest: i64,
}

impl Bounds {
    /// The bounds of a request.
    pub(super) fn of(request: &Request) -> Self {
        let instants = request.instants();
        Self {
            start: instants.start,
            end: instants.end,
            latest: request.latest.micros(),
        }
    }

    /// The bar of a row's fields, separated by commas.
    pub(super) fn bar(&self, at: Option<i64>, text: &str) -> Result<Bar, NotBar> {
        let at = at.ok_or((Reason::BadTimestamp, None))?;
        if at > self.latest {
            return Err((Reason::InTheFuture, None));
        }
        if at < self.start || at >= self.end {
            return Err((Reason::OutsideRange, None));
        }
        let dated = |reason| (reason, Some(at));
        let mut fields = text.split(',').skip(1).map(bare);
        let mut next = || number(fields.next()).ok_or(dated(Reason::BadNumber));
        let mut bar = Bar::new(
            Timestamp::from_micros(at),
            [next()?, next()?, next()?, next()?],
            next()?,
        );
        // The close time follows from the open.
        let _close = fields.next();
        if let Some(quote) = fields.next() {
            let quote = number(Some(quote)).ok_or(dated(Reason::BadNumber))?;
            bar.vwap = (bar.volume > 0.0).then_some(quote / bar.volume);
        }
        if let Some(trades) = fields.next() {
            let trades = trades.parse().map_err(|_| dated(Reason::BadNumber))?;
            bar.trades = Some(trades);
        }
        bar.check().map_err(dated)?;
        Ok(bar)
    }
}

/// When the kline of a row opens, in microseconds UTC.
pub(super) fn open_time(text: &str) -> Option<i64> {
    let first = text.split(',').next()?;
    let at: i64 = bare(first).parse().ok()?;
    match at.unsigned_abs() >= MICROS_MIN {
        true => Some(at),
        false => at.checked_mul(1_000),
    }
}

/// A field without its quotes.
fn bare(field: &str) -> &str {
    let field = field.trim_ascii();
    field
        .strip_prefix('"')
        .and_then(|field| field.strip_suffix('"'))
        .unwrap_or(field)
}

fn number(field: Option<&str>) -> Option<f64> {
    let number: f64 = field?.parse().ok()?;
    // `parse` also reads "inf" and "NaN".
    number.is_finite().then_some(number)
}
