//! Which tables are accepted, and the errors of those that aren't.

use backfill::advice::Hint;
use backfill::model::Interval;
use backfill::report::{Silent, Stop};

use super::memory::{Memory, Settings, address, bar, run, settings, sync_ok, table, try_sync};
use crate::support::Database;
use backfill::sync::ErrorKind;

fn memory() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..5).map(bar));
    memory
}

/// The error of a run that can't start: message and hint.
#[track_caller]
fn refused(settings: &Settings) -> (String, String) {
    let error = try_sync(&memory(), settings, &Stop::new(), &Silent).unwrap_err();
    (
        error.to_string(),
        error
            .hint()
            .map_or_else(String::new, |hint| hint.to_string()),
    )
}

#[test]
fn a_missing_table_is_an_error_with_its_ddl() {
    let db = Database::new();
    let existing = Settings {
        create_table: false,
        ..settings(&db.url())
    };
    let (message, hint) = refused(&existing);
    assert!(message.contains("market_data does not exist"), "{message}");
    let ddl = hint.split("or: ").nth(1).unwrap();
    assert_eq!(db.sql("SELECT to_regclass('backfill_sync') IS NULL"), "t");
    db.sql(ddl);
    sync_ok(&memory(), &existing);
    assert_eq!(table(&db, "market_data"), memory().table());
}

/// The extension isn't available in tests. A replacement has its name and its function's signature.
#[test]
fn with_timescaledb_the_table_becomes_a_hypertable() {
    let db = Database::new();
    db.sql(
        "CREATE SCHEMA tsdb; SET allow_system_table_mods = on; \
         INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) \
         SELECT 99999, 'timescaledb', 10, oid, false, '2.17.0' FROM pg_namespace WHERE nspname = 'tsdb'; \
         CREATE TABLE tsdb.hypertables (relation regclass, time_column name); \
         CREATE FUNCTION tsdb.create_hypertable(relation regclass, time_column_name name, \
           partitioning_column name DEFAULT NULL, number_partitions integer DEFAULT NULL, if_not_exists boolean DEFAULT false) \
         RETURNS text LANGUAGE plpgsql AS $$ BEGIN ASSERT if_not_exists; \
         INSERT INTO tsdb.hypertables VALUES (relation, time_column_name); RETURN relation; END $$; \
         CREATE FUNCTION tsdb.create_hypertable(relation regclass, dimension integer, if_not_exists boolean DEFAULT false) \
         RETURNS text LANGUAGE sql AS $$ SELECT 'the other function of that name' $$",
    );
    sync_ok(&memory(), &settings(&db.url()));
    assert_eq!(
        db.sql("SELECT relation, time_column FROM tsdb.hypertables"),
        "market_data|timestamp"
    );
    assert_eq!(table(&db, "market_data"), memory().table());
}

#[test]
fn a_table_without_a_key_is_an_error_with_its_ddl() {
    let db = Database::new();
    db.sql(
        "CREATE TABLE market_data (symbol text, datetime timestamptz, open real, high real, low real, close real, \
         volume real)",
    );
    for key in [
        "SELECT 1",
        "CREATE UNIQUE INDEX ON market_data (symbol, datetime) WHERE volume > 0",
        "CREATE UNIQUE INDEX ON market_data (symbol, datetime, volume)",
        "CREATE UNIQUE INDEX ON market_data (lower(symbol), datetime)",
        "CREATE INDEX ON market_data (symbol, datetime)",
        "ALTER TABLE market_data ADD UNIQUE (symbol, datetime) DEFERRABLE",
    ] {
        db.sql(key);
        let (message, hint) = refused(&settings(&db.url()));
        assert!(
            message.contains("no unique key on exactly (symbol, datetime)"),
            "{message}"
        );
        assert!(hint.starts_with("ALTER TABLE"), "{hint}");
    }
    let (_, hint) = refused(&settings(&db.url()));
    db.sql(&hint);
    assert_eq!(sync_ok(&memory(), &settings(&db.url())).totals.committed, 5);
}

