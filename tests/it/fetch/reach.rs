//! Servers that can't be reached, or should not be trusted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// A server that responds to every request with no bars, by TLS with a certificate that it signed
/// itself.
struct SelfSigned {
    url: String,
    certificate: String,
    connections: Arc<AtomicU64>,
}

impl SelfSigned {
    fn start() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        let config = rustls::ServerConfig::builder_with_provider(
            rustls::crypto::ring::default_provider().into(),
        )
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}/stable",
            listener.local_addr().unwrap().port()
        );
        let connections = Arc::new(AtomicU64::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let config = config.clone();
                std::thread::spawn(move || respond(config, connection));
            }
        });
        Self {
            url,
            certificate,
            connections,
        }
    }
}

fn respond(config: Arc<rustls::ServerConfig>, connection: TcpStream) {
    let connection_state = rustls::ServerConnection::new(config).unwrap();
    let mut stream = rustls::StreamOwned::new(connection_state, connection);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let _ =
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]");
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// An untrusted certificate isn't worth a retry.
#[test]
fn a_certificate_that_is_not_trusted_is_named_at_once() {
    let bench = Bench::new();
    let server = SelfSigned::start();
    let trusted = bench.env.write("server.pem", &server.certificate);
    let line = "concurrent --start 2025-02-03 --end 2025-02-28 --tickers AAPL MSFT --threads 1 --summary-json";
    let program = || bench.program(line).env("FMP_BASE_URL", &server.url);
    let run = program().run().code(1);
    assert_eq!(run.json()["totals"]["requests"], 1, "{}", run.snapshot());
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(
        run.stderr.matches("is not trusted").count(),
        1,
        "{}",
        run.snapshot()
    );
    let hint = run.stderr.lines().find(|line| line.starts_with("hint: "));
    assert!(
        hint.is_some_and(|hint| hint.contains("SSL_CERT_FILE")),
        "{}",
        run.snapshot()
    );
    let check = (bench.program("check"))
        .env("FMP_BASE_URL", &server.url)
        .run()
        .code(1);
    assert!(
        check.out().contains("SSL_CERT_FILE"),
        "{}",
        check.snapshot()
    );
    let run = program().env("SSL_CERT_FILE", &trusted).run().ok();
    assert!(
        run.stderr.contains("[AAPL] No data in "),
        "{}",
        run.snapshot()
    );
}

/// No server: reported once, and soon.
#[test]
fn a_refused_connection_is_reported_once() {
    let bench = Bench::new();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    // Two windows of a ticker are requested at once, each three times.
    for (threads, requests) in [(1, 6), (2, 12)] {
        let line = format!(
            "concurrent --start 2025-02-03 --end 2025-02-28 --tickers AAPL MSFT --threads {threads} --summary-json"
        );
        let run = (bench.program(&line))
            .env("FMP_BASE_URL", format!("http://{free}/stable"))
            .run()
            .code(1);
        let summary = run.json();
        assert!(
            summary["totals"]["requests"].as_u64().unwrap() <= requests,
            "{}",
            run.snapshot()
        );
        assert_eq!(
            run.stderr.matches("no connection").count(),
            1,
            "{}",
            run.snapshot()
        );
        assert!(run.stderr.contains("--provider-url"), "{}", run.snapshot());
        assert!(
            run.stderr.contains(&format!("provider at {free}")),
            "{}",
            run.snapshot()
        );
        assert_eq!(summary["tickers"][0]["status"], "failed");
    }
}
