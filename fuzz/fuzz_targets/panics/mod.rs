//! Panics that the program catches. The Parquet and Arrow readers report some invalid bytes with one.

use backfill::bundle::is_guarded;

/// Lets libFuzzer see only panics that the program doesn't catch. libFuzzer's own hook ends the process at each of them.
pub fn ignore_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_guarded() {
            hook(panic);
        }
    }));
}
