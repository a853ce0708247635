//! A server of a few lines, for tests of a provider that must not share any code with its simulator.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::Program;

/// A request as it came.
pub(super) struct Received<'a> {
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) headers: &'a str,
    /// How many requests came before.
    pub(super) number: usize,
}

impl Received<'_> {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The query's parameter of this name, decoded.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://server{}", self.target)).unwrap();
        let mut pairs = url.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// A response. Without a status, the connection is closed instead.
#[derive(Clone)]
pub(super) struct Response {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    is_cut: bool,
}

impl Response {
    pub(super) fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            is_cut: false,
        }
    }

    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new("200 OK", body)
    }

    /// The connection ends without a response.
    pub(super) fn closed() -> Self {
        Self::new("", "")
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, compressed.
    pub(super) fn gzipped(mut self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.header("content-encoding", "gzip")
    }

    /// The same, but the connection ends in the middle of the body.
    pub(super) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// Writes it, and returns whether the connection can be used again.
    fn write(&self, stream: &mut TcpStream) -> bool {
        if self.status.is_empty() {
            return false;
        }
        let length = self.body.len();
        let mut head = format!("HTTP/1.1 {}\r\ncontent-length: {length}\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let sent = if self.is_cut { length / 2 } else { length };
        let bytes = [(head + "\r\n").as_bytes(), &self.body[..sent]].concat();
        stream.write_all(&bytes).is_ok() && !self.is_cut
    }
}

impl<B: Into<Vec<u8>>> From<(&'static str, B)> for Response {
    fn from((status, body): (&'static str, B)) -> Self {
        Self::new(status, body)
    }
}

/// A running server, and the targets of its requests.
pub(super) struct Server {
    pub(super) url: String,
    log: Arc<Mutex<Vec<String>>>,
    received: Arc<AtomicUsize>,
}

impl Server {
    /// A server that responds to each request as `respond` says.
    pub(super) fn start<R: Into<Response>>(
        respond: impl Fn(&Received<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::new(AtomicUsize::new(0));
        let (requests, count) = (log.clone(), received.clone());
        let respond = Arc::new(move |received: &Received<'_>| respond(received).into());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, count) = (requests.clone(), count.clone());
                let respond = respond.clone();
                std::thread::spawn(move || serve(stream, &*respond, &requests, &count));
            }
        });
        Self { url, log, received }
    }

    /// Kills a program when this many requests came in all.
    pub(super) fn kill_after(&self, program: Program<'_>, requests: usize) {
        let running = program.spawn();
        let limit = Instant::now() + Duration::from_secs(60);
        while self.received.load(Ordering::SeqCst) < requests {
            assert!(Instant::now() < limit, "no {requests} requests");
            std::thread::sleep(Duration::from_millis(2));
        }
        running.kill();
    }

    /// The requests since the last call.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn serve(
    stream: TcpStream,
    respond: &dyn Fn(&Received<'_>) -> Response,
    log: &Mutex<Vec<String>>,
    count: &AtomicUsize,
) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        let mut headers = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            headers += &line;
        }
        let target = first.split(' ').nth(1).unwrap().to_owned();
        log.lock().unwrap().push(target.clone());
        let number = count.fetch_add(1, Ordering::SeqCst);
        let response = respond(&Received {
            target: &target,
            headers: &headers,
            number,
        });
        if !response.write(reader.get_mut()) {
            return;
        }
    }
}
