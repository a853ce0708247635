//! Parquet encodings, chosen column by column from the values themselves.
//!
//! Only encodings that every reader knows. Measured on real one-minute bars, in bytes per value:
//! prices need 1.6 to 1.9 as plain doubles, because zstd finds their repeats, and 1.5 to 1.9 with a
//! small dictionary. Volumes of stocks need 2.5 to 3.0 as plain doubles, and less with a dictionary
//! only if there are few different values. Timestamps need almost nothing as deltas.
//!
//! Byte-stream split saves another 0.3 to 0.5 bytes of such a volume, 2 to 6 % of a file, but
//! costs 3 bytes if volumes have a few decimals, and Apache Spark 3.5 refuses the file.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;

use crate::model::columns::{COLUMNS, Kind, Packing};

/// Bytes of a plain price after zstd; a dictionary must need less.
const PLAIN_PRICE_BYTES: f64 = 1.6;
/// Bytes of a plain volume after zstd.
const PLAIN_VOLUME_BYTES: f64 = 2.5;
/// Bytes of a dictionary entry after zstd.
const ENTRY_BYTES: f64 = 2.5;
/// A dictionary has up to two to this number of entries.
const DISTINCT_BITS_MAX: u32 = 14;
/// Large enough that a column never changes from its dictionary to plain halfway.
const DICTIONARY_PAGE_BYTES: usize = (8 << DISTINCT_BITS_MAX) + 1;

/// How one column of doubles is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Dictionary, zstd 1.
    Dictionary,
    /// Plain, zstd 3.
    Plain,
    /// Plain, zstd 1: whole numbers need fewer bytes than with zstd 3.
    PlainWhole,
}

/// Chooses for the values of a column of doubles.
#[must_use]
pub fn choose(packing: Packing, values: &[f64]) -> Choice {
    let plain_bytes = match packing {
        Packing::Volume => PLAIN_VOLUME_BYTES,
        Packing::Price | Packing::Count => PLAIN_PRICE_BYTES,
    };
    if dictionary_pays(values, plain_bytes) {
        Choice::Dictionary
    } else if matches!(packing, Packing::Volume) && values.iter().all(|value| value.fract() == 0.0)
    {
        Choice::PlainWhole
    } else {
        Choice::Plain
    }
}

/// Whether a value needs fewer than `limit` bytes with a dictionary: its index and its share of the
/// entries.
fn dictionary_pays(values: &[f64], limit: f64) -> bool {
    // The most distinct values that still pay, for each width of the index.
    let most = (1..=DISTINCT_BITS_MAX)
        .map(|bits| {
            let room = (limit - f64::from(bits) / 8.0) * values.len() as f64 / ENTRY_BYTES;
            if room < f64::from(1 << (bits - 1)) {
                0
            } else {
                (room as usize).min(1 << bits)
            }
        })
        .max()
        .unwrap_or(0);
    most > 0 && distinct_within(values, most)
}

/// Whether `values` has no more than `most` distinct values; stops at the first that exceeds it.
fn distinct_within(values: &[f64], most: usize) -> bool {
    let shift = u64::BITS - (DISTINCT_BITS_MAX + 1);
    // This NaN isn't a valid price or volume.
    let mut slots = vec![u64::MAX; 1 << (DISTINCT_BITS_MAX + 1)];
    let mut count = 0;
    for value in values {
        let bits = value.to_bits();
        let mut slot = (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift) as usize;
        while slots[slot] != bits {
            if slots[slot] == u64::MAX {
                count += 1;
                if count > most {
                    return false;
                }
                slots[slot] = bits;
            } else {
                slot = (slot + 1) % slots.len();
            }
        }
    }
    true
}

/// The columns that are always written as deltas: timestamps and counts.
pub fn delta_columns() -> impl Iterator<Item = &'static str> {
    let integers = COLUMNS.iter().filter(|column| column.kind == Kind::Integer);
    std::iter::once("timestamp").chain(integers.map(|column| column.name))
}

/// Sets the chosen encoding of the column `name` in the writer's properties.
pub fn apply(
    builder: WriterPropertiesBuilder,
    name: &str,
    choice: Choice,
) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(name);
    let (encoding, dictionary, level) = match choice {
        Choice::Dictionary => (Encoding::PLAIN, true, 1),
        Choice::Plain => (Encoding::PLAIN, false, 3),
        Choice::PlainWhole => (Encoding::PLAIN, false, 1),
    };
    builder
        .set_column_encoding(path.clone(), encoding)
        .set_column_dictionary_enabled(path.clone(), dictionary)
        .set_column_dictionary_page_size_limit(path.clone(), DICTIONARY_PAGE_BYTES)
        .set_column_compression(
            path,
            Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default()),
        )
}
