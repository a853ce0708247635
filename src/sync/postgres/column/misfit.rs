//! Why a column can't hold a value.

/// Why a column can't hold a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::postgres) enum Misfit {
    /// Too large, or so small that it would become zero.
    Overflow,
    /// A fraction, and the column takes integers.
    Fraction,
}
