//! Good responses: form, look-back, dates, grids, hours, splits.

use super::*;
use crate::model::Interval;
use crate::simulator::fmp::reach_days;

#[test]
fn a_bar_looks_as_the_service_writes_it() {
    let running = simulator();
    let symbol = liquid();
    let response = get(
        &running,
        &format!("1min?symbol={symbol}&from=2025-02-03&to=2025-02-04"),
    );
    assert_eq!(response.content_type, "application/json; charset=utf-8");
    let text = response.text();
    assert!(
        text.starts_with("[{\"date\":\"2025-02-04 15:59:00\",\"open\":"),
        "{}",
        &text[..80]
    );
    let first = &text[..text.find('}').unwrap()];
    let places: Vec<usize> = [
        "\"date\"",
        "\"open\"",
        "\"low\"",
        "\"high\"",
        "\"close\"",
        "\"volume\"",
    ]
    .iter()
    .map(|name| first.find(name).unwrap())
    .collect();
    assert!(places.is_sorted());
    let bars = response.bars();
    assert!(
        bars.windows(2).all(|pair| pair[0].date > pair[1].date),
        "newest first"
    );
    assert_eq!(bars.last().unwrap().date, "2025-02-03 09:30:00");
    assert!((760..=780).contains(&bars.len()), "{}", bars.len());
    for bar in &bars {
        assert!(
            bar.low <= bar.open
                && bar.open <= bar.high
                && bar.low <= bar.close
                && bar.close <= bar.high
        );
        assert!(bar.low > 0.0 && bar.volume >= 0.0);
    }
    assert!(
        bars.iter().any(|bar| bar.volume.fract() != 0.0),
        "some volumes are fractional"
    );
    assert!(bars.iter().any(|bar| bar.volume.fract() == 0.0));
}

#[test]
fn a_request_that_spans_too_much_gets_its_newest_part_only() {
    let running = simulator();
    let symbol = liquid();
    for (name, interval) in [
        ("1min", Interval::M1),
        ("5min", Interval::M5),
        ("15min", Interval::M15),
        ("30min", Interval::M30),
        ("1hour", Interval::M60),
    ] {
        let all = bars(
            &running,
            &format!("{name}?symbol={symbol}&from=2024-01-01&to=2025-06-13"),
        );
        let to: chrono::NaiveDate = "2025-06-13".parse().unwrap();
        let reach = to - chrono::Days::new(reach_days(interval) - 1);
        let oldest: chrono::NaiveDate = all.last().unwrap().date[..10].parse().unwrap();
        assert!(
            oldest >= reach && (oldest - reach).num_days() <= 3,
            "{name}: {oldest} {reach}"
        );
        let newest = bars(
            &running,
            &format!("{name}?symbol={symbol}&from={reach}&to=2025-06-13"),
        );
        assert_eq!(all, newest);
    }
    let three = bars(
        &running,
        &format!("1min?symbol={symbol}&from=2025-06-09&to=2025-06-13"),
    );
    assert_eq!(three.last().unwrap().date, "2025-06-11 09:30:00");
}

#[test]
fn reversed_dates_get_the_last_day() {
    let running = simulator();
    let symbol = liquid();
    let reversed = bars(
        &running,
        &format!("1min?symbol={symbol}&from=2025-02-10&to=2025-02-04"),
    );
    assert_eq!(
        reversed,
        bars(
            &running,
            &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-04")
        )
    );
    assert!(
        reversed
            .iter()
            .all(|bar| bar.date.starts_with("2025-02-04"))
    );
}

