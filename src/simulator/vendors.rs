//! The providers that can be simulated, by name.

use std::fmt;
use std::str::FromStr;

use super::alpaca::Alpaca;
use super::binance::Binance;
use super::fmp::Fmp;
use super::massive::Massive;
#[cfg(feature = "crash-points")]
use super::toy::Toy;
use super::vendor::Vendor;

/// A provider that can be simulated.
#[derive(Clone, Copy)]
pub struct SimulatedProvider(pub(super) &'static dyn Vendor);

/// Not a provider that can be simulated.
#[derive(Debug, thiserror::Error)]
#[error("{typed:?} can't be simulated; use {}", names().collect::<Vec<_>>().join(" or "))]
pub struct UnknownProvider {
    typed: String,
}

/// All of them, the default first.
const ALL: &[SimulatedProvider] = &[
    SimulatedProvider(&Fmp),
    SimulatedProvider(&Alpaca),
    SimulatedProvider(&Massive),
    SimulatedProvider(&Binance),
    #[cfg(feature = "crash-points")]
    SimulatedProvider(&Toy),
];

fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|provider| provider.0.name())
}

impl Default for SimulatedProvider {
    fn default() -> Self {
        ALL[0]
    }
}

impl FromStr for SimulatedProvider {
    type Err = UnknownProvider;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let typed = typed.trim();
        (ALL.iter()
            .find(|provider| provider.0.name() == typed)
            .copied())
        .ok_or_else(|| UnknownProvider {
            typed: typed.to_owned(),
        })
    }
}

impl fmt::Display for SimulatedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl fmt::Debug for SimulatedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
