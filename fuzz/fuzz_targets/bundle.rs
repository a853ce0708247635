//! Reads arbitrary bytes as a bundle, a manifest, and a partition with the right hashes. None may panic, hang or use much memory.
//! (Parquet's reader panics at some bytes; the panic is caught.)
#![no_main]

mod panics;

use backfill::bundle::{Manifest, verify_bytes, verify_partition_bytes};

libfuzzer_sys::fuzz_target!(
    init: panics::ignore_caught(),
    |bytes: &[u8]| {
        let _ = verify_bytes(bytes);
        let _ = Manifest::from_bytes(bytes);
        let _ = verify_partition_bytes(bytes);
    }
);
