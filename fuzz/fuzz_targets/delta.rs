//! Reads arbitrary bytes as a commit, a checkpoint and a data file of a Delta table. None may panic, hang or use much memory.
//! (Parquet's reader panics at some bytes; the panic is caught.)
#![no_main]

mod panics;

use backfill::push::read_bytes;

libfuzzer_sys::fuzz_target!(
    init: panics::ignore_caught(),
    |bytes: &[u8]| {
        let _ = read_bytes(bytes);
    }
);
