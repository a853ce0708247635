//! Reads decimal numbers exactly, out of a longer text.
//!
//! A double represents every integer up to 2^53 exactly, and every power of ten up to 10^22. The
//! quotient of two exact doubles is rounded once, so it is correct: `167.65` is `16765 / 100`.
//! Other numbers are left to [`str::parse`], which reads the same bits more slowly.

/// The powers of ten that a double represents exactly.
pub(crate) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Up to here a double represents every integer.
pub(crate) const EXACT_MAX: u64 = 1 << 53;
/// Numbers with this many digits fit into 64 bits.
pub(crate) const DIGITS_MAX: usize = 19;

/// The byte at `at`; a line feed after the end.
#[inline(always)]
pub(crate) fn peek(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b'\n')
}

/// Reads digits with at most one point, starting at `at`: the number, and where it ends. `None` for
/// other numbers, and if one division isn't exact.
#[inline(always)]
pub(crate) fn scan(text: &[u8], at: usize) -> Option<(f64, usize)> {
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
    // There are at most 19 decimals.
    Some((mantissa as f64 / POWERS[decimals], end))
}

/// Reads digits starting at `at`, appended to `value`: the integer, and where the digits end. Wraps
/// after [`DIGITS_MAX`] digits.
#[inline(always)]
pub(crate) fn digits(text: &[u8], at: usize, value: u64) -> (u64, usize) {
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
