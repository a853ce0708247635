//! What a run reports: events while it works, and one report at its end.
//!
//! ```text
//! use case ── Event ──> Observer (progress bars, log lines)
//!     └────── RunReport ──> status, exit code, Summary line, summary JSON
//! ```
//!
//! Log lines, progress bar and JSON are made from the same values, so they can't disagree. **This
//! module is pure: it reads no clock and prints nothing.**

mod counts;
mod event;
mod exit_status;
mod lines;
mod metrics;
mod read_as;
mod run;
mod stop;
mod summary;

pub use counts::Counts;
pub use event::{Event, Observer, Silent};
pub use exit_status::ExitStatus;
pub use lines::{Wording, clock};
pub use metrics::Metrics;
pub use read_as::{FileForm, ReadAs};
pub use run::{Fatal, RunReport, UnitReport, UnitStatus};
pub use stop::Stop;
pub use summary::{BundleInfo, RunInfo, RunKind, SCHEMA, Summary};
