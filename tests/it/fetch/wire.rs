//! A server of a few lines, for tests of a provider that must not share any code with its simulator.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
pub(super) struct Received<'a> {
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) headers: &'a str,
    /// How many requests came before.
    pub(super) number: usize,
}

impl Received<'_> {
    /// The query's parameter of this name, decoded.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://server{}", self.target)).unwrap();
        let mut pairs = url.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// A status line and a body.
pub(super) type Response = (&'static str, String);

/// A running server, and the targets of its requests.
pub(super) struct Server {
    pub(super) url: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each request as `respond` says. An empty status closes the connection.
    pub(super) fn start(
        respond: impl Fn(&Received<'_>) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let requests = log.clone();
        let respond = Arc::new(respond);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, respond) = (requests.clone(), respond.clone());
                std::thread::spawn(move || serve(stream, &*respond, &requests));
            }
        });
        Self { url, log }
    }

    /// The requests since the last call.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn serve(stream: TcpStream, respond: &dyn Fn(&Received<'_>) -> Response, log: &Mutex<Vec<String>>) {
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
        let number = {
            let mut log = log.lock().unwrap();
            log.push(target.clone());
            log.len() - 1
        };
        let (status, body) = respond(&Received {
            target: &target,
            headers: &headers,
            number,
        });
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
        if status.is_empty()
            || reader
                .get_mut()
                .write_all((head + &body).as_bytes())
                .is_err()
        {
            return;
        }
    }
}
