//! The zone that the name of a time column shows: `Time (EET)`, `timestamp_utc`, `GMT+0100`.

use chrono_tz::Tz;

/// The zone in a header's name.
pub(super) fn zone_in_header(name: &str) -> Option<Tz> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '-' | ':');
    let by_blank = name.split(|c: char| !(is_part(c) || c == '_'));
    by_blank
        .chain(name.split(|c: char| !is_part(c)))
        .filter(|word| !word.is_empty())
        .find_map(zone_of_word)
}

/// The zone that a word means: `UTC`, `EET`, `US/Eastern`, `GMT+0100`, `UTC-5`.
///
/// `EST` is Eastern time of the whole year here, because data vendors mean that by it.
pub(super) fn zone_of_word(word: &str) -> Option<Tz> {
    let upper = word.to_ascii_uppercase();
    let zone = match upper.as_str() {
        "UTC" | "GMT" | "Z" => Tz::UTC,
        "EET" | "EEST" => Tz::EET,
        "CET" | "CEST" => Tz::CET,
        "EST" | "EDT" | "ET" => Tz::America__New_York,
        "CST" | "CDT" | "CT" => Tz::America__Chicago,
        "PST" | "PDT" | "PT" => Tz::America__Los_Angeles,
        "JST" => Tz::Asia__Tokyo,
        "HKT" => Tz::Asia__Hong_Kong,
        "IST" => Tz::Asia__Kolkata,
        _ => {
            if let Some(offset) = upper.strip_prefix("GMT").or(upper.strip_prefix("UTC")) {
                return whole_hours(offset);
            }
            return word.contains('/').then(|| word.parse().ok()).flatten();
        }
    };
    Some(zone)
}

/// The zone of `+0100`, `+01:00` or `-5`.
fn whole_hours(offset: &str) -> Option<Tz> {
    let (sign, digits) = match offset.split_at_checked(1)? {
        // The tz database counts to the west.
        ("+", digits) => ('-', digits),
        ("-", digits) => ('+', digits),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let hours = match digits.len() {
        1 | 2 => digits.parse::<u8>().ok()?,
        4 if digits.ends_with("00") => digits[..2].parse().ok()?,
        _ => return None,
    };
    if hours == 0 {
        return Some(Tz::UTC);
    }
    format!("Etc/GMT{sign}{hours}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_in_headers() {
        for (name, zone) in [
            ("Time (EET)", Some("EET")),
            ("timestamp_utc", Some("UTC")),
            ("Datetime (UTC)", Some("UTC")),
            ("Local time GMT+0100", Some("Etc/GMT-1")),
            ("time UTC-5", Some("Etc/GMT+5")),
            ("Gmt time", Some("UTC")),
            ("time[US/Eastern]", Some("US/Eastern")),
            ("ts_America/New_York", None),
            ("Date (America/New_York)", Some("America/New_York")),
            ("time", None),
            ("Datetime", None),
            ("target", None),
        ] {
            assert_eq!(zone_in_header(name).map(Tz::name), zone, "{name}");
        }
    }
}
