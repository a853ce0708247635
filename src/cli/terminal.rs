//! Standard error: lines, and progress bars that lines don't break.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar};

/// Standard error, with progress bars if it is a terminal and they are wanted.
pub(super) struct Terminal {
    bars: Option<MultiProgress>,
}

impl Terminal {
    pub(super) fn new(bars_wanted: bool) -> Self {
        let bars = bars_wanted && io::stderr().is_terminal();
        Self {
            bars: bars.then(MultiProgress::new),
        }
    }

    /// Prints one line. An error is ignored: standard error may be closed.
    pub(super) fn line(&self, text: &str) {
        let print = || {
            let mut line = String::with_capacity(text.len() + 1);
            line.push_str(text);
            line.push('\n');
            let _ = io::stderr().lock().write_all(line.as_bytes());
        };
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Shows a bar, if bars are shown.
    pub(super) fn add(&self, bar: ProgressBar) -> Option<ProgressBar> {
        self.bars.as_ref().map(|bars| bars.add(bar))
    }

    /// Removes all bars. Call it before the program ends at once.
    pub(super) fn clear(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }
}
