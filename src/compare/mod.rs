//! Use case: the bars of two stores side by side.
//!
//! ```text
//! here  ─> days ─┐
//!                ├─> join (one trading day) ─> counts, factor, shift ─> session ─> series
//! there ─> days ─┘
//! ```
//!
//! Both stores are read as sorted streams, and one trading day of each is joined at a time. Memory holds a
//! few days of bars and a few numbers per session, however long the series are. Series are compared on
//! all cores and reported in order.

mod bars;
mod error;
mod factor;
mod join;
mod run;
mod series;
mod session;
mod shift;

pub use error::Error;
pub use factor::Factor;
pub use join::{Difference, DifferingBar};
pub use run::{Bars, Compared, Comparison, Scope, Settings, Side};
pub use series::{SeriesComparison, Shift};
pub use session::{Counts, SessionComparison};

#[cfg(test)]
mod tests;
