//! A temporary Postgres: one cluster per test process, one database per test.
//!
//! A small shell starts the server and waits on a pipe of the test process. When the tests end, in any
//! way, the pipe closes, and the shell stops the server and removes its files. Without Postgres the
//! tests fail.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const START_SECONDS_MAX: u64 = 60;

/// Starts the server ("$@") and waits for standard input to close. Removes KEEPER_DIR, and the paths that match KEEPER_FILES.
pub const KEEPER: &str = r#"
"$@" >>log 2>&1 &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$KEEPER_DIR" $KEEPER_FILES
"#;

/// A running server.
pub struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    keeper: Child,
}

/// The database of one test.
pub struct Database {
    name: String,
    host: String,
    port: u16,
    psql: PathBuf,
}

impl Database {
    /// A new database on the shared cluster of this process.
    pub fn new() -> Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Cluster::start).database()
    }

    /// The same database through another port of this machine.
    pub fn through(&self, port: u16) -> Self {
        Self {
            name: self.name.clone(),
            host: "127.0.0.1".to_owned(),
            port,
            psql: self.psql.clone(),
        }
    }

    /// Its URL over TCP.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port that its server listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its server's unix socket.
    pub fn socket_dir(&self) -> &str {
        &self.host
    }

    /// Runs SQL and returns the rows, one per line, with `|` between columns.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let output = self.psql(sql);
        assert!(
            output.status.success(),
            "{sql}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// A session that runs SQL and keeps its locks until it is dropped.
    pub fn session(&self, sql: &str) -> Session<'_> {
        let sql = format!("BEGIN; {sql}; SELECT pg_sleep(100000)");
        let child = self
            .psql_command(&sql)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql runs");
        let session = Session { db: self, child };
        self.wait_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()");
        session
    }

    /// Waits until a query returns `t`.
    #[track_caller]
    pub fn wait_for(&self, sql: &str) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while self.psql(sql).stdout.trim_ascii() != b"t" {
            assert!(Instant::now() < deadline, "it never became true: {sql}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs SQL that may fail.
    pub fn psql(&self, sql: &str) -> Output {
        self.psql_command(sql).output().expect("psql runs")
    }

    /// A `psql` that runs SQL, not started yet.
    pub fn psql_command(&self, sql: &str) -> Command {
        let mut command = Command::new(&self.psql);
        command
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                &self.host,
            ])
            .args([
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
                "-d",
                &self.name,
                "-c",
                sql,
            ])
            .env("PGTZ", "UTC");
        command
    }
}

