//! The bundle reader on bytes: as a bundle, as a manifest, and as a partition whose hashes would all be right. None may panic,
//! hang or take much memory.
#![no_main]

use backfill::bundle::{Manifest, verify_bytes, verify_partition_bytes};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = verify_bytes(bytes);
    let _ = Manifest::from_bytes(bytes);
    let _ = verify_partition_bytes(bytes);
});
