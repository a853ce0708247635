//! `serve`: who is let in, and what gets out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{HOSTILE_SPIKE, add_other, add_spikes, csv, filled, serve};
use crate::support::TestEnv;

/// A server with its port and a cookie of it.
struct Served {
    port: u16,
    link: String,
    cookie: String,
    _running: crate::support::Running,
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}\n{}", self.head, self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Served {
    fn start(env: &TestEnv) -> Self {
        Self::start_with(env, "")
    }

    fn start_with(env: &TestEnv, more: &str) -> Self {
        let (running, url) = serve(env, more);
        let rest = url.strip_prefix("http://127.0.0.1:").unwrap();
        let (port, link) = rest.split_once('/').unwrap();
        let mut served = Self {
            port: port.parse().unwrap(),
            link: format!("/{link}"),
            cookie: String::new(),
            _running: running,
        };
        let entry = served.get(&served.link.clone());
        assert_eq!(entry.status, 200, "{}", entry.head);
        let cookie = entry.header("set-cookie").unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
            "{cookie}"
        );
        served.cookie = cookie.split(';').next().unwrap().to_owned();
        served
    }

    fn raw(&self, request: &str) -> Response {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // The server may close before it has read all of a bad request.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Response {
            status: head
                .get(9..12)
                .and_then(|status| status.parse().ok())
                .unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn request(&self, method: &str, path: &str, host: &str, cookie: &str) -> Response {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
        ))
    }

    fn get(&self, path: &str) -> Response {
        let host = format!("127.0.0.1:{}", self.port);
        self.request("GET", path, &host, &self.cookie)
    }

    /// The document that is made in the background, once all of it is there.
    fn once_done(&self, path: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let document = self.get(path).json();
            if document["done"] == true {
                return document;
            }
            assert!(Instant::now() < deadline, "{path} never ends");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

const DOCUMENTS: [&str; 9] = [
    "/api/series",
    "/api/coverage",
    "/api/bars?ticker=AAPL&interval=1",
    "/api/gaps",
    "/api/conflicts",
    "/api/findings",
    "/api/runs",
    "/api/targets",
    "/api/progress",
];

#[test]
fn a_browser_with_the_link_gets_every_document() {
    let env = filled();
    let served = Served::start(&env);
    for path in DOCUMENTS {
        let response = served.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        let name = path[5..].split('?').next().unwrap();
        let schema = match name {
            "series" => "status",
            "findings" => "audit",
            name => name,
        };
        assert_eq!(response.json()["schema"], format!("backfill.{schema}/1"));
    }
    let status = env.typed("status --format json").ok().json();
    assert_eq!(served.get("/api/series").json()["totals"], status["totals"]);
    let bars = served
        .get("/api/bars?ticker=AAPL&interval=1&from=2025-01-06&to=2025-01-10")
        .json();
    assert_eq!(bars["resolution"], 1);
    assert_eq!(bars["time"].as_array().unwrap().len(), 3 * 390);
    let few = served
        .get("/api/bars?ticker=AAPL&interval=1&from=2025-01-06&to=2025-01-10&max=100")
        .json();
    assert_eq!(few["resolution"], 15);
    assert_eq!(few["time"].as_array().unwrap().len(), 3 * 26);
    let volume = |bars: &Value| -> f64 {
        bars["volume"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| volume.as_f64().unwrap())
            .sum()
    };
    assert!((volume(&few) - volume(&bars)).abs() < 1e-6);
    let days = served
        .get("/api/bars?ticker=AAPL&interval=1&from=2025-01-06&to=2025-01-10&max=3")
        .json();
    assert_eq!(
        (&days["resolution"], &days["time"].as_array().unwrap().len()),
        (&"day".into(), &3)
    );
    assert!((volume(&days) - volume(&bars)).abs() < 1e-6);
    let second = served.get("/api/coverage?first=1&count=1").json();
    assert_eq!(second["rows"].as_array().unwrap().len(), 1);
    assert_eq!(second["total"], 3);
    assert_eq!(served.get("/api/bars?ticker=NOPE&interval=1").status, 404);
    assert_eq!(served.get("/api/bars?ticker=AAPL&interval=7").status, 400);
    assert_eq!(
        served
            .get("/api/bars?ticker=AAPL&interval=1&from=yesterday")
            .status,
        400
    );
    assert_eq!(served.get("/api/secrets").status, 404);
}

#[test]
fn bars_of_a_second_store_have_the_length_of_those_of_the_first() {
    let env = filled();
    add_other(&env);
    let files = env.files("second/lake");
    let served = Served::start_with(&env, "--compare second");
    let series = served.get("/api/series").json();
    assert_eq!(series["compared_store"], "second");
    assert_eq!(series["series"][1]["compared"], true);
    assert_eq!(series["series"][2]["compared"], false);
    let bars = |more: &str| {
        let response = served.get(&format!("/api/bars?interval=1&{more}"));
        (response.status == 200).then(|| response.json())
    };
    let of_second = "store=compared&ticker=AAPL&from=2025-01-06&to=2025-01-10";
    let second = bars(of_second).unwrap();
    assert_eq!(second["resolution"], 1);
    assert_eq!(second["open"][0], 400.4);
    assert_eq!(second["time"].as_array().unwrap().len(), 3 * 390);
    for (resolution, length) in [("15", 3 * 26), ("day", 3), ("week", 1)] {
        let long = bars(&format!("{of_second}&resolution={resolution}")).unwrap();
        assert_eq!(long["resolution"].to_string().trim_matches('"'), resolution);
        assert_eq!(
            long["time"].as_array().unwrap().len(),
            length,
            "{resolution}"
        );
    }
    let listed = env.typed("compare second --format json").ok().json();
    let compared = served.once_done("/api/comparison");
    assert_eq!(compared["series"], listed["series"]);
    assert_eq!(compared["totals"], listed["totals"]);
    assert_eq!(compared["error"], Value::Null);
    let again = served.get("/api/comparison?again=true").json();
    assert_eq!(again["schema"], "backfill.compare/1");
    // A ticker of only one store, and other stores.
    assert!(bars("store=compared&ticker=ZZZ").is_some());
    for bad in [
        "ticker=ZZZ",
        "store=compared&ticker=MSFT",
        "store=second&ticker=AAPL",
        "store=../second&ticker=AAPL",
        "ticker=AAPL&resolution=7",
    ] {
        assert!(bars(bad).is_none(), "{bad}");
    }
    assert_eq!(env.files("second/lake"), files, "nothing is written");
    let alone = Served::start(&env);
    let refused = alone.get("/api/bars?interval=1&store=compared&ticker=AAPL");
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("--compare"), "{}", refused.body);
    assert_eq!(alone.get("/api/comparison").status, 404);
    env.typed("serve --port 0 --compare nowhere").code(1);
}

