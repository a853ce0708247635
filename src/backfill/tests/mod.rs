//! One window at a time, against a provider whose faults a test sets.

mod answered;
mod position;
mod vendor;

use std::sync::Arc;

use chrono::NaiveDate;

use super::days::days;
use super::fetch_window::RequestedRanges;
use super::fetched::FetchedWindow;
use super::fetcher::WindowFetcher;
use super::group::TickerGroup;
use super::windows::{DayState, windows};
use crate::calendar::Calendar;
use crate::model::{Basis, DateRange, Hours, Interval, Ticker, Timestamp, TypedDate};
use crate::provider::wrap::Recording;
use crate::provider::{Gate, GateOptions, Request, RetryOptions, RetryingClient};
use crate::store::CoverageEntry;
use vendor::Vendor;

/// After the end of every window.
const LATER: &str = "2026-01-01T00:00:00Z";

fn date(typed: &str) -> NaiveDate {
    typed.parse::<TypedDate>().unwrap().0
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .to_utc()
        .into()
}

/// The fetched windows, and the requests that were sent for them.
async fn fetch_all(
    vendor: Vendor,
    first: &str,
    last: &str,
    interval: Interval,
    now: &str,
) -> (Vec<FetchedWindow>, Vec<Request>) {
    fetch_forming(vendor, first, last, interval, now, false).await
}

async fn fetch_forming(
    vendor: Vendor,
    first: &str,
    last: &str,
    interval: Interval,
    now: &str,
    include_forming: bool,
) -> (Vec<FetchedWindow>, Vec<Request>) {
    let now = at(now);
    let recording = Arc::new(Recording::new(vendor));
    let fetcher = WindowFetcher {
        client: RetryingClient::new(
            Arc::new(recording.clone()),
            Arc::new(Gate::new(GateOptions::default())),
            RetryOptions::default(),
        ),
        calendar: Calendar::for_exchange("NASDAQ").unwrap(),
        interval,
        basis: Basis::SplitAdjusted,
        hours: Hours::Regular,
        include_forming,
        clock: Arc::new(move || now),
    };
    let range = DateRange::new(date(first), date(last)).unwrap();
    let days: Vec<_> = (days(&fetcher.calendar, range, Hours::Regular, now)
        .unwrap()
        .into_iter())
    .map(|day| (day, DayState::New))
    .collect();
    let ticker = Ticker::new("AAPL").unwrap();
    let asked = RequestedRanges::default();
    let mut fetched = Vec::new();
    let group = TickerGroup::new(vec![ticker.clone()]);
    for window in &windows(&days, &fetcher.limits().unwrap()) {
        let window = fetcher.fetch(&ticker, window, &group, &asked);
        fetched.push(window.await);
    }
    (fetched, recording.requests())
}

fn bars(fetched: &[FetchedWindow]) -> usize {
    fetched.iter().map(|fetched| fetched.bars.len()).sum()
}

fn coverage(fetched: &[FetchedWindow]) -> Vec<String> {
    let show = |entry: &CoverageEntry| format!("{} {} {}", entry.dates, entry.status, entry.rows);
    fetched.iter().flat_map(|f| &f.coverage).map(show).collect()
}
