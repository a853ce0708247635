//! How a simulator is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::fault::FaultRule;
use super::quota::Tier;
use super::vendors::SimulatedProvider;
use crate::model::Timestamp;

/// The real time; the simulator adds the time that its tests skip.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which provider is simulated.
    pub provider: SimulatedProvider,
    /// Port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// The market and the random faults follow from it.
    pub seed: u64,
    /// The plan of every key; `None` has no limits.
    pub tier: Option<Tier>,
    /// Delay of every response.
    pub latency: Duration,
    /// The fault plan; the first rule that applies counts.
    pub faults: Vec<FaultRule>,
    /// Bars to serve instead of made-up ones: a CSV file with one-minute bars, in the layout of
    /// `export`.
    pub bars: Option<PathBuf>,
    /// Valid keys; `None` accepts any but `invalid`; `suspended` is a suspended account.
    pub keys: Option<Vec<String>>,
    /// Share of single-day responses that lack their opening bar.
    pub late_opening: f64,
    /// Threads that make responses.
    pub threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            provider: SimulatedProvider::default(),
            port: 0,
            seed: 1,
            tier: None,
            latency: Duration::ZERO,
            faults: Vec::new(),
            bars: None,
            keys: None,
            late_opening: 0.1,
            threads: 2,
        }
    }
}
