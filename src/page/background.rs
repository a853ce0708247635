//! Work of a server in another thread, whose results so far can be read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::Error;
use crate::report::Stop;

/// Work that another thread does. It is stopped when this is dropped.
pub(super) struct Background<T> {
    state: Results<T>,
    stop: Stop,
}

/// What the work has found so far.
pub(super) struct Results<T>(Arc<Mutex<State<T>>>);

#[derive(Default)]
struct State<T> {
    found: T,
    is_done: bool,
    error: Option<String>,
}

impl<T> Results<T> {
    fn known(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to what was found.
    pub fn add(&self, add: impl FnOnce(&mut T)) {
        add(&mut self.known().found);
    }
}

impl<T: Default + Send + 'static> Background<T> {
    /// Starts `work`, which adds what it finds to the results.
    pub fn start<F>(work: F) -> Self
    where
        F: FnOnce(&Stop, &Results<T>) -> Result<(), Error> + Send + 'static,
    {
        let state = Arc::new(Mutex::new(State::default()));
        let (results, stop) = (Results(Arc::clone(&state)), Stop::new());
        let running = Self {
            state: Results(state),
            stop: stop.clone(),
        };
        std::thread::spawn(move || {
            let result = work(&stop, &results);
            let mut state = results.known();
            state.is_done = true;
            state.error = result.err().map(|error| error.to_string());
        });
        running
    }

    /// Whether all was found, or an error ended the work.
    pub fn is_done(&self) -> bool {
        self.state.known().is_done
    }

    /// The document of what was found so far. `done` is whether this is all, and `error` what ended
    /// the work.
    pub fn document(&self, of: impl FnOnce(&T) -> Value) -> Value {
        let state = self.state.known();
        let mut document = of(&state.found);
        document["done"] = json!(state.is_done);
        let error = state.error.as_deref().map(super::without_folders);
        document["error"] = json!(error);
        document
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.stop.set();
    }
}
