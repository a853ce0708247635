-- The catalog's tables. No primary keys: the store keeps its keys by merging sorted timestamps (ARCHITECTURE.md).
-- $bars, $staged and $offered are the columns of a bar, from src/model/columns.rs.
CREATE TABLE meta (key VARCHAR NOT NULL, value VARCHAR NOT NULL);
CREATE TABLE series (
    series_id INTEGER NOT NULL, interval SMALLINT NOT NULL, ticker VARCHAR NOT NULL,
    exchange VARCHAR NOT NULL, basis VARCHAR NOT NULL, hours VARCHAR NOT NULL
);
-- The hot tier.
CREATE TABLE hot (
    series_id INTEGER NOT NULL, timestamp TIMESTAMPTZ NOT NULL,
    $bars, source_id SMALLINT NOT NULL, commit_seq BIGINT NOT NULL
);
-- Names of sources. A text in each hot row would make appending a third slower.
CREATE TABLE sources (source_id SMALLINT NOT NULL, source VARCHAR NOT NULL);
-- The partitions in the lake.
CREATE TABLE partitions (
    series_id INTEGER NOT NULL, year INTEGER NOT NULL, rows BIGINT NOT NULL, first TIMESTAMPTZ NOT NULL, last TIMESTAMPTZ NOT NULL,
    commit_seq BIGINT NOT NULL, commit_id VARCHAR NOT NULL, row_hash VARCHAR NOT NULL, checksum VARCHAR NOT NULL,
    bytes BIGINT NOT NULL, modified_ns BIGINT NOT NULL, store_id VARCHAR NOT NULL
);
-- Partitions being replaced: the redo log of publish.
CREATE TABLE intents (
    series_id INTEGER NOT NULL, year INTEGER NOT NULL, rows BIGINT NOT NULL, first TIMESTAMPTZ NOT NULL, last TIMESTAMPTZ NOT NULL,
    commit_seq BIGINT NOT NULL, commit_id VARCHAR NOT NULL, row_hash VARCHAR NOT NULL, checksum VARCHAR NOT NULL,
    bytes BIGINT NOT NULL, modified_ns BIGINT NOT NULL, store_id VARCHAR NOT NULL,
    temporary VARCHAR NOT NULL, old_checksum VARCHAR, is_seal BOOLEAN NOT NULL
);
CREATE TABLE commits (
    commit_seq BIGINT NOT NULL, commit_id VARCHAR NOT NULL, series_id INTEGER NOT NULL, run_id VARCHAR NOT NULL,
    rows BIGINT NOT NULL, updated BIGINT NOT NULL
);
-- Offered values that differed from the stored ones.
CREATE TABLE conflicts (
    series_id INTEGER NOT NULL, timestamp TIMESTAMPTZ NOT NULL,
    $staged, staged_source VARCHAR, $offered, offered_source VARCHAR,
    resolution VARCHAR NOT NULL, run_id VARCHAR NOT NULL,
    -- The commits that wrote the two values. NULL in conflicts that older programs recorded.
    staged_seq BIGINT, commit_seq BIGINT
);
-- What was requested, from which provider, when, and how it was answered.
CREATE TABLE coverage (
    provider VARCHAR NOT NULL, interval SMALLINT NOT NULL, ticker VARCHAR NOT NULL,
    exchange VARCHAR NOT NULL, basis VARCHAR NOT NULL, hours VARCHAR NOT NULL,
    first DATE NOT NULL, last DATE NOT NULL, status VARCHAR NOT NULL, rows BIGINT NOT NULL, reason VARCHAR,
    asked_at TIMESTAMPTZ NOT NULL, run_id VARCHAR NOT NULL
);
CREATE TABLE runs (
    run_id VARCHAR NOT NULL, command VARCHAR NOT NULL, started_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ,
    status VARCHAR NOT NULL, summary VARCHAR
);
-- Bars per session. The rows of a session add up: commits append rows, and sealing combines them.
CREATE TABLE sessions (
    series_id INTEGER NOT NULL, session DATE NOT NULL, bars INTEGER NOT NULL, regular INTEGER NOT NULL,
    first TIMESTAMPTZ NOT NULL, last TIMESTAMPTZ NOT NULL
);
-- Sync targets as last seen, so that status can count unsynced rows without a connection.
CREATE TABLE targets (
    target VARCHAR NOT NULL, interval SMALLINT NOT NULL, ticker VARCHAR NOT NULL, base_seq BIGINT NOT NULL, seen_at TIMESTAMPTZ NOT NULL
);
-- Requests spent, by a fingerprint of the provider's key and the day.
CREATE TABLE requests (fingerprint VARCHAR NOT NULL, day DATE NOT NULL, spent BIGINT NOT NULL);
-- The tables of refill attempts and of rejected rows are in schema.rs, because older stores get them later.
