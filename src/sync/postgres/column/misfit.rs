//! Values that a column can't store.

/// Why a column can't store a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::postgres) enum Misfit {
    /// Too large, or so small that it would become zero.
    Overflow,
    /// A fraction, and the column has integers.
    Fraction,
}
