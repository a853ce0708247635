//! Longer bars from one-minute bars, each session on its own grid.
//!
//! ```text
//!        pre-market           regular session                break               after hours
//!  ── 8:30 ── 9:00 ──│ 9:30 ── 10:00 ── … ── 15:30 ──│16:00   (grid from    │ 16:00 ── 16:30 ──
//!   grid back from the open   grid from each part's open     its start)        grid from the close
//! ```
//!
//! A bar never mixes trading inside a session with trading outside it, and regular bars are the
//! same as those of a provider. Bars outside sessions are kept: counted back from the open before
//! it, forward from the close after it. On a date without a session, or outside the calendar, the
//! grid starts at the exchange's midnight.

use std::ops::Range;

use crate::calendar::Calendar;
use crate::model::{Bar, Bars, CombinedBar, DateRange, MINUTE_MICROS, TimeRange, Timestamp};

/// Combines sorted one-minute bars of one series into longer ones.
pub struct Resampler {
    calendar: Calendar,
    step: i64,
    /// The open of the longer bar that is being combined, and its bars so far.
    open: Option<(i64, CombinedBar)>,
}

/// A stretch of time with one grid.
struct Stretch {
    range: TimeRange,
    /// Start of the grid, or the end of the stretch, from which the grid goes back.
    anchor: i64,
}

impl Resampler {
    /// Makes bars of `minutes` on the grid of `calendar`.
    pub fn new(calendar: Calendar, minutes: u16) -> Self {
        Self {
            calendar,
            step: i64::from(minutes) * MINUTE_MICROS,
            open: None,
        }
    }

    /// Adds one-minute bars. Returns the longer ones that are complete.
    pub fn push(&mut self, bars: &Bars) -> Bars {
        let mut done = Bars::default();
        let times = bars.timestamps();
        let days: Vec<(chrono::NaiveDate, Range<usize>)> =
            self.calendar.session_runs(times).collect();
        for (date, rows) in days {
            let stretches = self.stretches(date);
            let mut stretches = stretches.iter().peekable();
            let mut row = rows.start;
            while let Some(stretch) = stretches.next() {
                // If clocks go back at midnight, the last bars of a date are after its last
                // instant.
                let last = stretches.peek().is_none();
                while row < rows.end && (last || times[row] < stretch.range.end) {
                    let start = stretch.bucket(times[row], self.step);
                    self.add(start, &bars.get(row), &mut done);
                    row += 1;
                }
            }
        }
        done
    }

    /// Returns the last bar.
    pub fn finish(mut self) -> Bars {
        let mut done = Bars::default();
        self.close(&mut done);
        done
    }

    fn add(&mut self, start: i64, bar: &Bar, done: &mut Bars) {
        match &mut self.open {
            Some((known, combined)) if *known == start => combined.add(bar),
            _ => {
                self.close(done);
                self.open = Some((start, CombinedBar::new(*bar)));
            }
        }
    }

    fn close(&mut self, done: &mut Bars) {
        if let Some((start, combined)) = self.open.take() {
            done.push(&combined.into_bar(Timestamp::from_micros(start)));
        }
    }

    /// The stretches of a trading date, in order. Together they cover the date.
    fn stretches(&self, date: chrono::NaiveDate) -> Vec<Stretch> {
        let Ok(day) = DateRange::new(date, date) else {
            return Vec::new();
        };
        let day = self.calendar.instants(day);
        let Ok(Some(session)) = self.calendar.session_on(date) else {
            return vec![Stretch {
                range: day,
                anchor: day.start,
            }];
        };
        let mut out = Vec::new();
        let mut at = day.start;
        for (open, close) in session.parts() {
            let (open, close) = (open.micros(), close.micros());
            // Before the first open the grid goes back from it; in a break it starts with the
            // break.
            let anchor = if out.is_empty() { open } else { at };
            out.push(Stretch {
                range: TimeRange {
                    start: at,
                    end: open,
                },
                anchor,
            });
            out.push(Stretch {
                range: TimeRange {
                    start: open,
                    end: close,
                },
                anchor: open,
            });
            at = close;
        }
        out.push(Stretch {
            range: TimeRange {
                start: at,
                end: day.end,
            },
            anchor: at,
        });
        out
    }
}

