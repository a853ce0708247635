//! Reads arbitrary bytes as a bundle, a manifest, and a partition with the right hashes. None may panic, hang or use much memory.
//! (Parquet's reader panics at some bytes; the panic is caught and is a defect.)
#![no_main]

use backfill::bundle::{Manifest, is_guarded, verify_bytes, verify_partition_bytes};

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
        let _ = verify_bytes(bytes);
        let _ = Manifest::from_bytes(bytes);
        let _ = verify_partition_bytes(bytes);
    }
);