#[test]
fn any_two_requests_agree_and_longer_bars_add_up() {
    let running = simulator();
    for symbol in ["AAPL", "MSFT", "XYZ", "SHOP.TO", "7203.T"] {
        let minutes = bars(
            &running,
            &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-06"),
        );
        let day = bars(
            &running,
            &format!("1min?symbol={symbol}&from=2025-02-05&to=2025-02-05"),
        );
        let inside: Vec<Bar> = minutes
            .iter()
            .filter(|bar| bar.date.starts_with("2025-02-05"))
            .cloned()
            .collect();
        assert_eq!(inside, day);
        for (name, length) in [("5min", 5), ("15min", 15), ("30min", 30)] {
            let long = bars(
                &running,
                &format!("{name}?symbol={symbol}&from=2025-02-05&to=2025-02-05"),
            );
            let mut rest: Vec<&Bar> = day.iter().rev().collect();
            for bar in long.iter().rev() {
                let minute = |bar: &Bar| {
                    let time = &bar.date[11..];
                    time[..2].parse::<u32>().unwrap() * 60 + time[3..5].parse::<u32>().unwrap()
                };
                let mine: Vec<&Bar> = rest
                    .iter()
                    .copied()
                    .take_while(|part| minute(part) < minute(bar) + length)
                    .collect();
                rest.drain(..mine.len());
                assert_eq!(bar.open, mine[0].open);
                assert_eq!(bar.close, mine[mine.len() - 1].close);
                assert_eq!(
                    bar.high,
                    mine.iter().map(|bar| bar.high).fold(f64::MIN, f64::max)
                );
                assert_eq!(
                    bar.low,
                    mine.iter().map(|bar| bar.low).fold(f64::MAX, f64::min)
                );
                assert_eq!(bar.volume, mine.iter().map(|bar| bar.volume).sum::<f64>());
            }
            assert!(rest.is_empty());
        }
    }
}

#[test]
fn sessions_are_those_of_the_calendar() {
    let running = simulator();
    let symbol = liquid();
    let day = |date: &str| {
        bars(
            &running,
            &format!("1min?symbol={symbol}&from={date}&to={date}"),
        )
    };
    for closed in ["2025-01-09", "2025-01-20", "2025-02-08"] {
        assert_eq!(
            get(
                &running,
                &format!("1min?symbol={symbol}&from={closed}&to={closed}")
            )
            .text(),
            "[]"
        );
    }
    assert_eq!(day("2025-07-03")[0].date, "2025-07-03 12:59:00");
    for date in ["2025-03-07", "2025-03-10", "2025-10-31", "2025-11-03"] {
        let all = times(&day(date), date);
        assert_eq!(
            (all[0].as_str(), all[all.len() - 1].as_str()),
            ("09:30:00", "15:59:00"),
            "{date}"
        );
    }
    assert_eq!(
        get(
            &running,
            &format!("1min?symbol={symbol}&from=1999-01-04&to=1999-01-05")
        )
        .text(),
        "[]"
    );
    assert_eq!(
        get(
            &running,
            &format!("1min?symbol={symbol}&from=2029-01-04&to=2029-01-05")
        )
        .text(),
        "[]"
    );
}

