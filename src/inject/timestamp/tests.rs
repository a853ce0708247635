//! Forms of times.

use proptest::prelude::*;

use super::*;
use crate::model::Timestamp;

fn new_york() -> Zone {
    Zone::of(Tz::America__New_York)
}

fn read(text: &str) -> Option<String> {
    read_in(text, DateOrder::Dmy)
}

fn read_in(text: &str, order: DateOrder) -> Option<String> {
    let mut reader = TimestampReader::new(new_york(), Some(order));
    let once = reader.timestamp(text.as_bytes(), 0);
    assert_eq!(
        reader.timestamp(text.as_bytes(), 0),
        once,
        "known date: {text}"
    );
    let (local, end) = once?;
    (end == text.len()).then(|| match local {
        Local::Single(at) => Timestamp::from_micros(at).to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn every_form_of_an_instant() {
    let expected = Some("2025-01-02T14:30:00Z".to_owned());
    for text in [
        "2025-01-02 09:30:00",
        "2025-01-02 09:30",
        "2025-01-02T09:30:00.000",
        "2025/01/02 09:30:00",
        "2025.01.02 09:30",
        "20250102 093000",
        "20250102 0930",
        "20250102093000",
        "02/01/2025 09:30",
        "2/1/2025 9:30",
        "02.01.2025 09:30:00.000",
        "02-01-2025 09:30",
        "2025-01-02T14:30:00Z",
        "2025-01-02T14:30:00.000000000Z",
        "2025-01-02 14:30:00+00:00",
        "2025-01-02 09:30:00-05:00",
        "2025-01-02 09:30:00 -0500",
        "2025-01-02T15:30+01",
        "2025-01-02 14:30:00 UTC",
        "2025-01-02  09:30:00",
        "2025-01-02 09:30:00 AM",
        "2025-01-02 9:30am",
        "02/01/25 9:30",
        "02-Jan-2025 09:30",
        "2-Jan-25 09:30",
        "02 January 2025 09:30",
        "Jan 2, 2025 09:30",
        "January 02 2025 9:30 AM",
        "20250102 09:30:00 US/Eastern",
        "20250102 09:30:00 EST",
        "2025-01-02 09:30:00 America/New_York",
        "2025-01-02 15:30:00 GMT+0100",
        "20250102 15:30:00 Europe/Berlin",
        "202501020930",
        "45659.395833333336",
        "45659.3958333",
        "1735828200",
        "1735828200.0",
        "1735828200000",
        "1735828200000000",
        "1735828200000000000",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for text in ["01/02/2025 09:30", "1-2-2025 9:30", "01.02.2025 09:30:00"] {
        assert_eq!(read_in(text, DateOrder::Mdy), expected, "{text}");
        assert_eq!(read_in(text, DateOrder::Ymd), None, "{text}");
    }
    for text in ["2025-01-02 09-AM", "2025-01-02 9 AM", "02/01/2025 9am"] {
        let expected = Some("2025-01-02T14:00:00Z".to_owned());
        assert_eq!(read(text), expected, "{text}");
    }
    assert_eq!(read_in("13/01/2025", DateOrder::Mdy), None);
    assert_eq!(read("01/13/2025"), None);
    assert_eq!(read("20250102").as_deref(), Some("2025-01-02T05:00:00Z"));
    assert_eq!(
        read("2025-07-02 09:30").as_deref(),
        Some("2025-07-02T13:30:00Z")
    );
}

#[test]
fn other_texts_are_not_read() {
    for text in [
        "",
        "x",
        "2025-13-01 09:30",
        "2025-02-30",
        "2025-01-02 24:00",
        "2025-01-02 09:60",
        "2025-01-02 9",
        "2025-01-02 09:30:00 XST",
        "2025-01-02 13:30 PM",
        "25-01-02 09:30",
        "12345",
        "02-01-25 09:30",
        "02-Jam-2025 09:30",
        "99999999999999999999",
        "2025-01/02",
        "2025-01-02 09:30+25:00",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn parts_of_a_microsecond_are_not_a_whole_minute() {
    for text in [
        "2025-01-02T14:30:00.000000001Z",
        "1735828200000000001",
        "1735828200.5",
    ] {
        let (local, _) = TimestampReader::new(new_york(), None)
            .timestamp(text.as_bytes(), 0)
            .unwrap();
        assert!(
            !Timestamp::from_micros(local.earliest()).is_whole_minute(),
            "{text}"
        );
    }
}

#[test]
fn clock_changes_are_reported() {
    assert!(read("2025-11-02 01:30").unwrap().starts_with("Repeated"));
    assert!(read("2025-03-09 02:30").unwrap().starts_with("Skipped"));
    assert_eq!(
        read("2025-03-09 03:30").as_deref(),
        Some("2025-03-09T07:30:00Z")
    );
    assert_eq!(
        read("2025-11-02 00:30").as_deref(),
        Some("2025-11-02T04:30:00Z")
    );
}

proptest! {
    #[test]
    fn one_reader_reads_any_order_of_dates_as_a_fresh_one(
        minutes in prop::collection::vec(0..12_000_000_i64, 1..60), day_first in any::<bool>(),
    ) {
        let (order, short) = if day_first { (DateOrder::Dmy, "%d/%m/%Y %H:%M") } else { (DateOrder::Mdy, "%m-%d-%Y %H:%M") };
        let mut reader = TimestampReader::new(new_york(), Some(order));
        for minute in minutes {
            let naive = Timestamp::from_micros(1_100_000_000_000_000 / (60 * SECOND) * (60 * SECOND) + minute * 60 * SECOND).to_utc().naive_utc();
            for form in ["%Y-%m-%d %H:%M:%S", short, "%Y%m%d %H%M%S"] {
                let text = naive.format(form).to_string();
                let fresh = TimestampReader::new(new_york(), Some(order)).timestamp(text.as_bytes(), 0);
                prop_assert!(fresh.is_some_and(|(_, end)| end == text.len()));
                prop_assert_eq!(reader.timestamp(text.as_bytes(), 0), fresh, "{}", text);
            }
        }
    }
}