impl Stretch {
    /// The open of the bar that contains `at`. It is never before the stretch, so that two
    /// stretches never share a bar.
    fn bucket(&self, at: i64, step: i64) -> i64 {
        let start = self.anchor + (at - self.anchor).div_euclid(step) * step;
        start.max(self.range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_micros()
    }

    /// One-minute bars from `from` to before `to`. Number n has an open of n + 1, a close half
    /// higher, and a volume of 10.
    fn minutes(from: &str, to: &str) -> Bars {
        (at(from)..at(to))
            .step_by(MINUTE_MICROS as usize)
            .enumerate()
            .map(|(number, micros)| {
                let open = number as f64 + 1.0;
                Bar {
                    vwap: Some(open + 0.25),
                    trades: Some(2),
                    ..Bar::new(
                        Timestamp::from_micros(micros),
                        [open, open + 1.0, open - 0.5, open + 0.5],
                        10.0,
                    )
                }
            })
            .collect()
    }

    fn resample(exchange: &str, length: u16, bars: &Bars, batch_rows: usize) -> Bars {
        let calendar = Calendar::for_exchange(exchange).unwrap();
        let mut resampler = Resampler::new(calendar, length);
        let mut out = Bars::default();
        let mut from = 0;
        while from < bars.len() {
            let to = (from + batch_rows).min(bars.len());
            out.append(resampler.push(&bars.slice(from..to)));
            from = to;
        }
        out.append(resampler.finish());
        out
    }

    fn opens(bars: &Bars) -> Vec<String> {
        bars.iter().map(|bar| bar.timestamp.to_string()).collect()
    }

    #[test]
    fn a_session_of_390_minutes_makes_seven_hours_the_last_one_short() {
        // 2 January 2025, a Thursday: 9:30 to 16:00 in New York is 14:30 to 21:00 UTC.
        let day = minutes("2025-01-02T14:30:00Z", "2025-01-02T21:00:00Z");
        let hours = resample("NASDAQ", 60, &day, 100);
        assert_eq!(hours.len(), 7);
        assert_eq!(
            hours.get(0),
            Bar {
                vwap: Some(30.75),
                trades: Some(120),
                ..Bar::new(
                    Timestamp::from_micros(at("2025-01-02T14:30:00Z")),
                    [1.0, 61.0, 0.5, 60.5],
                    600.0
                )
            }
        );
        assert_eq!(hours.get(6).volume, 300.0);
        assert_eq!(opens(&hours)[6], "2025-01-02T20:30:00Z");
    }

    #[test]
    fn the_grid_follows_the_session_over_a_clock_change() {
        // Clocks went forward on 9 March 2025: the open moved from 14:30 to 13:30 UTC.
        let mut bars = minutes("2025-03-07T20:58:00Z", "2025-03-07T21:00:00Z");
        bars.append(minutes("2025-03-10T13:30:00Z", "2025-03-10T14:35:00Z"));
        assert_eq!(
            opens(&resample("NYSE", 30, &bars, 7)),
            [
                "2025-03-07T20:30:00Z",
                "2025-03-10T13:30:00Z",
                "2025-03-10T14:00:00Z",
                "2025-03-10T14:30:00Z"
            ]
        );
    }

    #[test]
    fn bars_outside_sessions_never_mix_with_those_inside() {
        let mut bars = minutes("2025-01-02T14:25:00Z", "2025-01-02T14:35:00Z");
        bars.append(minutes("2025-01-02T20:55:00Z", "2025-01-02T21:05:00Z"));
        let hours = resample("NASDAQ", 60, &bars, 3);
        assert_eq!(
            opens(&hours),
            [
                "2025-01-02T13:30:00Z",
                "2025-01-02T14:30:00Z",
                "2025-01-02T20:30:00Z",
                "2025-01-02T21:00:00Z"
            ]
        );
        assert!(hours.iter().all(|bar| bar.volume == 50.0));
    }

    #[test]
    fn each_part_of_a_session_with_a_break_has_its_own_grid() {
        // Hong Kong, 9:30 to 12:00 and 13:00 to 16:00, is 1:30 to 4:00 and 5:00 to 8:00 UTC.
        let day = minutes("2025-01-06T01:30:00Z", "2025-01-06T04:00:00Z");
        let mut both = day.clone();
        both.append(minutes("2025-01-06T05:00:00Z", "2025-01-06T08:00:00Z"));
        assert_eq!(
            opens(&resample("HKEX", 60, &both, 1000)),
            [
                "2025-01-06T01:30:00Z",
                "2025-01-06T02:30:00Z",
                "2025-01-06T03:30:00Z",
                "2025-01-06T05:00:00Z",
                "2025-01-06T06:00:00Z",
                "2025-01-06T07:00:00Z"
            ]
        );
    }

    #[test]
    fn a_date_without_a_session_starts_at_midnight() {
        // Saturday, 4 January 2025, 0:07 in New York.
        let bars = minutes("2025-01-04T05:07:00Z", "2025-01-04T05:16:00Z");
        assert_eq!(
            opens(&resample("NASDAQ", 15, &bars, 4)),
            ["2025-01-04T05:00:00Z", "2025-01-04T05:15:00Z"]
        );
    }

    #[test]
    fn one_missing_vwap_or_number_of_trades_leaves_the_longer_bar_without() {
        let mut rows: Vec<Bar> = minutes("2025-01-02T14:30:00Z", "2025-01-02T14:40:00Z")
            .iter()
            .collect();
        rows[1].vwap = None;
        rows[6].trades = None;
        rows[7].volume = 0.0;
        rows[7].vwap = None;
        let bars: Bars = rows.into_iter().collect();
        let fives = resample("NASDAQ", 5, &bars, 100);
        assert_eq!((fives.get(0).vwap, fives.get(0).trades), (None, Some(10)));
        assert_eq!((fives.get(1).vwap, fives.get(1).trades), (Some(8.25), None));
    }

    #[test]
    fn where_bars_are_cut_into_batches_does_not_matter() {
        let bars = minutes("2025-01-02T09:00:00Z", "2025-01-03T23:59:00Z");
        let whole = resample("NASDAQ", 42, &bars, usize::MAX >> 1);
        assert!(whole.is_sorted_unique());
        for rows in [1, 2, 41, 42, 43, 500] {
            assert_eq!(resample("NASDAQ", 42, &bars, rows), whole);
        }
        let volume: f64 = whole.iter().map(|bar| bar.volume).sum();
        assert_eq!(volume, 10.0 * bars.len() as f64);
    }
}
