//! The columns of files without a header, from the kinds of the first row's fields.

use super::excerpt::Excerpt;
use crate::inject::columns::{Role, slot};
use crate::inject::number::parse;
use crate::inject::sample::{FieldKind, Fields};

/// A ticker or none, then the time in one column or two, then open, high, low, close, volume. All
/// columns are skipped if there is no time.
pub(super) fn usual_order(kinds: &[FieldKind]) -> Vec<Role> {
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
pub(super) fn binance_order(file: &Excerpt<'_>) -> Vec<Role> {
    let mut roles = vec![Role::Skip; file.kinds.len()];
    roles[0] = Role::Timestamp;
    for slot in slot::OPEN..=slot::VOLUME {
        roles[1 + slot] = Role::Number(slot);
    }
    roles[8] = Role::Number(slot::TRADES);
    roles
}

/// Whether the columns are those of Binance.
pub(super) fn is_binance_order(file: &Excerpt<'_>) -> bool {
    let is_epoch = |at: usize| file.kinds[at] == FieldKind::Epoch;
    file.names.is_empty() && file.kinds.len() >= 11 && is_epoch(0) && is_epoch(6)
}

/// Time, volume, close, high, low, open: what Gate.io writes.
const GATE: [usize; 5] = [slot::VOLUME, slot::CLOSE, slot::HIGH, slot::LOW, slot::OPEN];
/// Fewer rows don't show the order of the columns.
const ROWS_MIN: usize = 10;

pub(super) fn gate_order(file: &Excerpt<'_>) -> Vec<Role> {
    let mut roles = vec![Role::Skip; file.kinds.len()];
    roles[0] = Role::Timestamp;
    for (at, slot) in GATE.into_iter().enumerate() {
        roles[1 + at] = Role::Number(slot);
    }
    roles
}

/// Whether the rows are bars in the order of Gate.io, and in the usual order they are not.
pub(super) fn is_gate_order(file: &Excerpt<'_>) -> bool {
    let is_bar = |row: &Fields<'_>, order: [usize; 5]| {
        let mut values = [f64::NAN; 5];
        for (slot, field) in order.into_iter().zip(&row[1..]) {
            values[slot] = parse(field.trim_ascii()).unwrap_or(f64::NAN);
        }
        let [open, high, low, close, _] = values;
        low <= open.min(close) && open.max(close) <= high
    };
    let usual = std::array::from_fn(|at| at);
    file.names.is_empty()
        && (6..=7).contains(&file.kinds.len())
        && file.kinds[0] == FieldKind::Epoch
        && file.rows.len() >= ROWS_MIN
        && file.rows.iter().all(|row| row.len() == file.kinds.len())
        && file.rows.iter().all(|row| is_bar(row, GATE))
        && !file.rows.iter().any(|row| is_bar(row, usual))
}

/// Whether there is no header, and the volume of each row is 0.
pub(super) fn has_no_volume(file: &Excerpt<'_>) -> bool {
    let is_zero = |row: &Fields<'_>| row.last().is_some_and(|field| field.trim_ascii() == b"0");
    file.names.is_empty() && !file.rows.is_empty() && file.rows.iter().all(is_zero)
}
