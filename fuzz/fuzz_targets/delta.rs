//! Reads arbitrary bytes as a commit, a checkpoint and a data file of a Delta table. None may panic, hang or use much memory.
//! (Parquet's reader panics at some bytes; the panic is caught.)
#![no_main]

use backfill::bundle::is_guarded;
use backfill::push::read_bytes;

libfuzzer_sys::fuzz_target!(
    init: {
        let find = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |fault| {
            if !is_guarded() {
                find(fault);
            }
        }));
    },
    |bytes: &[u8]| {
        let _ = read_bytes(bytes);
    }
);
