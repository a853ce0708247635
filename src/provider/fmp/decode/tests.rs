//! Bodies as the service sends them, and as it should not.

use super::*;
use crate::provider::contract::request;
use crate::provider::mutate::check_mutations;

fn read(body: &str) -> Rows {
    let request = request("AAPL", "2025-01-01", "2025-12-31");
    rows(body.as_bytes(), &request, "http://x/").unwrap_or_else(|e| panic!("{body}: {e:?}"))
}

/// The rows of a body, read as JSON in general.
fn as_json(body: &[u8], request: &Request) -> Rows {
    let table = Table::new(request, "", 0);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let table = reader.deserialize_seq(TableVisitor { table }).unwrap();
    reader.end().unwrap();
    table.finish(request.interval)
}

#[test]
fn mutated_bodies_never_panic_and_bars_are_valid() {
    let request = request("AAPL", "2025-02-03", "2025-02-05");
    let pieces = ["null", "1e999", "-1", "2025-11-02 01:30:00"];
    let mut plain = 0;
    check_mutations("fmp", &pieces, |bytes| {
        let result = rows(bytes, &request, "http://x/");
        if let Some(fast) = Table::new(&request, "", 0).filled_with_plain_rows(bytes) {
            plain += 1;
            assert_eq!(fast.finish(request.interval), as_json(bytes, &request));
        }
        let rows = result.ok()?;
        assert!(rows.bars.iter().all(|bar| bar.check().is_ok()));
        assert!(rows.bars.timestamps().is_sorted());
        Some(())
    });
    assert!(plain > 20, "{plain} bodies were plain");
}

#[test]
fn newest_first_becomes_oldest_first_to_the_last_digit() {
    let rows = read(
        r#"[{"date":"2025-02-04 15:59:00","open":233.01,"low":232.72,"high":233.13,"close":232.79,"volume":720121},
            {"date":"2025-02-04 15:58:00","open":233,"low":2.3e2,"high":233.10,"close":233,"volume":588656.8568699993}]"#,
    );
    assert!(rows.rejects.is_empty());
    let bars: Vec<Bar> = rows.bars.iter().collect();
    assert_eq!(bars[0].timestamp.to_string(), "2025-02-04T20:58:00Z");
    assert_eq!(bars[0].volume, 588_656.856_869_999_3);
    assert_eq!((bars[0].open, bars[0].low), (233.0, 230.0));
    assert_eq!(bars[1].timestamp.to_string(), "2025-02-04T20:59:00Z");
    assert_eq!(bars[1].high, 233.13);
}

#[test]
fn bad_rows_are_rejected_with_reason_line_and_text_and_stop_no_other() {
    let good = r#"{"date":"2025-02-04 15:59:00","open":2,"low":1,"high":3,"close":2,"volume":1}"#;
    let bad = [
        (
            r#"{"date":"2025-02-04 15:5","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::BadTimestamp,
        ),
        (
            r#"{"date":null,"open":2,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::BadTimestamp,
        ),
        (
            r#"{"date":"2025-02-04 15:57:30","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::NotWholeMinute,
        ),
        (
            r#"{"date":"2025-02-04 15:56:00","open":null,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::BadNumber,
        ),
        (
            r#"{"date":"2025-02-04 15:55:00","open":"2","low":1,"high":3,"close":2,"volume":1}"#,
            Reason::BadNumber,
        ),
        (
            r#"{"date":"2025-02-04 15:54:00","open":2,"low":1,"high":3,"close":2}"#,
            Reason::BadNumber,
        ),
        (
            r#"{"date":"2025-02-04 15:53:00","open":9,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::HighLowOrder,
        ),
        (
            r#"{"date":"2025-02-04 15:52:00","open":0,"low":0,"high":3,"close":2,"volume":1}"#,
            Reason::PriceNotPositive,
        ),
        (
            r#"{"date":"2025-02-04 15:51:00","open":2,"low":1,"high":3,"close":2,"volume":-1}"#,
            Reason::BadVolume,
        ),
        (
            r#"{"date":"2025-03-09 02:30:00","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::SkippedLocalTime,
        ),
        (
            r#"{"date":"2025-11-02 01:30:00","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
            Reason::RepeatedLocalTime,
        ),
    ];
    let body = bad
        .iter()
        .fold(format!("[{good}"), |body, (row, _)| body + "," + row)
        + "]";
    let rows = read(&body);
    assert_eq!(rows.bars.len(), 1);
    let got: Vec<_> = (rows.rejects.iter())
        .map(|row| &row.reject)
        .map(|r| (r.line, r.raw.as_str(), r.reason))
        .collect();
    let want: Vec<_> = (bad.iter().zip(2..))
        .map(|((raw, reason), line)| (line, *raw, *reason))
        .collect();
    assert_eq!(got, want);
    assert_eq!(rows.rejects[0].reject.origin, "http://x/");
}

