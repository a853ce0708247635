//! What a check looks at.

use super::day::Day;
use super::limits::Limits;
use super::usual::Usual;
use crate::model::{Hours, Interval, Timestamp};

/// What a check of one trading date looks at.
pub(super) struct View<'a> {
    pub day: &'a Day,
    pub usual: Usual,
    pub interval: Interval,
    pub hours: Hours,
    pub limits: &'a Limits,
    pub now: Timestamp,
}