#[test]
fn columns_are_matched_by_name_and_extra_ones_ignored() {
    let db = Database::new();
    db.sql(
        "CREATE SCHEMA prices; CREATE TABLE prices.\"Bars\" (id bigserial PRIMARY KEY, note text, \
         day date GENERATED ALWAYS AS ((\"Time\" AT TIME ZONE 'UTC')::date) STORED, \
         \"Volume\" bigint NOT NULL, \"Close\" real NOT NULL, \"Low\" real NOT NULL, \"High\" real NOT NULL, \
         \"Open\" real NOT NULL, \"Time\" timestamptz NOT NULL, \"Symbol\" varchar(10) NOT NULL, \
         loaded timestamptz NOT NULL DEFAULT now(), UNIQUE (\"Time\", \"Symbol\"))",
    );
    let named = Settings {
        table: Some("prices.\"Bars\"".into()),
        ..settings(&db.url())
    };
    assert_eq!(sync_ok(&memory(), &named).totals.committed, 5);
    assert_eq!(
        db.sql("SELECT count(*), sum(\"Volume\"), count(day), count(note), max(id) FROM prices.\"Bars\""),
        "5|5010|5|0|5"
    );
    assert_eq!(db.sql("SELECT count(*) FROM prices.backfill_sync"), "1");
    assert_eq!(
        sync_ok(
            &memory(),
            &Settings {
                full: true,
                ..named
            }
        )
        .totals
        .skipped_identical,
        5
    );
}

#[test]
fn a_column_that_bars_cannot_fill_is_named() {
    let db = Database::new();
    db.sql(
        "CREATE TABLE market_data (ticker text, ts timestamptz, open real, high real, low real, close real, volume real, \
         venue text NOT NULL, UNIQUE (ticker, ts))",
    );
    let (message, hint) = refused(&settings(&db.url()));
    assert!(message.contains("column venue"), "{message}");
    assert!(hint.contains("DROP NOT NULL"), "{hint}");
    db.sql("ALTER TABLE market_data ALTER venue SET DEFAULT 'x'");
    sync_ok(&memory(), &settings(&db.url()));
}

#[test]
fn a_column_that_is_missing_or_of_another_type_is_named() {
    let db = Database::new();
    db.sql("CREATE TABLE market_data (ticker text, ts timestamptz, open real, high real, low real, close text, UNIQUE (ticker, ts))");
    let (message, _) = refused(&settings(&db.url()));
    assert!(
        message.contains("column close") && message.contains("is text"),
        "{message}"
    );
    db.sql("ALTER TABLE market_data DROP close, ADD close real");
    let (message, hint) = refused(&settings(&db.url()));
    assert!(message.contains("no column for the volume"), "{message}");
    db.sql(&hint);
    sync_ok(&memory(), &settings(&db.url()));
    db.sql("DROP TABLE market_data; CREATE VIEW market_data AS SELECT 1 AS ticker");
    let (message, _) = refused(&settings(&db.url()));
    assert!(message.contains("is not a table"), "{message}");
}

