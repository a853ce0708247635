//! What a server refuses is an error that says what to do, and prints no key.

use std::time::{Duration, Instant};

use serde_json::json;

use super::engines::Engines;
use super::machine::Machine;
use super::seaweed::{ADMIN, BUCKETS, Keys, READER, Server, Table};
use crate::support::{Protocol, Proxy, Run};
use crate::sync::tls::certificates;

/// Asserts an error with these words and a hint, without any key.
#[track_caller]
fn assert_refused(run: &Run, keys: Keys, words: &str) {
    let shown = run.snapshot();
    assert_ne!(run.code, Some(0), "{shown}");
    assert!(
        shown.contains("error: ") || shown.contains("Failed"),
        "{shown}"
    );
    assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    assert!(shown.contains("hint: "), "{shown}");
    assert_no_keys(&shown, keys);
}

#[track_caller]
fn assert_no_keys(shown: &str, keys: Keys) {
    for keys in [keys, ADMIN, READER] {
        assert!(!shown.contains(keys.secret), "{shown}");
        assert!(!shown.contains(keys.id), "{shown}");
    }
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn wrong_keys_and_missing_rights_are_errors_with_a_hint() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..100, 10)]);
    let wrong_secret = Keys {
        secret: "anotherSecret+/anotherSecret",
        ..ADMIN
    };
    let unknown = Keys {
        id: "UNKNOWNKEYUNKNOWN",
        secret: "anotherSecret+/anotherSecret",
    };
    for (keys, words) in [
        (wrong_secret, "SignatureDoesNotMatch"),
        (unknown, "InvalidAccessKeyId"),
        (READER, "AccessDenied"),
    ] {
        let run = machine.push(&table.with(keys), "").run();
        assert_refused(&run, keys, words);
    }
    // Nothing was written, so the next push makes the table.
    machine.push(&table, "").run().ok();
    assert_eq!(Engines::shared().version(&table), 0);
    // A reader can see that nothing is new.
    machine.push(&table.with(READER), "").run().ok();
    machine.push(&table.with(READER), "--list").run().ok();
    // `check` finds out that it couldn't push.
    let checked = machine.check(&table.with(READER)).run().code(1);
    let out = checked.out();
    assert!(
        out.contains("table     failed") && out.contains("AccessDenied"),
        "{out}"
    );
    assert!(out.contains("hint: "), "{out}");
    assert_no_keys(&checked.snapshot(), READER);
    let checked = machine.check(&table).run().ok();
    let words = format!("table     ok      {} takes commits: version 0", table.url);
    assert!(checked.out().contains(&words), "{}", checked.out());
    assert_eq!(Engines::shared().version(&table), 0);
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn an_unknown_bucket_is_an_error_with_a_hint() {
    let machine = Machine::with(&[("A", 0..100, 10)]);
    let table = Server::shared().table_in("nobucket");
    assert_refused(&machine.push(&table, "").run(), ADMIN, "NoSuchBucket");
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_full_bucket_is_an_error_and_keeps_the_table() {
    // A server of its own: a quota is enforced for all of a bucket.
    let server = Server::start(|_| Vec::new());
    let bucket = BUCKETS[1];
    let table = server.table_in(bucket);
    let machine = Machine::with(&[("A", 0..2_000, 10)]);
    machine.push(&table, "").run().ok();
    let before = machine.bars();
    let mut engines = Engines::start(&table);
    engines.run("put", &table, &json!({"name": "big", "bytes": 1_500_000}));
    let quota = |megabytes: u32| {
        server.shell(&format!(
            "s3.bucket.quota -name={bucket} -op=set -sizeMB={megabytes}\ns3.bucket.quota.enforce -apply\n"
        ))
    };
    // The server learns the size of a bucket from the heartbeats of its volumes.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !quota(1).contains("read only") {
        assert!(Instant::now() < deadline, "the quota isn't enforced");
    }
    machine.store(&[("A", 0..2_100, 20), ("B", 0..100, 30)]);
    let run = machine.push(&table, "").run();
    let shown = run.snapshot();
    assert!(matches!(run.code, Some(1 | 3)), "{shown}");
    assert!(shown.contains("InternalError"), "{shown}");
    assert_no_keys(&shown, ADMIN);
    assert_eq!(engines.count(&table, "delta-rs"), before, "{shown}");
    quota(1_000);
    machine.push(&table, "").run().ok();
    assert_eq!(engines.count(&table, "delta-rs"), machine.bars());
}

/// A machine whose clock is hours off: its signatures are refused.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_wrong_clock_is_an_error_with_a_hint() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..100, 10)]);
    let proxy = Proxy::editing(Server::shared().port(), Protocol::Http, hours_ago);
    let run = machine.push(&table.through(proxy.port()), "").run();
    assert_refused(&run, ADMIN, "RequestTimeTooSkewed");
}

/// The request as a machine signs it whose clock is wrong: the server compares the time before the signature.
fn hours_ago(request: Vec<u8>) -> Vec<u8> {
    let then = chrono::Utc::now() - chrono::Duration::hours(5);
    let then = then.format("%Y%m%dT%H%M%SZ").to_string();
    let name = b"x-amz-date: ";
    let mut request = request;
    let at = request
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name));
    let at = at.expect("a signed request has its time") + name.len();
    request[at..at + then.len()].copy_from_slice(then.as_bytes());
    request
}

/// HTTPS with a certificate of an own authority, which SSL_CERT_FILE names.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn an_own_certificate_authority_is_trusted_if_it_is_named() {
    let (authority, certificate, key) = certificates("127.0.0.1");
    let server = Server::start(|dir| {
        std::fs::write(dir.join("cert.pem"), &certificate).unwrap();
        std::fs::write(dir.join("key.pem"), &key).unwrap();
        ["-s3.cert.file=cert.pem", "-s3.key.file=key.pem"]
            .map(str::to_owned)
            .to_vec()
    });
    let table = Table {
        endpoint: format!("https://127.0.0.1:{}", server.https_port()),
        ..server.table_in(BUCKETS[0])
    };
    let machine = Machine::with(&[("A", 0..100, 10)]);
    let run = machine.push(&table, "").run();
    assert_refused(&run, ADMIN, "certificate");
    let ca = machine.env.write("ca.pem", authority);
    machine
        .push(&table, "")
        .env("SSL_CERT_FILE", &ca)
        .run()
        .ok();
    let again = machine
        .push(&table, "")
        .env("SSL_CERT_FILE", &ca)
        .run()
        .ok();
    assert!(again.stderr.contains("files=0"), "{}", again.snapshot());
}