/// A session that holds locks until it is dropped.
pub struct Session<'a> {
    db: &'a Database,
    child: Child,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.db.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE wait_event = 'PgSleep' AND datname = current_database()",
        );
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cluster {
    /// Starts a server for the caller only; most tests use [`Database::new`].
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more settings, each `name=value`.
    pub fn start_with(settings: &[&str]) -> Self {
        let bin = binaries();
        let owner = owner();
        let dir = tempfile::Builder::new()
            .prefix("bfpg-") // short: the path of a unix socket has room for 107 bytes
            .tempdir_in("/tmp")
            .expect("a folder for Postgres can be made")
            .keep();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((uid, gid)) = owner {
            chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        let init = command(&bin.join("initdb"), &dir, owner)
            .args(["-D", "data", "-U", "postgres", "--auth=trust", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C"])
            .output()
            .expect("initdb runs");
        assert!(
            init.status.success(),
            "initdb failed:\n{}",
            String::from_utf8_lossy(&init.stderr)
        );
        for _ in 0..5 {
            let port = free_port();
            let keeper = keep(&bin, &dir, owner, port, settings);
            let mut cluster = Self {
                dir: dir.clone(),
                bin: bin.clone(),
                owner,
                port,
                keeper,
            };
            if cluster.wait_until_ready() {
                return cluster;
            }
            // Another program took the port. The keeper removes the folder at the end.
            let _ = cluster.keeper.kill();
            let _ = cluster.keeper.wait();
            std::mem::forget(cluster);
        }
        let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
        panic!("Postgres did not start:\n{log}");
    }

    /// A new, empty database.
    pub fn database(&self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let handle = |name: &str| Database {
            name: name.to_owned(),
            host: self.dir.display().to_string(),
            port: self.port,
            psql: self.bin.join("psql"),
        };
        handle("postgres").sql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        handle(&name)
    }

    /// The server's data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Kills the server (-9) and its backends, and waits until none of them runs.
    ///
    /// A backend that survives its server would acknowledge commits that the next server lacks.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap();
        let server = pid.lines().next().unwrap().to_owned();
        let kill =
            |signal: &str, pid: &str| drop(Command::new("kill").args([signal, pid]).output());
        // A stopped server starts no children while they are listed.
        kill("-STOP", &server);
        let listed = Command::new("pgrep").args(["-P", &server]).output();
        let listed = String::from_utf8(listed.expect("pgrep runs").stdout).unwrap();
        let mut all: Vec<String> = listed.lines().map(str::to_owned).collect();
        all.push(server);
        for pid in &all {
            kill("-KILL", pid);
        }
        let runs = |pid: &String| {
            let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output();
            let state = String::from_utf8(state.expect("ps runs").stdout).unwrap();
            !matches!(state.trim().chars().next(), None | Some('Z'))
        };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while all.iter().any(runs) {
            assert!(Instant::now() < deadline, "a killed server still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the server again after [`kill`](Self::kill), on the same port.
    pub fn restart(&mut self, settings: &[&str]) {
        // The keeper is killed, because it would remove the folder.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = fs::remove_file(self.data_dir().join("postmaster.pid"));
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            self.keeper = keep(&self.bin, &self.dir, self.owner, self.port, settings);
            if self.wait_until_ready() {
                return;
            }
            let _ = self.keeper.kill();
            let _ = self.keeper.wait();
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("Postgres did not start again");
    }

    fn wait_until_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        let started = Instant::now();
        while Instant::now() < deadline {
            let ready = Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-h", &self.dir.display().to_string()])
                .args(["-p", &self.port.to_string()])
                .status()
                .expect("pg_isready runs");
            if ready.success() {
                return true;
            }
            let gone = !self.data_dir().join("postmaster.pid").exists();
            if gone && started.elapsed() > Duration::from_secs(3) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn keep(bin: &Path, dir: &Path, owner: Option<(u32, u32)>, port: u16, settings: &[&str]) -> Child {
    let mut keeper = command(Path::new("/bin/sh"), dir, owner);
    keeper
        .args(["-c", KEEPER, "keeper"])
        .arg(bin.join("postgres"))
        .args(["-D", "data", "-p", &port.to_string()])
        .arg("-k")
        .arg(dir)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .args(["-c", "max_connections=200", "-c", "shared_buffers=32MB"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .env("KEEPER_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0); // so that Ctrl-C doesn't reach the server: the keeper ends it
    keeper.spawn().expect("a shell starts")
}

/// A command in the cluster's folder, as a user who may run Postgres.
pub(super) fn command(program: &Path, dir: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C");
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

/// Postgres refuses to run as root; then it runs as `postgres`, or else `nobody`.
pub(super) fn owner() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let ids = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(
        ids("postgres")
            .or_else(|| ids("nobody"))
            .expect("there is a user postgres or nobody to run Postgres as"),
    )
}

/// The folder of the newest installed Postgres.
fn binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for base in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.trim_start_matches("postgresql@").parse();
            if let Ok(version) = version {
                found.push((version, entry.path().join("bin")));
            }
        }
    }
    found.sort();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let all = found
        .into_iter()
        .rev()
        .map(|(_, bin)| bin)
        .chain(std::env::split_paths(&on_path));
    all.into_iter()
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .expect("no Postgres is installed, and these tests need one: `make setup` installs it")
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

#[test]
fn databases_are_separate() {
    let (one, two) = (Database::new(), Database::new());
    one.sql("CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2)");
    assert_eq!(one.sql("SELECT sum(x) FROM t"), "3");
    assert!(!two.psql("SELECT * FROM t").status.success());
    assert!(one.url().ends_with(one.name()));
}

#[test]
fn a_killed_server_restarts() {
    let mut cluster = Cluster::start();
    let database = cluster.database();
    database.sql("CREATE TABLE t AS SELECT 7 AS x");
    cluster.kill();
    assert!(!database.psql("SELECT 1").status.success());
    cluster.restart(&[]);
    assert_eq!(database.sql("SELECT x FROM t"), "7");
}
