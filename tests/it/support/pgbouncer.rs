//! A temporary pgbouncer for a test's server, ended like the server by a shell that waits on a pipe.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::Database;
use super::postgres::{KEEPER, command, free_port, owner};

const START_SECONDS_MAX: u64 = 30;

/// A running pgbouncer.
pub struct Pooler {
    port: u16,
    keeper: Child,
}

impl Pooler {
    /// Starts one with this many connections to the server of `database`. `mode` is `session`,
    /// `transaction` or `statement`.
    pub fn start(database: &Database, mode: &str, connections: u32) -> Self {
        for _ in 0..5 {
            if let Some(pooler) = Self::try_start(database, mode, connections) {
                return pooler;
            }
        }
        panic!("pgbouncer did not start; `make setup` installs it");
    }

    fn try_start(database: &Database, mode: &str, connections: u32) -> Option<Self> {
        let dir = tempfile::Builder::new()
            .prefix("bfpb-")
            .tempdir_in("/tmp")
            .expect("a folder for pgbouncer can be made")
            .keep();
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {connections}\n",
            database.port()
        );
        fs::write(dir.join("settings.ini"), settings).unwrap();
        let owner = owner();
        if let Some((uid, gid)) = owner {
            chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        let program = [
            "/usr/sbin/pgbouncer",
            "/usr/bin/pgbouncer",
            "/usr/local/bin/pgbouncer",
        ]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("pgbouncer");
        let keeper = command(Path::new("/bin/sh"), &dir, owner)
            // Started in the background by a shell, it ignores QUIT; Postgres doesn't.
            .args(["-c", &KEEPER.replace("-QUIT", "-TERM")])
            .args(["keeper", program, "settings.ini"])
            .env("KEEPER_DIR", &dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let pooler = Self { port, keeper };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(pooler);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database through it.
    pub fn url(&self, database: &Database) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{}?sslmode=disable",
            self.port,
            database.name()
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
