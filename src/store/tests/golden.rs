//! File formats byte by byte: the hash of rows, a partition's file, a segment's file.
//!
//! These values change on purpose only. The row hash is part of the format: a store whose partitions
//! were hashed otherwise fails `verify`. The checksums of whole files also depend on the versions of
//! the crates parquet and zstd, and on this program's version, which is in the footer.

use uuid::Uuid;

use super::*;
use crate::store::durable;
use crate::store::lake::hash::RowHasher;
use crate::store::lake::write::{Stamp, partition_bytes};
use crate::store::rows::StagedRows;
use crate::store::segment::{self, PartRows};

/// Five hundred bars of 2025 from two sources and two commits, some with optional values.
fn rows() -> StagedRows {
    let bars = (0..500)
        .map(|n: i64| {
            let close = 100.0 + (n % 37) as f64 / 100.0;
            Bar {
                vwap: (n % 3 != 0).then_some(close + 0.001),
                trades: (n % 5 != 0).then_some(n % 11),
                ..Bar::new(
                    Timestamp::from_micros((START + 60 + n) * 60_000_000),
                    [close - 0.01, close + 0.05, close - 0.07, close],
                    (n * 7919 % 1000) as f64 + 0.5,
                )
            }
        })
        .collect();
    let mut rows = StagedRows::of_commit(bars, &Source::csv(), 3);
    rows.sources.push(Source::new("fmp"));
    rows.source[100..200].fill(1);
    rows.commit_seq[150..300].fill(7);
    rows
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes))
}

#[test]
fn the_row_hash_does_not_change() {
    let mut hasher = RowHasher::default();
    hasher.update(&rows().into_batch()).unwrap();
    assert_eq!(hasher.finish(), "d85b7c271c6eda0dffc500d910dfc8d0");
}

#[test]
fn the_bytes_of_a_partition_do_not_change() {
    let stamp = Stamp {
        store_id: Uuid::from_u128(1),
        commit_seq: 7,
        commit_id: Uuid::from_u128(2),
        provenance: &provenance(),
    };
    let key = PartitionKey {
        series: key("AAPL"),
        year: 2025,
    };
    let bytes = partition_bytes(&key, rows(), &stamp).unwrap();
    assert_eq!(checksum(&bytes), "92d50b820659059e75b122591e67b1cc");
}

#[test]
fn the_bytes_of_a_segment_do_not_change() {
    let dir = scratch();
    let path = dir.path().join("segment.parquet");
    let (bars, half) = (rows().bars, 250);
    let parts = [(1, 0..half), (2, half..bars.len())].map(|(part_id, range)| PartRows {
        part_id,
        bars: &bars,
        range,
    });
    segment::write(&path, &parts).unwrap();
    let digest = durable::checksum(&path).unwrap().unwrap();
    assert_eq!(digest.checksum, "a0d76f8316dd34642eb4ef09abcb1dd7");
}
