//! Broken responses, and the plan of when they break.

use std::time::Instant;

use super::*;

const PATH: &str = "/stable/historical-chart/1min?symbol=AAPL&from=2025-02-04&to=2025-02-06";

fn broken(running: &Running, fault: &str) -> io::Error {
    send(
        running,
        PATH,
        &format!("apikey: secret\r\nx-simulator-fault: {fault}\r\n"),
    )
    .unwrap_err()
}

#[test]
fn connections_break_in_every_way() {
    let running = simulator();
    assert_eq!(
        broken(&running, "reset").kind(),
        io::ErrorKind::ConnectionReset
    );
    assert_eq!(
        broken(&running, "reset-body").kind(),
        io::ErrorKind::ConnectionReset
    );
    assert_eq!(broken(&running, "cut").kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(
        broken(&running, "cut-chunked").kind(),
        io::ErrorKind::UnexpectedEof
    );
    for stall in ["stall", "stall-body"] {
        let kind = broken(&running, stall).kind();
        assert!(
            matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            "{stall}: {kind:?}"
        );
    }
}

#[test]
fn half_of_the_body_has_left_before_it_is_cut() {
    let running = simulator();
    for fault in ["cut", "cut-chunked"] {
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\napikey: k\r\nx-simulator-fault: {fault}\r\n\r\n"
        );
        let raw = exchange(&running, &request).unwrap();
        assert!(raw.len() > 40_000, "{fault}: {}", raw.len());
    }
}

#[test]
fn bodies_that_are_whole_but_wrong() {
    let running = simulator();
    let with = |fault: &str| {
        send(
            &running,
            PATH,
            &format!("apikey: secret\r\nx-simulator-fault: {fault}\r\n"),
        )
        .unwrap()
    };
    let whole = send(&running, PATH, "apikey: secret\r\n").unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&with("half").body).is_err());
    assert!(std::str::from_utf8(&with("garbage").body).is_err());
    // Newest first: what is cut off is the oldest.
    let bars = whole.bars();
    let cut = with("truncated").bars();
    assert!(cut.len() < bars.len() && cut[..] == bars[..cut.len()]);
    assert!(cut.iter().all(|bar| bar.date.starts_with("2025-02-06")));
    assert!(bars[cut.len()].date.starts_with("2025-02-05"));
    assert_eq!(with("capped").bars(), bars[..500]);
    let before = Instant::now();
    assert_eq!(with("slow").text(), whole.text());
    assert!(before.elapsed() > Duration::from_millis(250));
}

#[test]
fn a_plan_strikes_by_count_by_symbol_and_by_repeat() {
    let running = start(Config {
        faults: ["500=2", "503@MSFT", "502@TSLA=each:1"]
            .map(|rule| rule.parse().unwrap())
            .to_vec(),
        ..Config::default()
    });
    let status = |symbol: &str, date: &str| {
        get(
            &running,
            &format!("1hour?symbol={symbol}&from={date}&to={date}"),
        )
        .status
    };
    let statuses = [
        status("AAPL", "2025-02-04"),
        status("AAPL", "2025-02-04"),
        status("AAPL", "2025-02-04"),
        status("MSFT", "2025-02-04"),
        status("MSFT", "2025-02-04"),
        status("TSLA", "2025-02-04"),
        status("TSLA", "2025-02-04"),
        status("TSLA", "2025-02-05"),
    ];
    assert_eq!(statuses, [500, 500, 200, 503, 503, 502, 200, 502]);
    post(&running, r#"{"faults": []}"#);
    assert_eq!(status("MSFT", "2025-02-04"), 200);
}

#[test]
fn the_same_seed_fails_the_same_way_in_any_order() {
    let dates: Vec<String> = (1..=28).map(|day| format!("2025-02-{day:02}")).collect();
    let run = |seed, backwards| {
        let running = start(Config {
            seed,
            faults: vec!["500=0.4".parse().unwrap()],
            ..Config::default()
        });
        let mut struck: Vec<(String, u16)> = if backwards {
            dates
                .iter()
                .rev()
                .map(|date| {
                    (
                        date.clone(),
                        get(&running, &format!("1hour?symbol=A&from={date}&to={date}")).status,
                    )
                })
                .collect()
        } else {
            dates
                .iter()
                .map(|date| {
                    (
                        date.clone(),
                        get(&running, &format!("1hour?symbol=A&from={date}&to={date}")).status,
                    )
                })
                .collect()
        };
        struck.sort();
        struck
    };
    assert_eq!(run(5, false), run(5, true));
    assert_ne!(run(5, false), run(6, false));
    let failed = run(5, false)
        .iter()
        .filter(|(_, status)| *status == 500)
        .count();
    assert!((3..=20).contains(&failed), "{failed}");
}

#[test]
fn single_bars_can_be_spoiled() {
    let running = start(Config {
        faults: ["bad-ohlc@AAPL=0.02", "spike@MSFT=0.02"]
            .map(|rule| rule.parse().unwrap())
            .to_vec(),
        late_opening: 0.0,
        ..Config::default()
    });
    let clean = simulator();
    let query = |symbol| format!("1min?symbol={symbol}&from=2025-02-04&to=2025-02-06");
    let bad = bars(&running, &query("AAPL"));
    let impossible = bad.iter().filter(|bar| bar.high < bar.low).count();
    assert!((5..60).contains(&impossible), "{impossible}");
    let spiked = bars(&running, &query("MSFT"));
    let wild = spiked
        .iter()
        .filter(|bar| bar.high > 10.0 * bar.open)
        .count();
    assert!((5..60).contains(&wild), "{wild}");
    assert_eq!(bars(&running, &query("AMD")), bars(&clean, &query("AMD")));
}

#[test]
fn latency_is_kept_and_requests_go_side_by_side() {
    let running = start(Config {
        latency: Duration::from_millis(100),
        ..Config::default()
    });
    let before = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(
                    send(&running, PATH, "apikey: secret\r\n").unwrap().status,
                    200
                );
            });
        }
    });
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert!(running.handle().counters().in_flight_peak > 1);
}
