//! The dates that the plan of a key doesn't include, as known from refusals.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDate};

use super::error::{Error, ErrorKind};
use super::request::Request;
use crate::model::DAY_MICROS;

/// A refused date newer than this time before now is too new, otherwise too old.
const NEWEST_MICROS: i64 = 4 * DAY_MICROS;

/// Remembers refusals ([`ErrorKind::Withheld`]), so that no request is sent whose refusal is known.
#[derive(Default)]
pub(super) struct Withheld(Mutex<Refused>);

#[derive(Default)]
struct Refused {
    /// Requests that end on or before this date are refused.
    oldest: Option<(NaiveDate, Error)>,
    /// Requests that end on or after this date are refused.
    newest: Option<(NaiveDate, Error)>,
}

impl Withheld {
    /// The known refusal of a request.
    pub(super) fn refusal(&self, request: &Request) -> Option<Error> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = request.dates.last();
        let of = |known: &Option<(NaiveDate, Error)>,
                  refuses: fn(&NaiveDate, &NaiveDate) -> bool| {
            let (date, error) = known.as_ref()?;
            refuses(&last, date).then(|| error.clone().in_window(request))
        };
        of(&refused.oldest, NaiveDate::le).or_else(|| of(&refused.newest, NaiveDate::ge))
    }

    /// Remembers `error` if it is such a refusal.
    pub(super) fn learn(&self, request: &Request, error: &Error) {
        if error.kind() != ErrorKind::Withheld {
            return;
        }
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = request.dates.last();
        let newest = request.made_at().micros().saturating_sub(NEWEST_MICROS);
        let newest =
            DateTime::from_timestamp_micros(newest).map_or(NaiveDate::MAX, |at| at.date_naive());
        let (known, is_further): (_, fn(&NaiveDate, &NaiveDate) -> bool) = match last >= newest {
            true => (&mut refused.newest, NaiveDate::lt),
            false => (&mut refused.oldest, NaiveDate::gt),
        };
        if known
            .as_ref()
            .is_none_or(|(date, _)| is_further(&last, date))
        {
            *known = Some((last, error.clone()));
        }
    }
}
