//! The bundle reader on bytes: as a bundle, as a manifest, and as a partition whose hashes would all be right. None may panic,
//! hang or take much memory. (Parquet's own reader panics at some bytes; that is caught, and is an answer.)
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
