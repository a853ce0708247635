//! Changes while it runs: clock, holes, late openings, revisions, splits; the log; a file of bars.

use std::fs;

use super::*;
use crate::model::Interval;
use crate::simulator::{Change, Query};

#[test]
fn forming_bars_are_served_and_settle_later() {
    let running = simulator();
    let symbol = liquid();
    let day = || {
        bars(
            &running,
            &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-04"),
        )
    };
    let settled = day();
    post(&running, r#"{"clock": "2025-02-04T15:00:30Z"}"#);
    let forming = day();
    assert_eq!(forming[0].date, "2025-02-04 10:00:00");
    let by_date = |bars: &[Bar], date: &str| bars.iter().find(|bar| bar.date == date).cloned();
    let last = by_date(&settled, "2025-02-04 10:00:00").unwrap();
    assert!(forming[0].volume < last.volume && forming[0].open == last.open);
    let differing = forming
        .iter()
        .filter(|bar| by_date(&settled, &bar.date).as_ref() != Some(*bar))
        .count();
    assert!(
        (3..=5).contains(&differing),
        "the minutes closed less than 200 s ago differ: {differing}"
    );
    let hour = bars(
        &running,
        &format!("1hour?symbol={symbol}&from=2025-02-04&to=2025-02-04"),
    );
    assert_eq!(hour[0].date, "2025-02-04 09:30:00", "an hour being formed");
    post(&running, r#"{"advance_seconds": 300}"#);
    let later = day();
    assert_eq!(by_date(&later, "2025-02-04 10:00:00"), Some(last));
    post(&running, r#"{"clock": "2025-02-04T14:29:59Z"}"#);
    assert!(day().is_empty(), "nothing before the opening");
    post(&running, r#"{"clock": null}"#);
    assert_eq!(day(), settled);
}

#[test]
fn a_request_without_dates_gets_the_newest() {
    let running = simulator();
    post(&running, r#"{"clock": "2025-02-07T23:00:00Z"}"#);
    let newest = bars(&running, &format!("1min?symbol={}", liquid()));
    assert_eq!(newest[0].date, "2025-02-07 15:59:00");
    assert_eq!(newest.last().unwrap().date, "2025-02-05 09:30:00");
}

#[test]
fn single_day_responses_lack_their_opening_now_and_then() {
    let running = start(Config {
        late_opening: 0.3,
        ..Config::default()
    });
    let symbol = liquid();
    let (mut late, mut whole) = (0, 0);
    for day in 1..=31 {
        let date = format!("2025-10-{day:02}");
        let single = bars(
            &running,
            &format!("1min?symbol={symbol}&from={date}&to={date}"),
        );
        let Some(first) = single.last() else { continue };
        if first.date.ends_with("09:31:00") {
            late += 1;
            let before: chrono::NaiveDate = date.parse().unwrap();
            let wide = bars(
                &running,
                &format!(
                    "1min?symbol={symbol}&from={}&to={date}",
                    before.pred_opt().unwrap()
                ),
            );
            assert!(
                wide.iter()
                    .any(|bar| bar.date == format!("{date} 09:30:00"))
            );
            assert_eq!(
                single,
                bars(
                    &running,
                    &format!("1min?symbol={symbol}&from={date}&to={date}")
                ),
                "each time"
            );
        } else {
            whole += 1;
        }
    }
    assert!(late > 1 && whole > 8, "{late} {whole}");
}

#[test]
fn a_late_opening_can_be_ordered() {
    let running = simulator();
    let symbol = liquid();
    post(
        &running,
        &format!(
            r#"{{"late_opening": {{"symbol": "{symbol}", "date": "2025-02-05", "minutes": 7}}}}"#
        ),
    );
    let single = bars(
        &running,
        &format!("1min?symbol={symbol}&from=2025-02-05&to=2025-02-05"),
    );
    assert_eq!(single.last().unwrap().date, "2025-02-05 09:37:00");
    let wide = bars(
        &running,
        &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-05"),
    );
    assert_eq!(times(&wide, "2025-02-05")[0], "09:30:00");
}

#[test]
fn holes_are_cut_and_filled() {
    let running = simulator();
    let symbol = liquid();
    let all = || {
        bars(
            &running,
            &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-06"),
        )
    };
    let before = all();
    post(
        &running,
        &format!(
            r#"[{{"holes": {{"symbol": "{symbol}", "dates": ["2025-02-05"], "minutes": ["2025-02-04T14:30:00Z"]}}}}]"#
        ),
    );
    let cut = all();
    assert!(times(&cut, "2025-02-05").is_empty());
    assert_eq!(times(&cut, "2025-02-04")[0], "09:31:00");
    assert_eq!(times(&cut, "2025-02-06"), times(&before, "2025-02-06"));
    let five = bars(
        &running,
        &format!("5min?symbol={symbol}&from=2025-02-04&to=2025-02-06"),
    );
    assert!(times(&five, "2025-02-05").is_empty());
    post(
        &running,
        &format!(r#"{{"fill_holes": {{"symbol": "{symbol}"}}}}"#),
    );
    assert_eq!(all(), before);
}

#[test]
fn a_revision_changes_a_few_bars_for_good() {
    let running = simulator();
    let symbol = liquid();
    let all = || {
        bars(
            &running,
            &format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-06"),
        )
    };
    let before = all();
    post(&running, r#"{"revision": 1}"#);
    let after = all();
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert_eq!(before.len(), after.len());
    assert!((2..60).contains(&changed), "{changed}");
    assert_eq!(after, all());
    assert!(
        after
            .iter()
            .all(|bar| bar.low <= bar.close && bar.close <= bar.high)
    );
}

#[test]
fn a_split_restates_what_lies_before_it() {
    let running = simulator();
    let symbol = liquid();
    post(
        &running,
        &format!(r#"{{"split": {{"symbol": "{symbol}", "date": "2025-06-10", "ratio": 4}}}}"#),
    );
    let bars_with = |more: &str| {
        bars(
            &running,
            &format!("1hour?symbol={symbol}&from=2025-06-09&to=2025-06-10{more}"),
        )
    };
    let close = |bars: &[Bar], date: &str| {
        bars.iter()
            .find(|bar| bar.date.starts_with(date))
            .unwrap()
            .close
    };
    post(&running, r#"{"clock": "2025-06-09T23:00:00Z"}"#);
    let before = bars_with("");
    assert_eq!(
        before,
        bars_with("&nonadjusted=true"),
        "no split is known yet"
    );
    post(&running, r#"{"clock": "2025-06-10T23:00:00Z"}"#);
    let (adjusted, raw) = (bars_with(""), bars_with("&nonadjusted=true"));
    assert_eq!(close(&raw, "2025-06-09"), close(&before, "2025-06-09"));
    let ratio = close(&raw, "2025-06-09") / close(&adjusted, "2025-06-09");
    assert!((ratio - 4.0).abs() < 0.001, "{ratio}");
    assert_eq!(close(&raw, "2025-06-10"), close(&adjusted, "2025-06-10"));
    let step = close(&raw, "2025-06-10") / close(&raw, "2025-06-09");
    assert!(
        (0.2..0.32).contains(&step),
        "the traded price falls to a quarter: {step}"
    );
    let volume = |bars: &[Bar]| {
        bars.iter()
            .filter(|bar| bar.date.starts_with("2025-06-09"))
            .map(|bar| bar.volume)
            .sum::<f64>()
    };
    assert!((volume(&adjusted) / volume(&raw) - 4.0).abs() < 0.01);
}

#[test]
fn the_seed_brings_splits_of_its_own() {
    let symbols: Vec<String> = (0..40).map(|n| format!("S{n}")).collect();
    let splits: usize = symbols
        .iter()
        .map(|symbol| {
            super::super::instrument::Instrument::new(1, symbol)
                .unwrap()
                .splits
                .len()
        })
        .sum();
    assert!(
        (100..600).contains(&splits),
        "{splits} splits of 40 symbols in 70 years"
    );
}

#[test]
fn symbols_can_be_made_unknown_or_premium() {
    let running = simulator();
    let status = |symbol: &str| {
        get(
            &running,
            &format!("1hour?symbol={symbol}&from=2025-02-04&to=2025-02-04"),
        )
    };
    post(
        &running,
        r#"[{"unknown": ["aapl"]}, {"premium": ["MSFT"]}]"#,
    );
    assert_eq!(status("AAPL").text(), "[]");
    assert_eq!(status("MSFT").status, 402);
    assert!(status("AMD").text().len() > 10);
}

#[test]
fn the_log_has_everything_but_the_key() {
    let running = simulator();
    send(
        &running,
        "/stable/historical-chart/1min?symbol=AAPL&from=2025-02-04&to=2025-02-04&apikey=topsecret",
        "",
    )
    .unwrap();
    get(
        &running,
        "5min?symbol=MSFT&from=2025-02-04&to=2025-02-05&extended=true",
    );
    let log = running.handle().log();
    assert_eq!(log.len(), 2);
    assert_eq!(
        (
            log[1].symbol.as_str(),
            log[1].interval.as_str(),
            log[1].extended
        ),
        ("MSFT", "5min", true)
    );
    assert_eq!(log[1].to.as_deref(), Some("2025-02-05"));
    assert!(log[0].rows > 300 && log[0].status == 200);
    let text = send(&running, "/simulator/log", "").unwrap();
    assert!(text.text().contains("\"symbol\":\"AAPL\"") && !text.text().contains("secret"));
    let state = send(&running, "/simulator", "").unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state.body).unwrap();
    assert_eq!(state["counters"]["requests"], 2);
    post(&running, r#""reset""#);
    assert!(running.handle().log().is_empty() && running.handle().counters().requests == 0);
}

#[test]
fn the_truth_knows_no_look_back() {
    let running = simulator();
    let symbol = liquid();
    let path = format!("/simulator/bars/1min?symbol={symbol}&from=2025-01-02&to=2025-01-31");
    let all = send(&running, &path, "").unwrap().bars();
    assert_eq!(all.last().unwrap().date, "2025-01-02 09:30:00");
    assert_eq!(all[0].date, "2025-01-31 15:59:00");
    let query = Query {
        symbol: symbol.to_owned(),
        interval: Interval::M1,
        from: "2025-01-02".parse().ok(),
        to: "2025-01-31".parse().ok(),
        extended: false,
        adjusted: true,
    };
    let rows = running.handle().bars(&query).unwrap();
    assert_eq!(rows.len(), all.len());
    assert_eq!(rows[0].close, all.last().unwrap().close);
    assert_eq!(
        running.handle().counters().requests,
        0,
        "reading the log is not a request"
    );
}

#[test]
fn changes_that_mean_nothing_are_refused() {
    let running = simulator();
    for change in [r#"{"hole": {}}"#, r#"{"faults": ["418"]}"#, "nonsense"] {
        let request = format!(
            "POST /simulator HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{change}",
            change.len()
        );
        assert_eq!(
            parse(&exchange(&running, &request).unwrap())
                .unwrap()
                .status,
            400,
            "{change}"
        );
    }
    assert!(
        running
            .handle()
            .apply(Change::Faults(vec!["418".into()]))
            .is_err()
    );
}

#[test]
fn a_file_of_bars_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    fs::write(
        &path,
        "ticker,timestamp,open,high,low,close,volume,vwap,trades\n\
         AAPL,2025-02-04T14:31:00Z,10.5,11,10,10.25,100.5,,\n\
         AAPL,2025-02-04T14:30:00Z,10,11,9,10.5,7,,\n\
         AAPL,2025-02-04T13:00:00Z,9,9,9,9,1,,\n\
         AAPL,2025-02-08T15:00:00Z,9,9,9,9,1,,\n",
    )
    .unwrap();
    let running = start(Config {
        bars: Some(path),
        late_opening: 0.0,
        ..Config::default()
    });
    let day = get(&running, "1min?symbol=AAPL&from=2025-02-04&to=2025-02-04");
    assert_eq!(
        day.text(),
        "[{\"date\":\"2025-02-04 09:31:00\",\"open\":10.5,\"low\":10,\"high\":11,\"close\":10.25,\"volume\":100.5},\
         {\"date\":\"2025-02-04 09:30:00\",\"open\":10,\"low\":9,\"high\":11,\"close\":10.5,\"volume\":7}]"
    );
    let five = bars(&running, "5min?symbol=AAPL&from=2025-02-04&to=2025-02-04");
    assert_eq!((five.len(), five[0].volume, five[0].low), (1, 107.5, 9.0));
    assert_eq!(
        bars(
            &running,
            "1min?symbol=AAPL&from=2025-02-04&to=2025-02-04&extended=true"
        )
        .len(),
        3
    );
    assert_eq!(
        get(&running, "1min?symbol=MSFT&from=2025-02-04&to=2025-02-04").text(),
        "[]"
    );

    let bad = folder.path().join("bad.csv");
    fs::write(
        &bad,
        "ticker,timestamp,open,high,low,close,volume\nA,yesterday,1,1,1,1,1\n",
    )
    .unwrap();
    let error = Simulator::start(
        Config {
            bars: Some(bad),
            ..Config::default()
        },
        clock_at("2025-01-01T00:00:00Z"),
    );
    assert!(error.unwrap_err().to_string().contains("line 2"));
}

#[test]
fn a_taken_port_is_an_error_and_an_ended_simulator_is_gone() {
    let running = simulator();
    let port = running.address().port();
    let taken = Simulator::start(
        Config {
            port,
            ..Config::default()
        },
        clock_at("2025-01-01T00:00:00Z"),
    );
    assert!(taken.unwrap_err().to_string().contains(&port.to_string()));
    let address = running.address();
    running.shutdown();
    assert!(TcpStream::connect(address).is_err());
}
