//! Properties of the bars of any symbol.

use std::sync::OnceLock;

use chrono::{Days, NaiveDate};
use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, suffix_exchange};
use crate::model::{Bar as ModelBar, Interval, MINUTE_MICROS};
use crate::simulator::{Query, Row};

fn shared() -> &'static Running {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    RUNNING.get_or_init(simulator)
}

fn rows(
    symbol: &str,
    interval: Interval,
    from: NaiveDate,
    to: NaiveDate,
    adjusted: bool,
) -> Vec<Row> {
    let query = Query {
        symbol: symbol.to_owned(),
        interval,
        from: Some(from),
        to: Some(to),
        extended: false,
        adjusted,
    };
    shared().handle().bars(&query).unwrap()
}

fn symbols() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z]{1,5}",
        "[A-Z]{1,4}\\.(TO|L|DE|HK|T|SS|AX|SA)",
        prop::sample::select(vec![
            "BRK-B".to_owned(),
            "^GSPC".to_owned(),
            "^N225".to_owned()
        ]),
    ]
}

proptest! {
    #[test]
    fn bars_are_valid_lie_on_the_grid_and_are_the_same_in_any_window(
        symbol in symbols(),
        offset in 0..9_000_u64,
        length in 0..9_u64,
        interval in prop::sample::select(Interval::ALL.to_vec()),
        adjusted in any::<bool>(),
    ) {
        let first: NaiveDate = "2001-01-01".parse().unwrap();
        let from = first + Days::new(offset);
        let to = from + Days::new(length);
        let bars = rows(&symbol, interval, from, to, adjusted);
        prop_assert!(bars.windows(2).all(|pair| pair[0].at < pair[1].at));
        for row in &bars {
            let bar = ModelBar::new(Timestamp::from_micros(row.at), [row.open, row.high, row.low, row.close], row.volume);
            prop_assert_eq!(bar.check(), Ok(()), "{} {:?}", &symbol, row);
            prop_assert_eq!(row.at % MINUTE_MICROS, 0);
        }
        let exchange = match symbol.as_str() {
            "^N225" => "JPX",
            other => suffix_exchange(other).unwrap_or("NASDAQ"),
        };
        let calendar = Calendar::for_exchange(exchange).unwrap();
        let mut pieces = Vec::new();
        for date in from.iter_days().take_while(|date| *date <= to) {
            let day = rows(&symbol, interval, date, date, adjusted);
            match calendar.session_on(date).unwrap() {
                None => prop_assert!(day.is_empty()),
                Some(session) => {
                    let grid = session.grid(interval);
                    prop_assert!(day.iter().all(|row| grid.contains(&Timestamp::from_micros(row.at))));
                }
            }
            pieces.extend(day);
        }
        prop_assert_eq!(pieces, bars);
    }
}