#[test]
fn the_findings_of_audit_are_known_after_the_first_request_of_all() {
    let env = filled();
    add_spikes(&env);
    let served = Served::start(&env);
    let of_spike = "/api/findings?ticker=SPIKE&interval=1";
    let before = served.get(of_spike).json();
    assert_eq!(before["findings"], Value::Array(Vec::new()));
    assert_eq!(
        (&before["done"], &before["as_of"]),
        (&false.into(), &Value::Null)
    );
    let listed = env.typed("audit --format json").ok().json();
    let found = served.once_done("/api/findings");
    for name in ["schema", "series", "bars", "not_listed", "findings"] {
        assert_eq!(found[name], listed[name], "{name}");
    }
    assert_eq!(found["error"], Value::Null);
    let spikes = |document: &Value| -> Vec<Value> {
        let found = document["findings"].as_array().unwrap().iter();
        found
            .filter(|one| one["ticker"] == "SPIKE")
            .cloned()
            .collect()
    };
    assert!(!spikes(&listed).is_empty(), "{listed}");
    let own = served.get(of_spike).json();
    assert_eq!(own["findings"], Value::Array(spikes(&listed)));
    let other = served.get("/api/findings?ticker=SPIKE&interval=5").json();
    assert_eq!(other["findings"], Value::Array(Vec::new()));
    // Later bars are only seen by another audit.
    env.write("late.csv", csv(&[("2025-01-13", 20.0)], 390));
    env.typed("inject-csv late.csv --ticker LATE --interval 1 --timezone America/New_York")
        .ok();
    let listed = env.typed("audit --format json").ok().json();
    let deadline = Instant::now() + Duration::from_secs(60);
    while served.get("/api/series").json()["totals"]["rows"] != listed["bars"] {
        assert!(Instant::now() < deadline, "the new bars are never seen");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(served.get("/api/findings").json()["bars"], found["bars"]);
    served.get("/api/findings?again=true");
    assert_eq!(served.once_done("/api/findings")["bars"], listed["bars"]);
    for bad in ["ticker=SPIKE&interval=7", "again=maybe", "ticker=%0A"] {
        let response = served.get(&format!("/api/findings?{bad}"));
        assert_eq!(response.status, 400, "{bad}");
    }
    let hostile = HOSTILE_SPIKE.replace(' ', "%20").replace('<', "%3C");
    let hostile = hostile.replace('>', "%3E");
    let own = served
        .get(&format!("/api/findings?ticker={hostile}"))
        .json();
    assert_eq!(own["findings"][0]["ticker"], HOSTILE_SPIKE);
}

#[test]
fn other_hosts_are_refused_before_anything_else() {
    let env = filled();
    let served = Served::start(&env);
    let port = served.port;
    for host in [
        "evil.example",
        "evil.example:80",
        "127.0.0.1",
        "127.0.0.1:1",
        "",
    ] {
        for path in ["/", "/assets/page.js", "/api/series", &served.link] {
            let response = served.request("GET", path, host, &served.cookie);
            assert_eq!(response.status, 421, "{host} {path}: {}", response.head);
            assert!(response.body.contains("--allow-host"), "{}", response.body);
        }
    }
    for host in [
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("LOCALHOST:{port}"),
    ] {
        assert_eq!(
            served
                .request("GET", "/api/series", &host, &served.cookie)
                .status,
            200
        );
    }
    let cookie = &served.cookie;
    let two = format!(
        "GET /api/series HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nhost: evil.example\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    assert_ne!(served.raw(&two).status, 200);
    let none = format!("GET /api/series HTTP/1.0\r\ncookie: {cookie}\r\n\r\n");
    assert_eq!(served.raw(&none).status, 421);
    let proxied = format!(
        "GET http://evil.example/api/series HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(served.raw(&proxied).status, 421);
}

#[test]
fn the_link_works_once_and_data_needs_the_cookie() {
    let env = filled();
    let served = Served::start(&env);
    let host = format!("127.0.0.1:{}", served.port);
    for cookie in [
        "",
        "backfill=x",
        "backfill-1=x",
        &format!("backfill-{}=x", served.port),
    ] {
        for path in DOCUMENTS {
            let response = served.request("GET", path, &host, cookie);
            assert_eq!(response.status, 401, "{path} with {cookie:?}");
            assert!(
                response.body.contains("backfill serve"),
                "{}",
                response.body
            );
        }
    }
    let again = served.request("GET", &served.link, &host, "");
    assert_eq!(again.status, 401);
    assert!(again.header("set-cookie").is_none());
    assert_eq!(served.request("GET", "/?token=", &host, "").status, 401);
    // A second click in the browser that was let in.
    assert_eq!(served.get(&served.link).status, 200);
    // The token itself is no cookie.
    let token = served.link.split_once('=').unwrap().1;
    let cookie = format!("backfill-{}={token}", served.port);
    assert_eq!(
        served.request("GET", "/api/series", &host, &cookie).status,
        401
    );
}

#[test]
fn only_get_and_head_are_allowed() {
    let env = filled();
    let served = Served::start(&env);
    let host = format!("127.0.0.1:{}", served.port);
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW",
    ] {
        for path in ["/api/series", "/", "/assets/page.js"] {
            let response = served.request(method, path, &host, &served.cookie);
            assert!(
                matches!(response.status, 400 | 405 | 421),
                "{method} {path}: {}",
                response.head
            );
            assert!(!response.body.contains("schema"));
        }
    }
    let response = served.request("POST", "/api/series", &host, &served.cookie);
    assert_eq!(
        (response.status, response.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let head = served.request("HEAD", "/api/series", &host, &served.cookie);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn no_path_leads_out_of_the_page() {
    let env = filled();
    env.write("data/staging/secret.txt", "secret");
    let served = Served::start(&env);
    for path in [
        "/../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2fdata/staging/secret.txt",
        "/data/staging/secret.txt",
        "//etc/passwd",
        "/assets/",
        "/api/../assets/../secret.txt",
        "/assets/page.js%00.txt",
    ] {
        let response = served.get(path);
        assert_eq!(response.status, 404, "{path}: {}", response.head);
        assert!(!response.body.contains("secret") && !response.body.contains("root:"));
    }
}

#[test]
fn responses_have_the_headers_that_keep_a_browser_safe() {
    let env = filled();
    let served = Served::start(&env);
    for path in [
        "/",
        "/assets/page.js",
        "/assets/page.css",
        "/api/series",
        "/nothing",
    ] {
        let response = served.get(path);
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        assert!(response.header("access-control-allow-origin").is_none());
        let cache = if path.starts_with("/a") && path != "/api/series" || path == "/" {
            "no-cache"
        } else {
            "no-store"
        };
        assert_eq!(response.header("cache-control"), Some(cache), "{path}");
    }
    let page = served.get("/assets/page.js");
    let etag = page.header("etag").unwrap();
    let port = served.port;
    let known = format!(
        "GET /assets/page.js HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nif-none-match: {etag}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(served.raw(&known).status, 304);
}

#[test]
fn no_document_has_a_folder_of_this_machine() {
    let env = filled();
    let bad = env.write("dump/bad.csv", "timestamp,open\nx,y\n");
    env.run(["inject-csv", bad.to_str().unwrap(), "--ticker", "BAD"]);
    let served = Served::start(&env);
    let folder = env.dir().to_str().unwrap();
    for path in DOCUMENTS {
        let response = served.get(path);
        assert!(!response.body.contains(folder), "{path}: {}", response.body);
    }
    assert!(
        served.get("/api/runs").body.contains("bad.csv"),
        "the file itself is named"
    );
}

#[test]
fn floods_do_not_stop_it() {
    let env = filled();
    let served = Served::start(&env);
    let held: Vec<TcpStream> = (0..200)
        .map(|at| {
            let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
            if at % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nho").unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(served.get("/api/series").status, 200);
    let huge = served.get(&format!("/api/bars?ticker={}", "A".repeat(1 << 20)));
    assert!(matches!(huge.status, 0 | 400..=499), "{}", huge.head);
    let long = served.get(&format!(
        "/api/bars?interval=1&ticker={}",
        "A".repeat(4 << 10)
    ));
    assert_eq!(long.status, 400);
    assert_eq!(
        served
            .get("/api/coverage?first=18446744073709551615&count=18446744073709551615")
            .status,
        200
    );
    assert_eq!(served.get("/api/bars?ticker=AAPL&interval=1&from=0001-01-01&to=9999-12-31&max=18446744073709551615").status, 200);
    assert_eq!(served.get("/api/series").status, 200);
    drop(held);
}

#[test]
fn a_run_in_another_process_continues_and_is_shown() {
    let env = filled();
    let served = Served::start(&env);
    let rows = || {
        served.get("/api/series").json()["totals"]["rows"]
            .as_u64()
            .unwrap()
    };
    let before = rows();
    env.write("new.csv", csv(&[("2025-01-13", 20.0)], 390));
    env.typed("inject-csv new.csv --ticker NEW --interval 1 --timezone America/New_York")
        .ok();
    let deadline = Instant::now() + Duration::from_secs(60);
    while rows() != before + 390 {
        assert!(Instant::now() < deadline, "the new bars are never seen");
        std::thread::sleep(Duration::from_millis(200));
    }
    let files = env.files("data/staging/lake");
    for path in DOCUMENTS {
        served.get(path);
    }
    assert_eq!(env.files("data/staging/lake"), files, "nothing is written");
    env.typed("verify").ok();
}

#[test]
fn another_address_needs_a_token() {
    let env = filled();
    let run = env.typed("serve --listen 127.0.0.1").code(2);
    assert!(run.stderr.contains("--token-file"), "{}", run.stderr);
    env.write("short.txt", "short\n");
    let run = env
        .typed("serve --listen 127.0.0.1 --token-file short.txt")
        .code(2);
    assert!(run.stderr.contains("at least 16"), "{}", run.stderr);
    env.write("token.txt", "a-token-of-the-team-2025\n");
    let (_running, url) = serve(
        &env,
        "--listen 127.0.0.1 --token-file token.txt --allow-host quant.example",
    );
    assert!(url.ends_with("/?token=a-token-of-the-team-2025"), "{url}");
    env.typed("serve --port 0 --store nowhere").code(1);
}
