//! What describes a layout.

use chrono_tz::Tz;

use super::excerpt::Excerpt;
use super::names::NameRule;
use super::rows::usual_order;
use crate::inject::columns::Role;
use crate::inject::date::DateOrder;
use crate::inject::settings::Label;
use crate::model::Interval;

/// The exchange of files that don't show it.
pub(in crate::inject) const DEFAULT_EXCHANGE: &str = "NASDAQ";

/// What is special about a layout.
pub(in crate::inject) struct Layout {
    pub(in crate::inject) name: &'static str,
    /// Whether a file has this layout. Header, form of the values and name decide; what other
    /// vendors' files have too isn't enough for a convention about times.
    pub(super) is: fn(&Excerpt<'_>) -> bool,
    /// What columns hold, by their normalised names, where it isn't what the names usually mean.
    pub(super) names: &'static [(&'static str, Role)],
    /// The columns of a file without a header.
    pub(super) columns: fn(&Excerpt<'_>) -> Vec<Role>,
    /// What the names of its files show.
    pub(super) file_name: Option<NameRule>,
    /// The exchange, unless `--exchange` is given.
    pub(in crate::inject) exchange: &'static str,
    /// The zone of local times; `None` for the exchange's.
    pub(in crate::inject) zone: Option<Tz>,
    /// Which instant of a bar its timestamp is.
    pub(in crate::inject) label: Label,
    /// The order of day, month and year, if it is fixed.
    pub(in crate::inject) date_order: Option<DateOrder>,
    /// The only order that it has. A file whose rows show another order has the layout without
    /// special rules.
    pub(in crate::inject) only_order: Option<DateOrder>,
    /// Whether numbers have a decimal point unless the rows show otherwise.
    pub(in crate::inject) has_decimal_point: bool,
    /// The codes of its interval column; empty if it has none.
    pub(in crate::inject) interval_codes: &'static [(&'static str, Interval)],
    /// Whether integer prices are in units of 1e-9.
    pub(in crate::inject) has_nano_prices: bool,
    /// Whether the tick volume replaces a volume of 0.
    pub(super) has_tick_volume: bool,
}

/// The layout of files that no vendor is recognised by.
pub(in crate::inject) static PLAIN: Layout = Layout {
    name: "plain CSV",
    is: |_| true,
    has_decimal_point: false,
    ..VENDOR
};

/// A vendor's layout without special rules.
pub(super) const VENDOR: Layout = Layout {
    name: "",
    is: |_| false,
    names: &[],
    columns: |file| usual_order(file.kinds),
    file_name: None,
    exchange: DEFAULT_EXCHANGE,
    zone: None,
    label: Label::Open,
    date_order: None,
    only_order: None,
    has_decimal_point: true,
    interval_codes: &[],
    has_nano_prices: false,
    has_tick_volume: false,
};

impl Layout {
    /// Whether it is the layout without special rules.
    pub(in crate::inject) fn is_plain(&self) -> bool {
        self.name == PLAIN.name
    }
}
