//! Reads numbers of CSV files, exactly ([`decimal`]) and in every form that they are written in.
//!
//! [`decimal`]: crate::model::decimal

use memchr::{memchr, memchr2};

use crate::model::decimal::{DIGITS_MAX, EXACT_MAX};
pub(super) use crate::model::decimal::{digits, peek, scan};

/// Nano prices are in units of 1e-9.
const NANO: f64 = 1e9;
/// The maximum length of a number with grouped thousands or a decimal comma.
const FORM_BYTES_MAX: usize = 64;

/// Reads a whole field, without blanks around it, in any form that [`str::parse`] reads.
pub(super) fn parse(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    match scan(field, 0) {
        Some((value, end)) if end == field.len() => Some(value),
        _ => std::str::from_utf8(field).ok()?.parse().ok(),
    }
}

/// The decimal mark. The other of the two marks groups thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// `1,234.5`
    Point,
    /// `1.234,5`
    Comma,
}

impl Decimal {
    /// The other mark.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }
}

/// Whether a field has a comma or a point, so that each [`Decimal`] may read another number.
pub(super) fn has_mark(field: &[u8]) -> bool {
    memchr2(b',', b'.', field).is_some()
}

/// Reads a whole field whose decimal mark is known. Thousands must be grouped exactly: `1,23` isn't
/// a number with a decimal point. So a number of one form is never read as a number of the other,
/// unless it has one mark with three digits after it (`5,001`).
pub(super) fn parse_form(field: &[u8], decimal: Decimal) -> Option<f64> {
    let field = field.trim_ascii();
    let (mark, group) = match decimal {
        Decimal::Point => (b'.', b','),
        Decimal::Comma => (b',', b'.'),
    };
    if memchr(group, field).is_none() && (decimal == Decimal::Point || !has_mark(field)) {
        return parse(field);
    }
    let mut plain = [0; FORM_BYTES_MAX];
    let mut len = 0;
    let (mut digits, mut grouped, mut decimals, mut odd) = (0, false, false, false);
    let begin = usize::from(matches!(field.first(), Some(b'-' | b'+')));
    for (at, byte) in field.iter().enumerate() {
        let groups_end_here = !grouped || digits == 3;
        let byte = match *byte {
            byte if byte == group => {
                let first = !grouped && (1..=3).contains(&digits) && field[begin] != b'0';
                if decimals || odd || !(first || (grouped && digits == 3)) {
                    return None;
                }
                (grouped, digits) = (true, 0);
                continue;
            }
            byte if byte == mark => {
                if decimals || !groups_end_here {
                    return None;
                }
                decimals = true;
                b'.'
            }
            byte if byte.is_ascii_digit() => {
                digits += usize::from(!decimals);
                byte
            }
            byte if at < begin => byte,
            byte if !grouped => {
                odd = true;
                byte
            }
            _ => return None,
        };
        *plain.get_mut(len)? = byte;
        len += 1;
    }
    if grouped && digits != 3 {
        return None;
    }
    parse(&plain[..len])
}

/// Reads a number with a currency in front or a unit after it: `$243.58`, `12.3K`, `1.2M`.
pub(super) fn parse_decorated(field: &[u8], decimal: Decimal) -> Option<f64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    let body = text.trim_start_matches(['$', '€', '£', '¥']);
    let (number, scale) = match body.as_bytes().last()? {
        b'K' | b'k' => (&body[..body.len() - 1], 1e3),
        b'M' | b'm' => (&body[..body.len() - 1], 1e6),
        b'B' | b'b' => (&body[..body.len() - 1], 1e9),
        _ => (body, 1.0),
    };
    if number.len() == text.len() {
        return None;
    }
    let value = parse_form(number.as_bytes(), decimal)?;
    if scale == 1.0 {
        return Some(value);
    }
    // Digits after the unit's are an artefact of the multiplication.
    Some((value * scale * 1e3).round() / 1e3)
}

