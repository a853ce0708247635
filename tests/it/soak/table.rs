//! The table that the push step fills.

use crate::push::{self, Bars};
use crate::support::TestEnv;

/// Checks that a table has each bar of the store once. It can have more: a push leaves a partition that the store
/// doesn't have any more.
pub fn has_all_bars(env: &TestEnv, store: &[String], table: &str) -> Result<(), String> {
    let mut args = store.to_vec();
    let sql = "SELECT ticker, epoch_us(timestamp), close FROM bars";
    args.extend(["query", "--format", "csv", sql].map(str::to_owned));
    let stored = env.run(&args).ok();
    // A key that is there twice fails in here.
    let found = push::bars(env, table).into_iter();
    let found: Bars = found
        .map(|((ticker, at), close)| ((ticker.replace("%2F", "/"), at), close))
        .collect();
    for line in stored.out().lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [ticker, at, close] = fields[..] else {
            return Err(format!("the bar reads {line:?}"));
        };
        let key = (ticker.to_owned(), at.parse().unwrap());
        let in_table = found.get(&key);
        if in_table != Some(&close.parse().unwrap()) {
            return Err(format!(
                "the store has {line}, and the table has {in_table:?}"
            ));
        }
    }
    Ok(())
}
