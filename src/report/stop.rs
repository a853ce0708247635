//! The switch that stops a run.

use tokio::sync::watch;

/// A switch that Ctrl-C sets once. A run checks it wherever it can stop cleanly. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// A switch that isn't set.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Sets the switch: nothing new starts, and work in flight finishes.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether the switch is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the switch is set.
    pub async fn wait(&self) {
        // `self` holds the sender, so the channel can't close while this waits.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_switch() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!other.is_set());
        stop.set();
        assert!(other.is_set());
    }
}
