//! Each error of the service, and the limits of the plans.

use super::*;
use crate::simulator::Tier;

const QUERY: &str = "/stable/historical-chart/1min?symbol=AAPL&from=2025-02-04&to=2025-02-04";
const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

fn with_fault(running: &Running, fault: &str) -> HttpResponse {
    send(
        running,
        QUERY,
        &format!("apikey: secret\r\nx-simulator-fault: {fault}\r\n"),
    )
    .unwrap()
}

#[test]
fn a_key_is_needed_and_either_place_does() {
    let running = simulator();
    for headers in ["", "apikey: invalid\r\n", "apikey: \r\n"] {
        let response = send(&running, QUERY, headers).unwrap();
        assert_eq!(
            (response.status, response.content_type.as_str()),
            (401, JSON)
        );
        assert!(
            response
                .text()
                .starts_with("{\"Error Message\":\"Invalid API KEY. "),
            "{}",
            response.text()
        );
    }
    assert_eq!(
        send(&running, &format!("{QUERY}&apikey=secret"), "")
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        send(&running, QUERY, "apikey: secret\r\n").unwrap().status,
        200
    );
    let strict = start(Config {
        keys: Some(vec!["right".into()]),
        ..Config::default()
    });
    assert_eq!(
        send(&strict, QUERY, "apikey: wrong\r\n").unwrap().status,
        401
    );
    assert_eq!(
        send(&strict, QUERY, "apikey: right\r\n").unwrap().status,
        200
    );
}

#[test]
fn every_row_of_the_error_table() {
    let running = simulator();
    let rows = [
        ("401", 401, JSON, "{\"Error Message\":\"Invalid API KEY. "),
        ("402", 402, TEXT, "Restricted Endpoint: "),
        (
            "402-symbol",
            402,
            TEXT,
            "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available under your current subscription",
        ),
        ("403", 403, JSON, "{\"Error Message\":\"Legacy Endpoint : "),
        (
            "403-suspended",
            403,
            JSON,
            "{\"Error Message\":\"Your account has been suspended",
        ),
        (
            "429",
            429,
            JSON,
            "{\"Error Message\":\"Limit Reach . Please upgrade your plan ",
        ),
        (
            "429-retry-after",
            429,
            JSON,
            "{\"Error Message\":\"Limit Reach . ",
        ),
        (
            "429-bandwidth",
            429,
            JSON,
            "{\"Error Message\":\"Bandwidth Limit Reach . ",
        ),
        (
            "400",
            400,
            JSON,
            "Query Error: Invalid or missing query parameter - symbol",
        ),
        (
            "error-object",
            200,
            JSON,
            "{\"Error Message\":\"Limit Reach . ",
        ),
        ("strange-object", 200, JSON, "{\"message\":"),
        ("500", 500, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("502", 502, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("503", 503, TEXT, "upstream"),
        ("html", 200, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("empty", 200, JSON, "[]"),
    ];
    for (fault, status, content_type, start) in rows {
        let response = with_fault(&running, fault);
        assert_eq!(
            (response.status, response.content_type.as_str()),
            (status, content_type),
            "{fault}"
        );
        assert!(
            response.text().starts_with(start),
            "{fault}: {}",
            response.text()
        );
        assert_eq!(
            response.head.contains("retry-after: 1"),
            fault == "429-retry-after"
        );
    }
    for both in ["402", "429"] {
        assert!(
            with_fault(&running, both)
                .text()
                .contains("upgrade your plan"),
            "{both}"
        );
    }
    assert_eq!(
        with_fault(&running, "418").status,
        400,
        "an unknown fault is an error"
    );
}

#[test]
fn wrong_questions_are_refused_as_the_service_does() {
    let running = simulator();
    for query in [
        "1min?from=2025-02-04&to=2025-02-04",
        "1min?symbol=&from=2025-02-04&to=2025-02-04",
    ] {
        let response = get(&running, query);
        assert_eq!(
            (response.status, response.content_type.as_str()),
            (400, JSON)
        );
        assert_eq!(
            response.text(),
            "Query Error: Invalid or missing query parameter - symbol"
        );
    }
    assert_eq!(
        get(&running, "1min?symbol=AAPL&from=04.02.2025").status,
        400
    );
    for interval in ["2min", "1day", "60min", "1Hour"] {
        let response = get(&running, &format!("{interval}?symbol=AAPL"));
        assert_eq!(
            (response.status, response.text()),
            (404, "[]"),
            "{interval}"
        );
    }
    let legacy = send(
        &running,
        "/api/v3/historical-chart/1min/AAPL",
        "apikey: secret\r\n",
    )
    .unwrap();
    assert_eq!(legacy.status, 403);
    assert!(legacy.text().contains("Legacy Endpoint : "));
    let suspended = send(&running, QUERY, "apikey: suspended\r\n").unwrap();
    assert_eq!(suspended.status, 403);
    assert!(suspended.text().contains("suspended"));
    assert_eq!(
        get(&running, "1min?symbol=PREMIUMX&from=2025-02-04").status,
        402
    );
    assert_eq!(send(&running, "/elsewhere", "").unwrap().status, 404);
}

#[test]
fn a_free_plan_has_nothing_intraday_and_250_calls_a_day() {
    let running = start(Config {
        tier: Some(Tier::Free),
        ..Config::default()
    });
    for _ in 0..250 {
        assert_eq!(
            send(&running, QUERY, "apikey: secret\r\n").unwrap().status,
            402
        );
    }
    let response = send(&running, QUERY, "apikey: secret\r\n").unwrap();
    assert_eq!(response.status, 429);
    assert!(
        response
            .text()
            .starts_with("{\"Error Message\":\"Limit Reach . ")
    );
    post(&running, r#"{"advance_seconds": 86400}"#);
    assert_eq!(
        send(&running, QUERY, "apikey: secret\r\n").unwrap().status,
        402
    );
}

#[test]
fn a_starter_plan_has_300_calls_in_any_minute() {
    let running = start(Config {
        tier: Some(Tier::Starter),
        ..Config::default()
    });
    let day = "1hour?symbol=AAPL&from=2025-02-04&to=2025-02-04";
    for _ in 0..300 {
        assert_eq!(get(&running, day).status, 200);
    }
    assert_eq!(get(&running, day).status, 429);
    post(&running, r#"{"advance_seconds": 60}"#);
    assert_eq!(get(&running, day).status, 200);
    let counters = running.handle().counters();
    assert_eq!(
        (counters.by_status[&200], counters.by_status[&429]),
        (301, 1)
    );
    assert_eq!(counters.per_minute_peak, 300);
}

#[test]
fn bandwidth_runs_out_and_comes_back_after_thirty_days() {
    let running = simulator();
    post(&running, r#"{"limits": {"bandwidth_bytes": 100000}}"#);
    let day = "1min?symbol=AAPL&from=2025-02-04&to=2025-02-06";
    assert_eq!(get(&running, day).status, 200);
    let response = get(&running, day);
    assert_eq!(response.status, 429);
    assert!(
        response
            .text()
            .starts_with("{\"Error Message\":\"Bandwidth Limit Reach . ")
    );
    post(&running, r#"{"advance_seconds": 2592000}"#);
    assert_eq!(get(&running, day).status, 200);
}
