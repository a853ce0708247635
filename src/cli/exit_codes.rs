//! The numbers that the program ends with. No other number, and no other place.

/// Done, even where some tickers had no data.
pub const OK: u8 = 0;
/// The run could not go on: store, provider key, database; or a verification failed.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// Some tickers or files failed, the rest is staged; or less is complete than was asked for.
pub const PARTIAL: u8 = 3;
/// Conflicts under `--on-conflict fail`, and no worse.
pub const CONFLICT: u8 = 4;
/// A quota is spent; `--resume` goes on.
pub const QUOTA: u8 = 5;
/// Interrupted; what was committed stays.
pub const INTERRUPTED: u8 = 130;

/// What each number means, for the manual page.
pub const MEANINGS: [(u8, &str); 7] = [
    (OK, "Done, even where some tickers had no data."),
    (
        FAILED,
        "The run could not go on: store, provider key, database; or a verification failed.",
    ),
    (USAGE, "The command line is wrong."),
    (
        PARTIAL,
        "Some tickers or files failed, the rest is staged; or less is complete than was asked for.",
    ),
    (
        CONFLICT,
        "Conflicts under --on-conflict fail, and no worse.",
    ),
    (QUOTA, "A quota is spent; --resume goes on."),
    (INTERRUPTED, "Interrupted; what was committed stays."),
];
