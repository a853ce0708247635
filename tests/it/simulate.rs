//! `simulate`: the simulator as a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::support::{Running, TestEnv};

/// Starts a simulator; returns its base URL too.
fn simulate(env: &TestEnv, more: &str) -> (Running, String) {
    let words = format!("simulate {more}");
    let mut running = env.program(words.split_whitespace()).spawn();
    let mut lines = BufReader::new(running.child().stdout.as_mut().unwrap()).lines();
    let url = lines.next().expect("the URL comes first").unwrap();
    (running, url)
}

/// The head and body of a response.
fn get(url: &str, path: &str) -> (String, String) {
    let (host, base) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{base}{path} HTTP/1.1\r\nhost: {host}\r\napikey: k\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

const DAY: &str = "/historical-chart/1hour?symbol=AAPL&from=2025-02-04&to=2025-02-04";

#[test]
fn the_url_comes_first_and_ctrl_c_ends_it() {
    let env = TestEnv::new();
    let (running, url) = simulate(&env, "");
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/stable"),
        "{url}"
    );
    let (head, body) = get(&url, DAY);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        body.starts_with("[{\"date\":\"2025-02-04 15:30:00\",\"open\":"),
        "{body}"
    );
    running.signal("INT");
    running.wait().ok();
    assert!(env.files(".").is_empty(), "it writes nothing");
}

#[test]
fn faults_plan_and_seed_are_taken_from_the_command_line() {
    let env = TestEnv::new();
    let (_first, faulty) = simulate(&env, "--fault 500=1 --fault 402-symbol@MSFT");
    assert!(get(&faulty, DAY).0.starts_with("HTTP/1.1 500"));
    let good = get(&faulty, DAY);
    assert!(good.0.starts_with("HTTP/1.1 200"));
    assert!(
        get(&faulty, &DAY.replace("AAPL", "MSFT"))
            .0
            .starts_with("HTTP/1.1 402")
    );

    let (_second, same) = simulate(&env, "--seed 1 --tier free");
    assert!(
        get(&same, DAY).0.starts_with("HTTP/1.1 402"),
        "free has nothing intraday"
    );
    let (_third, other) = simulate(&env, "--seed 2");
    assert_ne!(get(&other, DAY).1, good.1);
}

#[test]
fn a_csv_file_can_be_served() {
    let env = TestEnv::new();
    env.write(
        "bars.csv",
        "ticker,timestamp,open,high,low,close,volume\nAAPL,2025-02-04T14:30:00Z,10,11,9,10.5,7\n",
    );
    let (_running, url) = simulate(&env, "--bars bars.csv");
    assert_eq!(
        get(&url, DAY).1,
        "[{\"date\":\"2025-02-04 09:30:00\",\"open\":10,\"low\":9,\"high\":11,\"close\":10.5,\"volume\":7}]"
    );
}

#[test]
fn wrong_settings_are_refused() {
    let env = TestEnv::new();
    for (line, part) in [
        ("simulate --fault 418", "isn't a fault; faults are 500"),
        ("simulate --fault 500=often", "has no valid frequency"),
        ("simulate --tier gold", "plans are free, starter"),
    ] {
        let run = env.typed(line).code(2);
        assert!(run.stderr.contains(part), "{}", run.snapshot());
    }
    let run = env.typed("simulate --bars none.csv").code(1);
    assert!(run.stderr.contains("none.csv"), "{}", run.snapshot());
    let (_running, url) = simulate(&env, "");
    let port = url.rsplit(':').next().unwrap().trim_end_matches("/stable");
    let run = env.typed(&format!("simulate --port {port}")).code(1);
    assert!(run.stderr.contains("hint: --port 0"), "{}", run.snapshot());
}
