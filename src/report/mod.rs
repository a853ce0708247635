//! What a run tells: events while it works, one report at its end.
//!
//! ```text
//! use case ── Event ──> Observer (progress bars, log lines)
//!     └────── RunReport ──> status, exit code, Summary line, summary JSON
//! ```
//!
//! The lines, the bars and the JSON are readers of the same values, so they cannot disagree. **This module is pure: it
//! reads no clock and prints nothing**; whoever runs the program passes times in and puts lines out.

mod counts;
mod event;
mod exit_status;
mod lines;
mod run;
mod stop;
mod summary;

pub use counts::Counts;
pub use event::{Event, Observer, Silent};
pub use exit_status::ExitStatus;
pub use lines::{Wording, clock};
pub use run::{Fatal, RunReport, UnitReport, UnitStatus};
pub use stop::Stop;
pub use summary::{BundleInfo, RunInfo, RunKind, SCHEMA, Summary};
