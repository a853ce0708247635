//! The catalog's tables.

/// Tables of a new store.
pub(super) const TABLES: &str = include_str!("schema.sql");

/// Tables of segments. Stores made before there were any get them when they are opened for writing.
pub(super) const SEGMENTS: &str = "
CREATE TABLE IF NOT EXISTS segments (name VARCHAR NOT NULL, checksum VARCHAR NOT NULL, bytes BIGINT NOT NULL, modified_ns BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS segment_parts (
    part_id BIGINT NOT NULL, segment VARCHAR NOT NULL, start BIGINT NOT NULL, rows BIGINT NOT NULL,
    series_id INTEGER NOT NULL, year INTEGER NOT NULL, first TIMESTAMPTZ NOT NULL, last TIMESTAMPTZ NOT NULL,
    source_id SMALLINT NOT NULL, commit_seq BIGINT NOT NULL)";

/// The format of a new store. A store's format is raised when the store gets something that older
/// programs don't know. It is never lowered.
pub(super) const FORMAT_NEW: u32 = 1;

/// The format of a store with segments.
pub(super) const FORMAT_WITH_SEGMENTS: u32 = 2;

/// The format of a store with files of conflicts next to the segments.
pub(super) const FORMAT_WITH_CONFLICT_FILES: u32 = 3;

/// The format of a store with partitions that have a hash for each row group.
pub(super) const FORMAT_WITH_GROUPS: u32 = 4;

/// The newest format that this program knows. It refuses newer stores.
pub(super) const FORMAT_MAX: u32 = FORMAT_WITH_GROUPS;

/// The table of refill attempts. Stores made before there was one get it when they are opened for
/// writing.
pub(super) const FILLS: &str = "CREATE TABLE IF NOT EXISTS fills (
    provider VARCHAR NOT NULL, interval SMALLINT NOT NULL, ticker VARCHAR NOT NULL, first DATE NOT NULL, last DATE NOT NULL,
    fills SMALLINT NOT NULL)";

/// The table of rejected rows by the time of their bars. Stores made before there was one get it when
/// they are opened for writing.
pub(super) const REJECTED: &str = "CREATE TABLE IF NOT EXISTS rejected (
    interval SMALLINT NOT NULL, ticker VARCHAR NOT NULL, exchange VARCHAR NOT NULL, session DATE NOT NULL,
    first TIMESTAMPTZ NOT NULL, last TIMESTAMPTZ NOT NULL)";
