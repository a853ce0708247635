//! All bars of a store, and how two such states may differ after a kill.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Run, TestEnv};

/// A ticker on a UTC date: rows, distinct keys, and a digest of all values.
pub type State = BTreeMap<(String, String), (u64, u64, String)>;

/// Which parts of a command may be done while the others aren't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// No bar changes: seal, sync, export.
    Nothing,
    /// Each ticker is as before or as after: one file is one commit.
    Ticker,
    /// Each date is as before or as after: a window has whole dates.
    Date,
    /// Nothing can be read until the command succeeded: a repair.
    Unreadable,
}

const DIGEST: &str = "SELECT ticker, timestamp::DATE AS date, count(*), count(DISTINCT timestamp),
    bit_xor(hash(timestamp, open, high, low, close, volume, vwap, trades, source))::VARCHAR || ':' || sum(close)::VARCHAR
  FROM bars GROUP BY ALL ORDER BY ALL";

/// Reads the state; empty if there is no store yet.
pub fn read(env: &TestEnv, store: &[String]) -> Result<State, String> {
    of_query(&env.run(query(store)))
}

/// The command that reads the state.
pub fn query(store: &[String]) -> Vec<String> {
    let mut args: Vec<String> = store.to_vec();
    args.extend(["query", "--format", "csv", DIGEST].map(str::to_owned));
    args
}

/// The state that [`query`] showed.
pub fn of_query(run: &Run) -> Result<State, String> {
    if run.code != Some(0) {
        if run.stderr.contains("there is no store") {
            return Ok(State::new());
        }
        return Err(format!("the state can't be read:\n{}", run.snapshot()));
    }
    let mut state = State::new();
    for line in run.out().lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [ticker, date, rows, keys, digest] = fields[..] else {
            return Err(format!("the state reads {line:?}"));
        };
        let (rows, keys) = (rows.parse().unwrap(), keys.parse().unwrap());
        if rows != keys {
            return Err(format!("{ticker} {date}: {rows} rows of {keys} keys"));
        }
        state.insert(
            (ticker.to_owned(), date.to_owned()),
            (rows, keys, digest.to_owned()),
        );
    }
    Ok(state)
}

pub fn rows(state: &State) -> u64 {
    state.values().map(|(rows, ..)| rows).sum()
}

/// The part of a state that belongs to one ticker.
fn of<'a>(state: &'a State, ticker: &str) -> Vec<(&'a str, &'a (u64, u64, String))> {
    state
        .iter()
        .filter(|((of, _), _)| of == ticker)
        .map(|((_, date), held)| (date.as_str(), held))
        .collect()
}

/// Checks that `found` is `before`, `after`, or parts of both no smaller than `grain`. `done` names
/// the tickers that the program reported as inserted: they must be as in `after`.
pub fn between(
    before: &State,
    after: &State,
    found: &State,
    grain: Grain,
    done: &BTreeSet<String>,
) -> Result<(), String> {
    let tickers: BTreeSet<&String> = before
        .keys()
        .chain(after.keys())
        .chain(found.keys())
        .map(|(ticker, _)| ticker)
        .collect();
    for ticker in tickers {
        let [old, new, now] = [before, after, found].map(|state| of(state, ticker));
        if done.contains(ticker.as_str()) && now != new {
            return Err(format!(
                "{ticker} was reported as inserted, but is not:\nfound {now:?}\nafter {new:?}"
            ));
        }
        let whole = match grain {
            Grain::Unreadable => true,
            Grain::Nothing => now == old,
            Grain::Ticker => now == old || now == new,
            Grain::Date => {
                let dates: BTreeSet<&str> = old
                    .iter()
                    .chain(&new)
                    .chain(&now)
                    .map(|(date, _)| *date)
                    .collect();
                let at = |held: &[(&str, &(u64, u64, String))], date: &str| {
                    held.iter()
                        .find(|(of, _)| *of == date)
                        .map(|(_, held)| (*held).clone())
                };
                dates.iter().all(|date| {
                    let found = at(&now, date);
                    found == at(&old, date) || found == at(&new, date)
                })
            }
        };
        if !whole {
            return Err(format!(
                "{ticker} is neither as before nor as after ({grain:?}):\nfound  {now:?}\nbefore {old:?}\nafter  {new:?}"
            ));
        }
    }
    Ok(())
}
