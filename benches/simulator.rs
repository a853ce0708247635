//! How fast the simulator answers over one connection: it must not be what the fetch comparison measures.

#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use backfill::model::Timestamp;
use backfill::simulator::{Clock, Config, Simulator};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

struct Client {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Client {
    /// Asks over the same connection and returns the length of the body.
    fn ask(&mut self, query: &str) -> usize {
        let request = format!(
            "GET /stable/historical-chart/{query} HTTP/1.1\r\nhost: localhost\r\napikey: k\r\n\r\n"
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).unwrap();
        length
    }
}

fn bench(c: &mut Criterion) {
    let clock: Clock = Arc::new(|| Timestamp::from_micros(1_767_200_000_000_000));
    let running = Simulator::start(Config::default(), clock).unwrap();
    let mut client = Client {
        stream: BufReader::with_capacity(1 << 18, TcpStream::connect(running.address()).unwrap()),
        body: Vec::new(),
    };
    let mut group = c.benchmark_group("simulator");
    for (name, query, bars) in [
        (
            "three days of 1min",
            "1min?symbol=AAPL&from=2025-02-04&to=2025-02-06",
            1_170,
        ),
        (
            "ninety days of 1hour",
            "1hour?symbol=AAPL&from=2025-02-01&to=2025-05-01",
            434,
        ),
    ] {
        group.throughput(Throughput::Elements(bars));
        group.bench_function(name, |bencher| bencher.iter(|| client.ask(query)));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