#[test]
fn a_partitioned_table_is_accepted() {
    let db = Database::new();
    db.sql(
        "CREATE TABLE market_data (ticker text, \"timestamp\" timestamptz, open float8, high float8, low float8, \
         close float8, volume float8, vwap float8, trades bigint, PRIMARY KEY (ticker, \"timestamp\")) \
         PARTITION BY RANGE (\"timestamp\"); \
         CREATE TABLE md_2025 PARTITION OF market_data FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    );
    let mut memory = memory();
    sync_ok(&memory, &settings(&db.url()));
    memory.commit("AAPL", (5..90).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(table(&db, "market_data"), memory.table());
    db.sql("TRUNCATE md_2025");
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn each_interval_has_its_table() {
    let db = Database::new();
    let mut memory = memory();
    memory.commit_of(Interval::M5, "AAPL", (0..4).map(|n| bar(n * 5)));
    let report = sync_ok(&memory, &settings(&db.url()));
    assert_eq!(report.tickers.len(), 1);
    assert_eq!(report.totals.committed, 9);
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "5");
    assert_eq!(db.sql("SELECT count(*) FROM market_data_5m"), "4");
    let named = Settings {
        table: Some("bars".into()),
        ..settings(&db.url())
    };
    let error = try_sync(&memory, &named, &Stop::new(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManyIntervals);
    let five = Settings {
        interval: Some(Interval::M5),
        ..named
    };
    assert_eq!(sync_ok(&memory, &five).totals.committed, 4);
}

#[test]
fn two_syncs_can_create_the_table_at_the_same_time() {
    let db = Database::new();
    let memory = memory();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| sync_ok(&memory, &settings(&db.url())));
        }
    });
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn missing_rights_are_reported_with_the_grant_that_adds_them() {
    let db = Database::new();
    let name = db.name();
    db.sql(&format!(
        "CREATE ROLE reader_{name} LOGIN; CREATE TABLE market_data (ticker text, ts timestamptz, open real, high real, \
         low real, close real, volume real, UNIQUE (ticker, ts)); GRANT SELECT ON market_data TO reader_{name}"
    ));
    let url = db.url().replace("postgres@", &format!("reader_{name}@"));
    let (message, hint) = refused(&settings(&url));
    assert!(message.contains("backfill_sync is missing"), "{message}");
    assert_eq!(
        hint,
        format!("GRANT CREATE ON SCHEMA public TO reader_{name}")
    );
    db.sql(&hint);
    let report = run(&memory(), &settings(&url));
    assert_eq!(report.status().code(), 3);
    assert!(
        report.tickers[0]
            .hint
            .as_ref()
            .unwrap()
            .to_string()
            .contains("INSERT"),
        "{report:#?}"
    );
    db.sql(&format!("GRANT INSERT ON market_data TO reader_{name}"));
    sync_ok(&memory(), &settings(&url));
    db.sql(&format!(
        "ALTER TABLE backfill_sync OWNER TO postgres; REVOKE ALL ON backfill_sync FROM reader_{name}"
    ));
    let (message, hint) = refused(&settings(&url));
    assert!(message.contains("backfill_sync"), "{message}");
    assert!(
        hint.starts_with("GRANT SELECT, INSERT, UPDATE ON public.backfill_sync"),
        "{hint}"
    );
}

#[test]
fn too_many_clients_is_reported_with_a_hint() {
    let cluster = crate::support::Cluster::start_with(&["max_connections=4"]);
    let db = cluster.database();
    sync_ok(&memory(), &settings(&db.url()));
    let mut held = Vec::new();
    // Connects until one is refused; the query itself needs a connection too.
    while db.psql("SELECT 1").status.success() {
        held.push(
            std::process::Command::new("psql")
                .args(["-X", "-d", &db.url(), "-c", "SELECT pg_sleep(600)"])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap(),
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let (message, hint) = refused(&settings(&db.url()));
    assert!(
        message.contains("too many clients") || message.contains("remaining connection"),
        "{message}"
    );
    assert!(hint.contains("--threads"), "{hint}");
    for mut child in held {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn an_unreachable_server_is_reported_immediately_without_the_password() {
    let settings = settings("postgres://me:hunter2@127.0.0.1:1/bars");
    let (message, _) = refused(&settings);
    assert!(
        message.starts_with("postgresql://me@127.0.0.1:1/bars can't be reached"),
        "{message}"
    );
    assert!(!message.contains("hunter2"));
    assert!(!format!("{:?}", address("postgres://me:hunter2@h/d")).contains("hunter2"));
}

#[test]
fn a_unix_socket_is_accepted() {
    let db = Database::new();
    let url = format!(
        "postgres:///{}?host={}&port={}&user=postgres&sslmode=require",
        db.name(),
        db.socket_dir(),
        db.port()
    );
    sync_ok(&memory(), &settings(&url));
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "5");
}