#[test]
fn times_are_the_exchanges_own() {
    let running = simulator();
    let ends = |symbol: &str, date: &str| {
        let all = times(
            &bars(
                &running,
                &format!("1min?symbol={symbol}&from={date}&to={date}"),
            ),
            date,
        );
        (all[0].clone(), all[all.len() - 1].clone())
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(ends("VOD.L", "2025-06-02"), pair("08:00:00", "16:29:00"));
    assert_eq!(ends("SAP.DE", "2025-06-02"), pair("09:00:00", "17:29:00"));
    assert_eq!(ends("%5EGDAXI", "2025-06-02"), pair("09:00:00", "17:29:00"));
    assert_eq!(ends("%5EN225", "2025-06-02"), pair("09:00:00", "15:29:00"));
    assert_eq!(ends("BTCUSD", "2025-06-01"), pair("00:00:00", "23:59:00"));
    assert_eq!(ends("EURUSD", "2025-06-01"), pair("17:00:00", "23:59:00"));
    assert_eq!(ends("EURUSD", "2025-06-06"), pair("00:00:00", "16:59:00"));
    let lunch = times(
        &bars(
            &running,
            "30min?symbol=0700.HK&from=2025-06-02&to=2025-06-02",
        ),
        "2025-06-02",
    );
    assert!(lunch.contains(&"11:30:00".to_owned()) && !lunch.contains(&"12:00:00".to_owned()));
    assert!(lunch.contains(&"13:00:00".to_owned()));
}

#[test]
fn hours_start_at_the_open_or_with_extended_hours_at_four() {
    let running = simulator();
    let symbol = liquid();
    let day = |more: &str| {
        times(
            &bars(
                &running,
                &format!("1hour?symbol={symbol}&from=2025-02-04&to=2025-02-04{more}"),
            ),
            "2025-02-04",
        )
    };
    assert_eq!(
        day(""),
        [
            "09:30:00", "10:30:00", "11:30:00", "12:30:00", "13:30:00", "14:30:00", "15:30:00"
        ]
    );
    let extended = day("&extended=true");
    assert_eq!(extended.len(), 16);
    assert_eq!(
        (extended[0].as_str(), extended[15].as_str()),
        ("04:00:00", "19:00:00")
    );

    let minutes = bars(
        &running,
        &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-04&extended=true"),
    );
    assert!((900..=960).contains(&minutes.len()), "{}", minutes.len());
    assert!(minutes[0].date.as_str() > "2025-02-04 19:50:00");
    let regular = bars(
        &running,
        &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-04"),
    );
    let inside: Vec<Bar> = minutes
        .iter()
        .filter(|bar| ("2025-02-04 09:30:00".."2025-02-04 16:00:00").contains(&bar.date.as_str()))
        .cloned()
        .collect();
    assert_eq!(inside, regular, "the same minutes with all hours");
}

#[test]
fn some_minutes_have_no_bar() {
    let running = simulator();
    let counts: Vec<usize> = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"]
        .iter()
        .map(|symbol| {
            bars(
                &running,
                &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-06"),
            )
            .len()
        })
        .collect();
    assert!(
        counts.iter().all(|count| *count <= 1170 && *count > 600),
        "{counts:?}"
    );
    assert!(counts.iter().any(|count| *count < 1170));
}

#[test]
fn another_seed_is_another_market() {
    let one = simulator();
    let two = start(Config {
        seed: 2,
        ..Config::default()
    });
    let query = "1hour?symbol=AAPL&from=2025-02-04&to=2025-02-06";
    assert_ne!(bars(&one, query), bars(&two, query));
    assert_eq!(bars(&one, query), bars(&simulator(), query));
}

#[test]
fn unknown_parameters_are_ignored_and_unknown_symbols_have_no_bars() {
    let running = simulator();
    let symbol = liquid();
    let plain = get(
        &running,
        &format!("5min?symbol={symbol}&from=2025-02-04&to=2025-02-04"),
    );
    let more = get(
        &running,
        &format!("5min?symbol={symbol}&from=2025-02-04&to=2025-02-04&page=2&limit=3"),
    );
    assert_eq!(plain.text(), more.text());
    let unknown = get(&running, "1min?symbol=NOSUCH&from=2025-02-04&to=2025-02-04");
    assert_eq!((unknown.status, unknown.text()), (200, "[]"));
}

#[test]
fn prices_move_as_prices_do() {
    let running = simulator();
    let symbol = liquid();
    let mut days: Vec<Bar> = Vec::new();
    for month in 1..=9 {
        days.extend(
            bars(
                &running,
                &format!("1hour?symbol={symbol}&from=2025-{month:02}-01&to=2025-{month:02}-28"),
            )
            .into_iter()
            .rev(),
        );
    }
    let closes: Vec<f64> = days
        .iter()
        .filter(|bar| bar.date.ends_with("15:30:00"))
        .map(|bar| bar.close)
        .collect();
    assert!(closes.len() > 160);
    let biggest = closes
        .windows(2)
        .map(|pair| (pair[1] / pair[0]).ln().abs())
        .fold(0.0, f64::max);
    assert!((0.005..0.3).contains(&biggest), "{biggest}");
    let gaps = days
        .windows(2)
        .filter(|pair| pair[1].date.ends_with("09:30:00"))
        .filter(|pair| (pair[1].open / pair[0].close).ln().abs() > 0.001)
        .count();
    assert!(gaps > 30, "{gaps} overnight gaps");

    let minutes = bars(
        &running,
        &format!("30min?symbol={symbol}&from=2025-02-04&to=2025-02-07"),
    );
    let volume = |time: &str| -> f64 {
        minutes
            .iter()
            .filter(|bar| bar.date.ends_with(time))
            .map(|bar| bar.volume)
            .sum()
    };
    assert!(
        volume("09:30:00") > 1.3 * volume("12:30:00")
            && volume("15:30:00") > 1.3 * volume("12:30:00")
    );
}
