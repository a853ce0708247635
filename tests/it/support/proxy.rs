//! A TCP proxy that counts the client's messages and cuts the connection at one of them.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the server receives the message.
    Before(u64),
    /// After the server received the message: it executes it, but its response is lost.
    After(u64),
}

/// How the messages of a client are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Postgres,
    Http,
}

/// A proxy in front of a server on this machine. Ends with the process.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    server: u16,
    protocol: Protocol,
    cut: Cut,
    /// Whether later connections are refused too.
    for_good: bool,
    /// What the server receives instead of a message.
    edit: fn(Vec<u8>) -> Vec<u8>,
    messages: AtomicU64,
    was_cut: AtomicBool,
}

impl Proxy {
    pub fn start(server: u16, protocol: Protocol, cut: Cut, for_good: bool) -> Self {
        Self::start_state(State {
            server,
            protocol,
            cut,
            for_good,
            edit: |message| message,
            messages: AtomicU64::new(0),
            was_cut: AtomicBool::new(false),
        })
    }

    /// A proxy that changes each message.
    pub fn editing(server: u16, protocol: Protocol, edit: fn(Vec<u8>) -> Vec<u8>) -> Self {
        Self::start_state(State {
            server,
            protocol,
            cut: Cut::Before(0), // the first message is number 1
            for_good: false,
            edit,
            messages: AtomicU64::new(0),
            was_cut: AtomicBool::new(false),
        })
    }

    fn start_state(state: State) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let state = Arc::new(state);
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let state = Arc::clone(&shared);
                let Ok(client) = client else { return };
                if state.for_good && state.was_cut.load(Ordering::SeqCst) {
                    continue;
                }
                std::thread::spawn(move || serve(client, &state));
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection was cut.
    pub fn was_cut(&self) -> bool {
        self.state.was_cut.load(Ordering::SeqCst)
    }
}

fn serve(client: TcpStream, state: &State) {
    let mut server = TcpStream::connect(("127.0.0.1", state.server)).unwrap();
    // Without this, each message would wait for an acknowledgement of the one before.
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let mut messages = BufReader::new(client);
    let _ = pump(&mut messages, &mut server, state);
    let _ = messages.get_ref().shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Write);
}

/// Forwards the client's messages one by one.
fn pump(client: &mut BufReader<TcpStream>, server: &mut TcpStream, state: &State) -> Result<()> {
    let mut is_first = true;
    loop {
        let message = match state.protocol {
            Protocol::Postgres => postgres_message(client, is_first)?,
            Protocol::Http => http_request(client)?,
        };
        is_first = false;
        let number = state.messages.fetch_add(1, Ordering::SeqCst) + 1;
        let cut = state.cut == Cut::Before(number) || state.cut == Cut::After(number);
        if cut {
            state.was_cut.store(true, Ordering::SeqCst);
            // Before the message is forwarded, so that no response reaches the client.
            client.get_ref().shutdown(Shutdown::Both)?;
        }
        if state.cut != Cut::Before(number) {
            server.write_all(&(state.edit)(message))?;
        }
        if cut {
            return Ok(());
        }
    }
}

fn postgres_message(client: &mut impl Read, is_first: bool) -> Result<Vec<u8>> {
    // The first message has no type byte.
    let head_len = if is_first { 4 } else { 5 };
    let mut message = vec![0; head_len];
    client.read_exact(&mut message)?;
    let len = u32::from_be_bytes(message[head_len - 4..].try_into().unwrap()) as usize;
    message.resize(head_len - 4 + len, 0);
    client.read_exact(&mut message[head_len..])?;
    Ok(message)
}

fn http_request(client: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    while !message.ends_with(b"\r\n\r\n") {
        if client.read_until(b'\n', &mut message)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
    assert!(!head.contains("\r\ntransfer-encoding:"), "{head}");
    let len = head.split("\r\ncontent-length:").nth(1).map_or(0, |rest| {
        rest.lines().next().unwrap().trim().parse().unwrap()
    });
    let head_len = message.len();
    message.resize(head_len + len, 0);
    client.read_exact(&mut message[head_len..])?;
    Ok(message)
}