/// Reads an integer in units of 1e-9: `167650000000` is 167.65.
pub(super) fn parse_nano(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    let (value, end) = digits(field, 0, 0);
    if end != field.len() || end == 0 || end > DIGITS_MAX || value == i64::MAX as u64 {
        return None;
    }
    if value <= EXACT_MAX {
        return Some(value as f64 / NANO);
    }
    format!("{value}e-9").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::decimal::POWERS;

    fn same(text: &str) {
        let expected: Option<f64> = text.parse().ok();
        assert_eq!(
            parse(text.as_bytes()).map(f64::to_bits),
            expected.map(f64::to_bits),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_read_as_by_the_standard_library() {
        for text in [
            "0",
            "0.0",
            "00012.500",
            "167.65",
            ".5",
            "5.",
            ".",
            "",
            "-1.5",
            "+1.5",
            "1e3",
            "1.5E-3",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.5",
            "18446744073709551616",
            "99999999999999999999999",
            "0.1234567890123456789",
            "0.00000000000000000000001",
            "1.0000000000000000000000000000001",
            "inf",
            "nan",
            "1.2.3",
            "1,5",
            "12a",
            "1_000",
        ] {
            if text != "nan" {
                same(text);
            }
        }
    }

    #[test]
    fn nano_prices_are_exact() {
        assert_eq!(parse_nano(b"167650000000"), Some(167.65));
        assert_eq!(parse_nano(b" 1 "), Some(1e-9));
        assert_eq!(
            parse_nano(b"12345678901234567"),
            Some(12_345_678.901_234_567)
        );
        assert_eq!(parse_nano(b"9223372036854775807"), None);
        assert_eq!(parse_nano(b"1.5"), None);
        assert_eq!(parse_nano(b""), None);
    }

    #[test]
    fn each_form_reads_its_own_numbers_and_refuses_the_others() {
        let read = |text: &str| {
            (
                parse_form(text.as_bytes(), Decimal::Point),
                parse_form(text.as_bytes(), Decimal::Comma),
            )
        };
        for (text, point, comma) in [
            ("17", Some(17.0), Some(17.0)),
            ("1e3", Some(1000.0), Some(1000.0)),
            (" 167.65 ", Some(167.65), None),
            ("5,001.25", Some(5001.25), None),
            ("1,234,567", Some(1_234_567.0), None),
            ("1,234,567.5", Some(1_234_567.5), None),
            ("-1,234.5", Some(-1234.5), None),
            ("0.123", Some(0.123), None),
            ("1234.567", Some(1234.567), None),
            ("1.5e3", Some(1500.0), None),
            ("0,25", None, Some(0.25)),
            ("1.234,5", None, Some(1234.5)),
            ("1.234.567,25", None, Some(1_234_567.25)),
            ("5,25", None, Some(5.25)),
            ("0,123", None, Some(0.123)),
            ("1,5e3", None, Some(1500.0)),
            ("5,001", Some(5001.0), Some(5.001)),
            ("110.123", Some(110.123), Some(110_123.0)),
            ("1,23,456", None, None),
            ("1,2345.6", None, None),
            ("1.234,567.8", None, None),
            ("1,234e5.5", None, None),
            (",001", None, Some(0.001)),
            ("1,,234", None, None),
            ("1e,234", None, None),
            ("1,234,", None, None),
        ] {
            assert_eq!(read(text), (point, comma), "{text}");
        }
        assert_eq!(read(&"1,".repeat(80)), (None, None));
    }

    #[test]
    fn numbers_with_a_currency_or_a_unit() {
        let read = |text: &str| parse_decorated(text.as_bytes(), Decimal::Point);
        for (text, value) in [
            ("$243.58", Some(243.58)),
            ("12.3K", Some(12_300.0)),
            ("1.001M", Some(1_001_000.0)),
            ("2b", Some(2e9)),
            ("$1,243.58", Some(1243.58)),
            ("243.58", None),
            ("K", None),
            ("12.3X", None),
            ("", None),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
    }

    /// A number in the given form, with grouped thousands or without.
    fn written(cents: u64, decimals: usize, grouped: bool, decimal: Decimal) -> String {
        let text = format!("{:.decimals$}", cents as f64 / POWERS[decimals]);
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if grouped && at > 0 && (whole.len() - at) % 3 == 0 {
                out.push(',');
            }
            out.push(digit);
        }
        if !rest.is_empty() {
            out += &format!(".{rest}");
        }
        match decimal {
            Decimal::Point => out,
            Decimal::Comma => out
                .chars()
                .map(|c| match c {
                    ',' => '.',
                    '.' => ',',
                    other => other,
                })
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn plain_decimals_equal_the_standard_library(text in "[0-9]{0,20}(\\.[0-9]{0,24})?") {
            same(&text);
        }

        #[test]
        fn any_double_reads_back_from_its_shortest_form(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                same(&value.to_string());
                same(&format!("{value:e}"));
            }
        }

        #[test]
        fn a_number_is_read_right_by_its_form_and_not_at_all_by_the_other(
            cents in 0..100_000_000_000_u64, decimals in 0..7_usize, grouped in any::<bool>(), comma in any::<bool>(),
        ) {
            let value = cents as f64 / POWERS[decimals];
            let decimal = if comma { Decimal::Comma } else { Decimal::Point };
            let text = written(cents, decimals, grouped, decimal);
            prop_assert_eq!(parse_form(text.as_bytes(), decimal), Some(value), "{}", text);
            let marks: Vec<usize> = text.bytes().enumerate().filter(|(_, b)| !b.is_ascii_digit()).map(|(at, _)| at).collect();
            let ambiguous = match marks[..] {
                [] => true,
                [at] => text.len() - at == 4 && at <= 3 && !text.starts_with('0'),
                _ => false,
            };
            prop_assert_eq!(parse_form(text.as_bytes(), decimal.other()).is_some(), ambiguous, "{}", text);
        }

        #[test]
        fn prices_read_back(cents in 0..100_000_000_u64, decimals in 0..7_usize) {
            let value = cents as f64 / POWERS[decimals];
            same(&format!("{value:.decimals$}"));
        }
    }
}
