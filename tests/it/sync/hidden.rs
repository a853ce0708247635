//! Row-level security, partitions, and tables of other programs.

use backfill::advice::Hint;
use backfill::report::{Silent, Stop};

use super::memory::{
    Memory, Settings, bar, restated, settings, sync_ok, table, try_sync, updating,
};
use crate::support::Database;
use backfill::sync::ErrorKind;

fn memory() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..50).map(bar));
    memory
}

/// A new role with all rights on the existing tables, and the URL of its connection.
fn guest(db: &Database) -> String {
    let name = format!("guest_{}", db.name());
    db.sql(&format!(
        "CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}; GRANT ALL ON SCHEMA public TO {name}"
    ));
    db.url().replace("postgres@", &format!("{name}@"))
}

#[test]
fn rows_hidden_by_row_level_security_do_not_count_as_missing() {
    let db = Database::new();
    sync_ok(&memory(), &settings(&db.url()));
    let url = guest(&db);
    sync_ok(&memory(), &settings(&url));
    let own = "CREATE POLICY own ON market_data USING (ticker = 'MSFT')";
    db.sql(&format!(
        "ALTER TABLE market_data ENABLE ROW LEVEL SECURITY; {own}"
    ));
    for full in [false, true] {
        for dry_run in [false, true] {
            let settings = Settings {
                full,
                dry_run,
                ..settings(&url)
            };
            let error = try_sync(&memory(), &settings, &Stop::new(), &Silent).unwrap_err();
            let hides = error.kind() == ErrorKind::Table;
            assert!(hides, "{error}");
            assert!(
                error.hint().unwrap().to_string().contains("BYPASSRLS"),
                "{error}"
            );
        }
    }
    // The owner sees all rows.
    let mut memory = memory();
    memory.commit("AAPL", (50..60).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn progress_hidden_by_row_level_security_does_not_count_as_missing() {
    let db = Database::new();
    sync_ok(&memory(), &settings(&db.url()));
    let url = guest(&db);
    db.sql("ALTER TABLE backfill_sync ENABLE ROW LEVEL SECURITY");
    let error = try_sync(&memory(), &settings(&url), &Stop::new(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Progress, "{error}");
}

#[test]
fn another_programs_table_named_backfill_sync_is_an_error() {
    let db = Database::new();
    db.sql("CREATE TABLE backfill_sync (id int, ticker text, \"interval\" int)");
    let error = try_sync(&memory(), &settings(&db.url()), &Stop::new(), &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "public.backfill_sync is another program's table: it has no column store_id, target_table, base_seq, base_id, \
         pass_seq, pass_id, through_ts, rel_oid, rel_filenode, first_ts, last_ts"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .to_string()
            .contains("--table SCHEMA.NAME")
    );
    db.sql("CREATE SCHEMA prices");
    let elsewhere = Settings {
        table: Some("prices.bars".into()),
        ..settings(&db.url())
    };
    sync_ok(&memory(), &elsewhere);
}

#[test]
fn a_chunk_over_several_partitions_is_one_transaction() {
    let db = Database::new();
    db.sql(
        "CREATE TABLE market_data (ticker text, \"timestamp\" timestamptz, open float8, high float8, low float8, \
         close float8, volume float8, vwap float8, trades bigint, PRIMARY KEY (ticker, \"timestamp\")) \
         PARTITION BY RANGE (\"timestamp\"); \
         CREATE TABLE md_1 PARTITION OF market_data FOR VALUES FROM ('2025-01-01') TO ('2025-01-02 14:50+00'); \
         CREATE TABLE md_2 PARTITION OF market_data FOR VALUES FROM ('2025-01-02 14:50+00') TO ('2025-01-02 15:20+00')",
    );
    let mut memory = memory();
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(
        db.sql("SELECT (SELECT count(*) FROM md_1), (SELECT count(*) FROM md_2)"),
        "20|30"
    );
    // The last bar has no partition: nothing of its chunk is written, restated rows neither.
    memory.commit("AAPL", (15..25).map(restated).chain([bar(50)]));
    let report = super::memory::run(&memory, &updating(&db.url()));
    assert_eq!(report.status().code(), 3, "{report:#?}");
    let error = report.tickers[0].error.as_deref().unwrap();
    assert!(error.contains("no partition of relation"), "{error}");
    assert_eq!(table(&db, "market_data"), super::hidden::memory().table());
    db.sql("CREATE TABLE md_3 PARTITION OF market_data DEFAULT");
    let report = sync_ok(&memory, &updating(&db.url()));
    assert_eq!((report.totals.committed, report.totals.updated), (11, 10));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn the_servers_message_is_shown_once() {
    let db = Database::new();
    let env = crate::support::TestEnv::new();
    super::program::stage_csv(&env, "AAPL", (0..5).map(bar).collect());
    let sync = |url: &str| {
        env.program(["sync", "--table", "a.b.c.d"])
            .env("DATABASE_URL", url)
            .run()
            .code(1)
            .stderr
    };
    let stderr = sync(&db.url());
    assert_eq!(
        stderr.matches("too many dotted names").count(),
        1,
        "{stderr}"
    );
    let stderr = sync(&db.url().replace(db.name(), "nowhere"));
    assert_eq!(
        stderr.matches("\"nowhere\" does not exist").count(),
        1,
        "{stderr}"
    );
}
