//! Why a fill can't be planned.

/// Why a fill can't be planned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The calendar doesn't cover a requested date.
    #[error(transparent)]
    Calendar(#[from] crate::calendar::Error),
    /// The exchange of a stored series has no calendar.
    #[error("there is no calendar for {0}")]
    NoCalendar(String),
}
