//! Use case: the page that shows a store in a browser.
//!
//! ```text
//! Reader ─> documents (JSON) ─┬─> report: one HTML file with the documents inside
//!                             └─> serve: the same HTML, and the documents at /api/
//! ```
//!
//! Page and documents are the same in both. A document has the fields of `--format json` of the
//! command with its name. The files of the page are in `page/` at the top of the repository, and
//! compiled in. No document has a key, a password or an absolute path.

mod background;
mod bars;
mod comparison;
mod conflicts;
mod coverage;
mod data;
mod error;
mod findings;
mod html;
mod report;
mod resolution;
mod runs;
#[cfg(test)]
mod tests;

pub use bars::BarsQuery;
pub use comparison::RunningComparison;
pub use conflicts::CONFLICT_ROWS_MAX;
pub use coverage::Rows;
pub use data::{Filter, KnownSessions, PageData};
pub use error::Error;
pub use findings::RunningAudit;
pub use html::{Asset, asset};
pub use report::{ReportOptions, Reported, report};
pub use resolution::Resolution;
pub use runs::without_folders;
