//! Several servers in one address: each has its own time limit, and the first that accepts is used.

use std::io::{Read, Write};
use std::net::TcpListener;

use backfill::report::{Silent, Stop};

use super::memory::{Memory, Settings, address, bar, settings, sync_ok, table, try_sync};
use crate::support::{Database, TestEnv};

fn memory() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..50).map(bar));
    memory
}

/// A server that accepts a connection, sends one answer and then stays silent.
fn silent(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            // The first message, of eight bytes, requests TLS.
            let _ = client.read_exact(&mut [0; 8]);
            let _ = client.write_all(answer);
            kept.push(client);
        }
    });
    port
}

#[test]
fn after_a_silent_server_the_next_one_is_tried() {
    let db = Database::new();
    // No answer at all; TLS accepted and never started; TLS refused and the login not answered.
    for answer in [b"" as &[u8], b"S", b"N"] {
        let url = format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}?connect_timeout=1",
            silent(answer),
            db.port(),
            db.name()
        );
        let settings = Settings {
            threads: 1,
            ..settings(&url)
        };
        sync_ok(&memory(), &settings);
        assert_eq!(table(&db, "market_data"), memory().table());
    }
}

#[test]
fn if_all_servers_fail_the_error_names_each_with_its_reason() {
    let (one, two) = (silent(b""), {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    });
    let url = format!("postgres://me@127.0.0.1:{one},127.0.0.1:{two}/bars?connect_timeout=1");
    let error = try_sync(&memory(), &settings(&url), &Stop::new(), &Silent).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(&format!(
            "no server of postgresql://me@127.0.0.1:{one},127.0.0.1:{two}/bars can be reached: \
             127.0.0.1:{one} did not respond within 1 s; 127.0.0.1:{two} can't be reached: "
        )),
        "{message}"
    );
}

#[test]
fn each_host_is_shown_with_its_own_port() {
    let label = |url: &str| address(url).label().to_owned();
    assert_eq!(
        label("postgres://me@a:1,b:2/x"),
        "postgresql://me@a:1,b:2/x"
    );
    assert_eq!(
        label("postgres://me@a,b/x?port=7"),
        "postgresql://me@a:7,b:7/x"
    );
    assert_eq!(label("postgres://me@a,b:2/x"), "postgresql://me@a,b:2/x");
    assert_eq!(
        label("postgres://me@[::1]:77/x"),
        "postgresql://me@[::1]:77/x"
    );
}

#[test]
fn check_tries_every_host() {
    let (env, db) = (TestEnv::new(), Database::new());
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", silent(b""), db.port());
    let url = format!("postgres://postgres@{hosts}/{}", db.name());
    let run = env
        .program(["check", "--provider", "demo"])
        .env("DATABASE_URL", format!("{url}?connect_timeout=1"))
        .run();
    let found = format!(
        "database  ok      postgresql://postgres@{hosts}/{} runs PostgreSQL",
        db.name()
    );
    assert!(run.out().contains(&found), "{}", run.snapshot());
}
