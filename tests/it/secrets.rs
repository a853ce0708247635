//! No secret of a setting is in the program's output or files.

use std::io::{Read, Write};
use std::net::TcpListener;

use backfill::provider::registry::PROVIDERS;

use crate::support::{Run, TestEnv};

/// Two unusual words, with characters around them that have a meaning in URLs.
const SECRETS: [&str; 4] = [
    "hunter2-Zebra",
    "hunter2?Zebra",
    "hunter2@4/Ze#bra:1",
    "hunter2 Zebra'%&=\\",
];

/// All encodings of a part of a secret that could be printed.
const PARTS: [&str; 4] = ["hunter2", "Zebra", "Ze#bra", "Ze%23bra"];

/// A command line, arguments that may contain spaces, and environment variables.
type Attempt<'a> = (&'a str, Vec<&'a str>, Vec<(&'a str, &'a str)>);

/// A server that repeats in its response all that it was sent, plain and encoded.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                return;
            };
            let mut head = Vec::new();
            let mut buffer = [0; 4096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match connection.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => head.extend_from_slice(&buffer[..count]),
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let encoded: String = head.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let body = format!("{{\"message\": {}}} {encoded}", serde_json::json!(head));
            let length = body.len();
            let _ = write!(
                connection,
                "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}

#[track_caller]
fn nothing_shows(env: &TestEnv, run: &Run, what: &str) {
    let printed = format!("{}\n{}", String::from_utf8_lossy(&run.stdout), run.stderr);
    let mut sources = vec![("the output".to_owned(), printed)];
    for file in env.files(".") {
        let bytes = std::fs::read(env.path(&file)).unwrap();
        sources.push((file, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (source, text) in sources {
        for part in PARTS {
            assert!(
                !text.contains(part),
                "{part} is in {source}: {what}\n{}",
                run.snapshot()
            );
        }
    }
}

#[test]
fn no_command_prints_a_secret() {
    let echo = &echo();
    let percent =
        |secret: &str| -> String { secret.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    std::thread::scope(|threads| {
        for secret in SECRETS {
            threads.spawn(move || {
                let encoded = percent(secret);
                // No server listens at port 1, so these end at once.
                let databases = [
                    format!("postgres://me:{secret}@127.0.0.1:1/bars"),
                    format!("postgres://me:{encoded}@127.0.0.1:1/bars?connect_timeout=2"),
                    format!("me:{secret}@127.0.0.1:1/bars"),
                    format!("postgres:/me:{secret}@127.0.0.1:1/bars"),
                    format!("host=127.0.0.1 port=1 user=me password={secret} dbname=bars"),
                    format!("postgres://127.0.0.1:1/bars?user=me&password={secret}"),
                ];
                let providers = [
                    format!("me:{secret}@127.0.0.1:1/stable"),
                    format!("http://me:{secret}@{echo}/stable"),
                    format!("http://me:{encoded}@{echo}/stable"),
                    format!("http://{echo}/stable?apikey={secret}"),
                ];
                let proxies = [
                    format!("http://me:{secret}@{echo}"),
                    format!("http://me:{encoded}@{echo}"),
                    format!("me:{secret}@{echo}"),
                ];
                let fetch = "--log-level DEBUG specific --start 2025-02-03 --end 2025-02-03 --tickers AAPL --summary-json=s.json";
                let plain = "http://example.invalid/stable";
                let mut runs: Vec<Attempt> = Vec::new();
                for url in &databases {
                    runs.push(("sync --log-level DEBUG --summary-json=s.json --database-url", vec![url], vec![]));
                    runs.push(("check", vec![], vec![("DATABASE_URL", url)]));
                    runs.push(("sync --threads", vec![url], vec![]));
                }
                runs.push(("sync --tables", vec![&databases[0]], vec![]));
                runs.push(("sync", vec![&databases[1]], vec![]));
                runs.push(("", vec![&databases[2]], vec![]));
                runs.push((
                    "sync --log-format json --log-level DEBUG",
                    vec![],
                    vec![("PGHOST", "127.0.0.1"), ("PGPORT", "1"), ("PGUSER", "me"), ("PGPASSWORD", secret)],
                ));
                runs.push(("sync", vec![], vec![("PGHOST", "127.0.0.1"), ("PGPORT", secret)]));
                runs.push(("check", vec![], vec![("PGHOST", &databases[2])]));
                runs.push(("check", vec![], vec![("PGDATABASE", &databases[0]), ("PGPORT", "1"), ("PGHOST", "127.0.0.1")]));
                for url in &providers {
                    runs.push((fetch, vec!["--provider-url", url], vec![("FMP_API_KEY", "some-key")]));
                }
                // The server that repeats what it was sent is the storage.
                let storage = &*format!("http://{echo}").leak();
                for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
                    let mut keys = vec![("AWS_ACCESS_KEY_ID", "some-id"), ("AWS_SECRET_ACCESS_KEY", "some-key"), ("AWS_ENDPOINT_URL", storage)];
                    keys.retain(|(other, _)| *other != name);
                    keys.push((name, secret));
                    runs.push(("push s3://bucket/bars --log-level DEBUG --summary-json=s.json", vec![], keys.clone()));
                    runs.push(("check --provider demo --log-level DEBUG --push s3://bucket/bars", vec![], keys));
                }
                for url in &providers {
                    let keys = vec![("AWS_ACCESS_KEY_ID", "some-id"), ("AWS_SECRET_ACCESS_KEY", secret)];
                    runs.push(("push s3://bucket/bars --endpoint-url", vec![url], keys.clone()));
                    runs.push(("push", vec![url], keys));
                }
                runs.push(("push", vec![&*format!("s3://me:{secret}@bucket/bars").leak()], vec![]));
                let base = &*format!("http://{echo}/stable").leak();
                // The hidden one is that of the tests: it retries refused requests for a minute.
                for provider in PROVIDERS.iter().filter(|provider| !provider.hidden) {
                    // The secret in one part of the key; every name of it that is read.
                    for (part, names) in provider.keys.iter().enumerate() {
                        for name in *names {
                            let others = (provider.keys.iter().enumerate())
                                .filter(|(other, _)| *other != part)
                                .map(|(_, names)| (names[0], "some-key"));
                            let variables: Vec<_> = others.chain([(*name, secret)]).collect();
                            for line in [fetch, "check --log-level DEBUG"] {
                                let args = vec!["--provider", provider.name, "--provider-url", base];
                                runs.push((line, args, variables.clone()));
                            }
                        }
                    }
                    let keys = provider.keys.iter().map(|names| (names[0], "some-key"));
                    for url in &providers {
                        let Some(name) = provider.base_url_env else {
                            continue;
                        };
                        let variables = keys.clone().chain([(name, url.as_str())]).collect();
                        runs.push(("check", vec!["--provider", provider.name], variables));
                    }
                }
                for proxy in &proxies {
                    for url in [plain, "https://example.invalid/stable"] {
                        runs.push((
                            "check --log-level DEBUG --provider-url",
                            vec![url],
                            vec![("FMP_API_KEY", "some-key"), ("https_proxy", proxy), ("HTTPS_PROXY", proxy), ("http_proxy", proxy), ("ALL_PROXY", proxy)],
                        ));
                    }
                }
                let env = TestEnv::new();
                env.write("in.csv", "ticker,timestamp,open,high,low,close,volume\nA,2025-02-03T14:30:00Z,1,1,1,1,1\n");
                env.typed("inject-csv in.csv --interval 1").ok();
                for (line, args, variables) in runs {
                    let what = format!("{line} {args:?} {variables:?}");
                    let mut program = env.program(line.split_whitespace().chain(args));
                    for (name, value) in variables {
                        program = program.env(name, value);
                    }
                    let run = program.run();
                    assert!(run.code.is_some_and(|code| code != 0), "{what}\n{}", run.snapshot());
                    nothing_shows(&env, &run, &what);
                }
                // An invalid line of `.env`, and a password file.
                env.program(["check"]).run();
                let other = TestEnv::new();
                other.write(".env", format!("FMP_API_KEY={secret}\nDATABASE_URL {secret}\n"));
                let run = other.program(["check"]).run();
                std::fs::remove_file(other.path(".env")).unwrap();
                nothing_shows(&other, &run, ".env");
            });
        }
    });
}

/// The password of a password file goes only to the server.
#[cfg(unix)]
#[test]
fn a_password_file_is_not_shown() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    let path = env.write("pgpass", "*:*:*:*:hunter2Zebra\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = (env.program(
        "sync --log-level DEBUG --database-url postgres://me@127.0.0.1:1/bars".split_whitespace(),
    ))
    .env("PGPASSFILE", &path)
    .run();
    std::fs::remove_file(&path).unwrap();
    nothing_shows(&env, &run, "PGPASSFILE");
}
