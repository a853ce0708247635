//! TLS with a certificate made by the tests, and a wrong one refused.

use std::path::PathBuf;
use std::process::Command;

use backfill::report::{Silent, Stop};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::memory::{Memory, Settings, bar, settings, sync_ok, try_sync};
use crate::support::{Cluster, TestEnv};

/// The certificate of an authority, and a certificate that it signed for `name`, with its key.
pub fn certificates(name: &str) -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    (issuer.pem(), server.pem(), key.serialize_pem())
}

/// Writes the certificate into the server's folder, owned by the server's user, and enables TLS.
fn turn_on(cluster: &mut Cluster, certificate: &str, key: &str) {
    let data = cluster.data_dir();
    let owner = Command::new("stat")
        .args(["-c", "%u:%g"])
        .arg(&data)
        .output()
        .unwrap();
    let owner = String::from_utf8(owner.stdout).unwrap();
    for (name, text) in [("server.crt", certificate), ("server.key", key)] {
        let path = data.join(name);
        std::fs::write(&path, text).unwrap();
        assert!(
            Command::new("chmod")
                .arg("600")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        assert!(
            Command::new("chown")
                .arg(owner.trim())
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
    }
    cluster.kill();
    cluster.restart(&["ssl=on"]);
}

#[test]
fn each_mode_checks_what_its_name_says() {
    let env = TestEnv::new();
    let mut cluster = Cluster::start();
    let db = cluster.database();
    let (ca, certificate, key) = certificates("localhost");
    let (other_ca, _, _) = certificates("localhost");
    let ca: PathBuf = env.write("ca.pem", ca);
    let other: PathBuf = env.write("other.pem", other_ca);
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..5).map(bar));
    let url = |host: &str, query: &str| {
        format!(
            "postgres://postgres@{host}:{}/{}?{query}",
            db.port(),
            db.name()
        )
    };
    let error_of = |settings: &Settings| {
        try_sync(&memory, settings, &Stop::new(), &Silent)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };

    // The server has no TLS: `prefer` connects without it, `require` fails.
    assert_eq!(
        error_of(&settings(&url("localhost", "sslmode=prefer"))),
        Ok(())
    );
    let refused = error_of(&settings(&url("localhost", "sslmode=require"))).unwrap_err();
    assert!(refused.contains("does not support TLS"), "{refused}");

    turn_on(&mut cluster, &certificate, &key);
    let root = format!("sslrootcert={}", ca.display());
    let wrong = format!("sslrootcert={}", other.display());
    for query in [
        "sslmode=disable".to_owned(),
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=require&{root}"),
        format!("sslmode=verify-ca&{root}"),
        format!("sslmode=verify-full&{root}"),
    ] {
        assert_eq!(
            error_of(&settings(&url("localhost", &query))),
            Ok(()),
            "{query}"
        );
    }
    // The certificate names localhost, not its address.
    assert_eq!(
        error_of(&settings(&url(
            "127.0.0.1",
            &format!("sslmode=verify-ca&{root}")
        ))),
        Ok(())
    );
    for (host, query) in [
        ("127.0.0.1", format!("sslmode=verify-full&{root}")),
        ("localhost", format!("sslmode=verify-full&{wrong}")),
        ("localhost", format!("sslmode=verify-ca&{wrong}")),
        ("localhost", format!("sslmode=require&{wrong}")),
        // No root of the system signed it.
        ("localhost", "sslmode=verify-full".to_owned()),
    ] {
        let refused = error_of(&settings(&url(host, &query))).unwrap_err();
        assert!(
            refused.contains("certificate") || refused.contains("trusted root"),
            "{query}: {refused}"
        );
    }

    // The rows were sent over TLS.
    db.sql("CREATE TABLE seen (ssl boolean); \
            CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            INSERT INTO seen SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid(); RETURN NULL; END $$; \
            CREATE TRIGGER see AFTER INSERT ON market_data FOR EACH STATEMENT EXECUTE FUNCTION see()");
    memory.commit("AAPL", (5..10).map(bar));
    sync_ok(
        &memory,
        &settings(&url("localhost", &format!("sslmode=verify-full&{root}"))),
    );
    assert_eq!(db.sql("SELECT DISTINCT ssl FROM seen"), "t");
}
