//! Where a bar came from.

use std::fmt;
use std::sync::Arc;

/// The name of a bar's source as stored with it: `fmp`, `demo`, `csv`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(Arc<str>);

impl Source {
    /// The source named `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Bars read from a CSV dump.
    #[must_use]
    pub fn csv() -> Self {
        Self::new("csv")
    }

    /// Bars of the built-in simulator.
    #[must_use]
    pub fn demo() -> Self {
        Self::new("demo")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether these are bars that no market ever saw.
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