#[test]
fn rows_of_another_request_are_rejects() {
    let row = |date: &str, symbol: &str| {
        format!(r#"{{"date":"{date}","open":2,"low":1,"high":3,"close":2,"volume":1{symbol}}}"#)
    };
    let request = Request {
        latest: "2025-02-06T00:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .into(),
        ..request("BRK-B", "2025-02-03", "2025-02-06")
    };
    let rows_of = |row: String| rows(format!("[{row}]").as_bytes(), &request, "").unwrap();
    let noon = "2025-02-04 12:00:00";
    for symbol in [
        "",
        r#","symbol":"BRK-B""#,
        r#","symbol":"brk.b""#,
        r#","symbol":null"#,
    ] {
        assert_eq!(rows_of(row(noon, symbol)).bars.len(), 1, "{symbol}");
    }
    let at = Some("2025-02-04T17:00:00Z".to_owned());
    for (date, symbol, reason, at) in [
        (
            noon,
            r#","symbol":"BRK-A""#,
            Reason::OtherTicker,
            at.clone(),
        ),
        (noon, r#","symbol":7"#, Reason::OtherTicker, at),
        ("2025-02-02 23:59:00", "", Reason::OutsideRange, None),
        ("2025-02-05 20:00:00", "", Reason::InTheFuture, None),
        ("2025-02-07 00:00:00", "", Reason::InTheFuture, None),
    ] {
        let rows = rows_of(row(date, symbol));
        assert!(rows.bars.is_empty(), "{date} {symbol}");
        assert_eq!(rows.rejects[0].reject.reason, reason, "{date} {symbol}");
        assert_eq!(
            rows.rejects[0].at.map(|at| at.to_string()),
            at,
            "{date} {symbol}"
        );
    }
    let last = rows_of(row("2025-02-05 19:00:00", ""));
    assert_eq!(last.bars.len(), 1, "exactly the latest");
}

#[test]
fn both_passes_of_a_repeated_hour_are_recognised() {
    let row = |time: &str| {
        format!(
            r#"{{"date":"2025-11-02 {time}:00","open":2,"low":1,"high":3,"close":2,"volume":1}}"#
        )
    };
    let served = ["02:00", "01:59", "01:00", "01:59", "01:00", "00:59"]
        .map(row)
        .join(",");
    let rows = read(&format!("[{served}]"));
    let times: Vec<String> = rows.bars.iter().map(|b| b.timestamp.to_string()).collect();
    assert_eq!(
        times,
        ["04:59", "05:00", "05:59", "06:00", "06:59", "07:00"]
            .map(|t| format!("2025-11-02T{t}:00Z"))
    );
}

#[test]
fn any_order_comes_out_sorted() {
    let row = |time: &str| {
        format!(
            r#"{{"date":"2025-02-04 {time}:00","open":2,"low":1,"high":3,"close":2,"volume":1}}"#
        )
    };
    for order in [
        ["10:02", "10:00", "10:01"],
        ["10:00", "10:02", "10:01"],
        ["10:00", "10:01", "10:02"],
    ] {
        let rows = read(&format!("[{}]", order.map(row).join(",")));
        assert!(
            rows.bars.is_sorted_unique() && rows.bars.len() == 3,
            "{order:?}"
        );
    }
}

#[test]
fn other_json_and_other_bodies_are_recognised() {
    let request = request("AAPL", "2025-02-03", "2025-02-05");
    let kind = |body: &str| rows(body.as_bytes(), &request, "").map(|rows| rows.bars.len());
    assert_eq!(kind("[]").unwrap(), 0);
    assert_eq!(kind(" [ ] \n").unwrap(), 0);
    for body in [
        "{}",
        "null",
        "3",
        r#""x""#,
        "[1]",
        "[[]]",
        r#"[{"open":1}]"#,
        r#"{"a":[]}"#,
    ] {
        assert!(matches!(kind(body), Err(NotRows::OtherJson)), "{body}");
    }
    for body in [
        "",
        "[",
        "<html>",
        "[{\"date\":",
        "[]x",
        r#"[{"date":"2025-02-04 10:00:00","op"#,
    ] {
        assert!(matches!(kind(body), Err(NotRows::NotJson(_))), "{body}");
    }
    assert!(matches!(
        rows(b"[\xff]", &request, ""),
        Err(NotRows::NotJson(_))
    ));
}

/// Bodies in the usual form are read in one pass, and everything else as JSON, with equal results.
#[test]
fn only_the_usual_form_is_read_in_one_pass() {
    let row =
        r#"{"date":"2025-02-04 15:59:00","open":2,"low":1.5,"high":3,"close":2.25,"volume":0}"#;
    let request = request("AAPL", "2025-01-01", "2025-12-31");
    let plain = |body: &str| {
        let table = Table::new(&request, "", 0).filled_with_plain_rows(body.as_bytes())?;
        let rows = table.finish(request.interval);
        assert_eq!(rows, as_json(body.as_bytes(), &request), "{body}");
        Some(rows.bars.len())
    };
    assert_eq!(plain("[]"), Some(0));
    assert_eq!(plain(&format!("[{row}]")), Some(1));
    for long in [
        "1.0000000000000000001",
        "1.2345678901234567",
        "1.50000000000000000000000",
    ] {
        assert_eq!(plain(&format!("[{}]", row.replace("1.5", long))), Some(1));
    }
    let blanks = row
        .replace(':', " :\t")
        .replace(',', "\r\n,")
        .replace("15 :\t59 :\t", "15:59:");
    assert_eq!(plain(&format!(" [ {blanks} , {row}\n]\n")), Some(2));
    for (from, to) in [
        ("1.5", "01.5"),
        ("1.5", "1."),
        ("1.5", ".5"),
        ("1.5", "1.5e0"),
        ("1.5", "-1.5"),
        ("1.5", "\"1.5\""),
        ("1.5", "1.5.0"),
        ("1.5", "null"),
        ("1.5", "9"),
        ("\"low\"", "\"lows\""),
        ("\"low\"", "\"lo\\u0077\""),
        ("2025-02-04 15:59:00", "2025-02-04 15:59:0\\u0030"),
        ("2025-02-04", "2024-02-04"),
        ("2025-02-04 15", "2025-11-02 01"),
        ("\"volume\":0", "\"volume\":0,\"symbol\":\"AAPL\""),
        ("\"date\"", "\"x\":1,\"date\""),
    ] {
        let other = row.replace(from, to);
        assert_ne!(other, row);
        assert_eq!(plain(&format!("[{row},{other}]")), None, "{other}");
    }
    for body in ["", "[", "[,]", "{}", "[{}]", "[]]", "[] x"] {
        assert_eq!(plain(body), None, "{body}");
    }
    for body in [
        format!("[{row},]"),
        format!("[{row}{row}]"),
        row.to_owned(),
        format!("[{row}"),
    ] {
        assert_eq!(plain(&body), None, "{body}");
    }
}
