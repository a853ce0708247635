//! Tickers on the command line, which can contain spaces and commas.

use std::collections::BTreeSet;

use super::error::CliError;
use crate::model::Ticker;
use crate::store::SeriesRow;

/// The tickers that a command works on.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Range")]
pub struct TickerArgs {
    /// Tickers, separated by spaces or commas [default: all]
    ///
    /// Quote a ticker that contains a space.
    ///
    /// Example: --tickers AAPL MSFT
    #[arg(long, value_name = "TICKER", num_args = 1..)]
    pub tickers: Vec<String>,
}

impl TickerArgs {
    /// The tickers typed, refused if one isn't valid. The store isn't needed yet.
    pub fn resolve(&self) -> Result<TypedTickers, CliError> {
        TypedTickers::new(&self.tickers)
    }
}

/// Splits a list of tickers at commas and blanks.
pub fn split_tickers(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
}

/// Tickers as they were typed. An argument that is a stored ticker as a whole is that ticker, so
/// that a ticker with a space or a comma can be named. Any other argument is a list.
#[derive(Clone, Debug, Default)]
pub struct TypedTickers(Vec<TypedTicker>);

#[derive(Clone, Debug)]
struct TypedTicker {
    /// `None` if the argument as a whole can't be a ticker.
    whole: Option<Ticker>,
    /// Split at commas and blanks.
    listed: Vec<Ticker>,
    /// Split at commas only.
    between_commas: Vec<Ticker>,
}

impl TypedTickers {
    /// Parses the arguments of `--tickers`.
    pub fn new(typed: &[String]) -> Result<Self, CliError> {
        let mut arguments = Vec::new();
        for typed in typed {
            let parts = typed.split(',').filter(|part| !part.trim().is_empty());
            arguments.push(TypedTicker {
                whole: typed.parse().ok(),
                listed: split_tickers(typed)
                    .map(str::parse)
                    .collect::<Result<_, _>>()?,
                between_commas: parts.map(str::parse).collect::<Result<_, _>>()?,
            });
        }
        if !arguments.is_empty() && arguments.iter().all(|typed| typed.listed.is_empty()) {
            return Err(CliError::usage("--tickers is empty"));
        }
        Ok(Self(arguments))
    }

    /// The tickers meant, each once, in the order typed; empty if none was typed. `staged` is
    /// called only if an argument has two meanings.
    pub fn among(
        &self,
        staged: impl FnOnce() -> Result<Vec<SeriesRow>, CliError>,
    ) -> Result<Vec<Ticker>, CliError> {
        let is_list = |typed: &TypedTicker| typed.listed != typed.whole.as_slice();
        let staged: BTreeSet<Ticker> = match self.0.iter().any(is_list) {
            true => staged()?.into_iter().map(|row| row.key.ticker).collect(),
            false => BTreeSet::new(),
        };
        Ok(self.each(|typed| match &typed.whole {
            Some(whole) if staged.contains(whole) => std::slice::from_ref(whole),
            _ => &typed.listed,
        }))
    }

    /// The tickers of a command whose mistakes can't be undone: only commas separate the tickers of
    /// one argument. So the command that deletes `A B`, repeated, doesn't delete `A` and `B`.
    pub fn among_exactly(&self, is_staged: impl Fn(&Ticker) -> bool) -> Vec<Ticker> {
        self.each(|typed| match &typed.whole {
            Some(whole) if is_staged(whole) => std::slice::from_ref(whole),
            _ => &typed.between_commas,
        })
    }

    /// Every ticker that an argument can mean, for bars that aren't stored yet.
    #[must_use]
    pub fn either(&self) -> Vec<Ticker> {
        let mut tickers = self.each(|typed| &typed.listed);
        let whole = self.0.iter().filter_map(|typed| typed.whole.clone());
        tickers.extend(whole);
        tickers
    }

    /// Whether none was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn each<'a>(&'a self, meant: impl Fn(&'a TypedTicker) -> &'a [Ticker]) -> Vec<Ticker> {
        let mut tickers: Vec<Ticker> = Vec::new();
        for ticker in self.0.iter().flat_map(meant) {
            if !tickers.contains(ticker) {
                tickers.push(ticker.clone());
            }
        }
        tickers
    }
}
