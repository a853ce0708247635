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

/// The format of a store, which older programs refuse. A store of an older format is raised when it is
/// opened for writing: its table of conflicts gets the commits of both values.
pub(super) const FORMAT: u32 = 5;

/// The columns that the table of conflicts of an older store lacks.
pub(super) const CONFLICT_COMMITS: &str = "
ALTER TABLE conflicts ADD COLUMN staged_seq BIGINT;
ALTER TABLE conflicts ADD COLUMN commit_seq BIGINT";

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
