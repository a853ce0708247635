//! The source of a bar.

use std::fmt;
use std::sync::Arc;

/// The name of a bar's source, stored with the bar: `fmp`, `demo`, `csv`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(Arc<str>);

impl Source {
    /// The source named `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The source of bars from CSV files.
    #[must_use]
    pub fn csv() -> Self {
        Self::new("csv")
    }

    /// The source of bars from the built-in simulator.
    #[must_use]
    pub fn demo() -> Self {
        Self::new("demo")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the bars are from the simulator.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        &*self.0 == "demo"
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
