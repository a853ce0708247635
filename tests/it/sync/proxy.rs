//! A TCP proxy that counts the client's messages and cuts the connection at one of them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the server receives the message.
    Before(u64),
    /// After the server received the message: it executes it, but its answer is lost.
    After(u64),
}

/// A proxy in front of a server on this machine. Ends with the process.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    server: u16,
    cut: Cut,
    /// Whether later connections are refused too.
    for_good: bool,
    messages: AtomicU64,
    was_cut: AtomicBool,
}

impl Proxy {
    pub fn start(server: u16, cut: Cut, for_good: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let state = Arc::new(State {
            server,
            cut,
            for_good,
            messages: AtomicU64::new(0),
            was_cut: AtomicBool::new(false),
        });
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

    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Whether the connection was cut.
    pub fn was_cut(&self) -> bool {
        self.state.was_cut.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, state: &State) {
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
    let _ = pump(&mut client, &mut server, state);
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Write);
}

/// Forwards the client's messages one by one.
fn pump(client: &mut TcpStream, server: &mut TcpStream, state: &State) -> std::io::Result<()> {
    let mut first = true;
    loop {
        // The first message has no type byte.
        let head_len = if first { 4 } else { 5 };
        let mut message = vec![0; head_len];
        client.read_exact(&mut message)?;
        first = false;
        let len = u32::from_be_bytes(message[head_len - 4..].try_into().unwrap()) as usize;
        message.resize(head_len - 4 + len, 0);
        client.read_exact(&mut message[head_len..])?;
        let number = state.messages.fetch_add(1, Ordering::SeqCst) + 1;
        let cut = state.cut == Cut::Before(number) || state.cut == Cut::After(number);
        if cut {
            state.was_cut.store(true, Ordering::SeqCst);
            // Before the message is forwarded, so that no answer reaches the client.
            client.shutdown(Shutdown::Both)?;
        }
        if state.cut != Cut::Before(number) {
            server.write_all(&message)?;
        }
        if cut {
            return Ok(());
        }
    }
}
