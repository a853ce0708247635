//! Decimal numbers as dumps write them, read to the last bit.
//!
//! A double is exact for every integer up to 2^53, and so is every power of ten up to 10^22. The quotient of two exact
//! doubles is rounded once, hence correctly: `167.65` is `16765 / 100`. That covers what price files hold; everything
//! else goes to [`str::parse`], which is what the fast way has to equal.

/// Every power of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Largest integer up to which every integer is a double.
const EXACT_MAX: u64 = 1 << 53;
/// Digits that cannot overflow 64 bits.
const DIGITS_MAX: usize = 19;
/// Databento's price unit: integers of 1e-9.
const NANO: f64 = 1e9;

/// The byte at `at`; behind the end, a line feed.
#[inline(always)]
pub(super) fn peek(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b'\n')
}

/// Reads digits with at most one point, beginning at `at`: the number, and where it ends.
///
/// `None` for anything that is not as plain as that, or not exact by one division.
#[inline(always)]
pub(super) fn scan(text: &[u8], at: usize) -> Option<(f64, usize)> {
    let (whole, mut end) = digits(text, at, 0);
    let mut mantissa = whole;
    let mut count = end - at;
    let mut decimals = 0;
    if peek(text, end) == b'.' {
        let (all, after) = digits(text, end + 1, whole);
        decimals = after - end - 1;
        count += decimals;
        mantissa = all;
        end = after;
    }
    if count == 0 || count > DIGITS_MAX || mantissa > EXACT_MAX {
        return None;
    }
    // At most 19 decimals: inside the table.
    Some((mantissa as f64 / POWERS[decimals], end))
}

/// Reads digits beginning at `at`, appended to `value`: the integer, and where the digits end. Wraps beyond
/// [`DIGITS_MAX`] digits.
#[inline(always)]
pub(super) fn digits(text: &[u8], at: usize, value: u64) -> (u64, usize) {
    let mut value = value;
    let mut end = at;
    loop {
        let digit = peek(text, end).wrapping_sub(b'0');
        if digit > 9 {
            return (value, end);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
}

/// Reads a whole field, blanks around it allowed, in any form that [`str::parse`] reads.
pub(super) fn parse(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    match scan(field, 0) {
        Some((value, end)) if end == field.len() => Some(value),
        _ => std::str::from_utf8(field).ok()?.parse().ok(),
    }
}

/// Reads a number with a decimal comma: `1.234,5`.
pub(super) fn parse_comma(field: &[u8]) -> Option<f64> {
    let plain: Vec<u8> = field
        .iter()
        .filter(|byte| **byte != b'.')
        .map(|byte| if *byte == b',' { b'.' } else { *byte })
        .collect();
    parse(&plain)
}

/// Reads an integer number of 1e-9: `167650000000` is 167.65.
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

    fn same(text: &str) {
        let expected: Option<f64> = text.parse().ok();
        assert_eq!(
            parse(text.as_bytes()).map(f64::to_bits),
            expected.map(f64::to_bits),
            "{text}"
        );
    }

    #[test]
    fn odd_numbers_are_what_the_standard_library_reads() {
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
    fn decimal_commas() {
        assert_eq!(parse_comma(b"1.234,5"), Some(1234.5));
        assert_eq!(parse_comma(b"0,25"), Some(0.25));
        assert_eq!(parse_comma(b"17"), Some(17.0));
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
        fn prices_read_back(cents in 0..100_000_000_u64, decimals in 0..7_usize) {
            let value = cents as f64 / POWERS[decimals];
            same(&format!("{value:.decimals$}"));
        }
    }
}
