//! A server for object storage: SeaweedFS, one per test process, with a table's folder per test.
//!
//! A small shell keeps it, as with Postgres: when the tests end, in any way, the server is killed and
//! its files are removed. Without SeaweedFS the tests fail: `make test-cluster` installs it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::{KEEPER, Program, free_port};

const START_SECONDS_MAX: u64 = 60;

/// An id and a secret that the server knows, and what they may do.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    pub id: &'static str,
    pub secret: &'static str,
}

/// May do everything.
pub const ADMIN: Keys = Keys {
    id: "ADMINKEYADMINKEY",
    secret: "adminSecret+/adminSecret",
};

/// May only read.
pub const READER: Keys = Keys {
    id: "READERKEYREADERKEY",
    secret: "readerSecret+/readerSecret",
};

/// The bucket of most tests, and one that a test fills.
pub const BUCKETS: [&str; 2] = ["lake", "small"];

/// A running server.
pub struct Server {
    dir: PathBuf,
    master: u16,
    filer: u16,
    s3: u16,
    https: u16,
    keeper: Child,
}

impl Server {
    /// The server of this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(|_| Vec::new()))
    }

    /// Starts a server, with more options that can name files of its folder.
    pub fn start(options: impl Fn(&Path) -> Vec<String>) -> Self {
        let program = venv("weed");
        assert!(
            program.exists(),
            "{} is missing: `make test-cluster` installs it",
            program.display()
        );
        for _ in 0..5 {
            let dir = tempfile::Builder::new()
                .prefix("bfweed-")
                .tempdir_in("/tmp")
                .expect("a folder for SeaweedFS can be made")
                .keep();
            let mut server = Self::try_start(&program, dir.clone(), &options(&dir));
            if server.wait_until_ready() {
                return server;
            }
            // Another program took a port.
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            eprintln!("SeaweedFS did not start:\n{log}");
        }
        panic!("SeaweedFS did not start");
    }

    fn try_start(program: &Path, dir: PathBuf, options: &[String]) -> Self {
        let identity = |keys: Keys, actions: &[&str]| {
            serde_json::json!({
                "name": keys.id,
                "credentials": [{"accessKey": keys.id, "secretKey": keys.secret}],
                "actions": actions,
            })
        };
        let identities = [
            identity(ADMIN, &["Admin", "Read", "List", "Tagging", "Write"]),
            identity(READER, &["Read", "List"]),
        ];
        fs::write(
            dir.join("keys.json"),
            serde_json::json!({ "identities": identities }).to_string(),
        )
        .unwrap();
        fs::create_dir(dir.join("data")).unwrap();
        let [master, master_grpc, filer, filer_grpc, volume, volume_grpc] = free_ports();
        let [s3, s3_grpc, https, ..] = free_ports::<6>();
        let (admin, admin_grpc) = admin_ports();
        let ports = [
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
            ("s3.port", s3),
            ("s3.port.grpc", s3_grpc),
            ("s3.port.https", https),
            ("s3.port.iceberg", 0),
            ("s3.port.lance", 0),
            ("admin.port", admin),
            ("admin.port.grpc", admin_grpc),
        ];
        // Its sockets that have no option for their path.
        let sockets = ports.map(|(_, port)| format!("/tmp/seaweedfs-*-{port}.sock"));
        let mut keeper = Command::new("/bin/sh");
        keeper
            .args(["-c", &KEEPER.replace("-QUIT", "-KILL"), "keeper"])
            .arg(program)
            .args(["-logdir=.", "mini", "-dir=data", "-s3.config=keys.json"])
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args(["-master.telemetry=false", "-admin.ui=false"])
            // Else an upload with the administrator's keys makes the bucket that it names.
            .args(["-webdav=false", "-s3.autoCreateBucket=false"])
            .args(["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"])
            .arg(format!("-bucket={}", BUCKETS.join(",")))
            // HTTPS needs a certificate.
            .args(ports.iter().filter_map(|(name, port)| {
                let is_set = *name != "s3.port.https"
                    || options.iter().any(|option| option.contains("s3.cert"));
                is_set.then(|| format!("-{name}={port}"))
            }))
            .args(options)
            .current_dir(&dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &dir)
            .env("KEEPER_DIR", &dir)
            .env("KEEPER_FILES", sockets.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0); // so that Ctrl-C doesn't reach the server: the keeper ends it
        Self {
            dir,
            master,
            filer,
            s3,
            https,
            keeper: keeper.spawn().expect("a shell starts"),
        }
    }

    fn wait_until_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if log.contains("are running and ready to use") {
                return true;
            }
            if log.contains("Port allocation failed") {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// The port that speaks S3.
    pub fn port(&self) -> u16 {
        self.s3
    }

    /// The port that speaks S3 over TLS, if the server has a certificate.
    pub fn https_port(&self) -> u16 {
        self.https
    }

    /// A new table's place in a bucket.
    pub fn table_in(&self, bucket: &str) -> Table {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Table {
            url: format!("s3://{bucket}/t{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            endpoint: format!("http://127.0.0.1:{}", self.s3),
            keys: ADMIN,
        }
    }

    /// Runs commands of SeaweedFS's own shell.
    pub fn shell(&self, commands: &str) -> String {
        let port = |name: &str, port: u16| {
            let options = fs::read_to_string(self.dir.join("data/mini.options")).unwrap();
            let prefix = format!("{name}.port.grpc=");
            let grpc = options
                .lines()
                .find_map(|line| line.strip_prefix(&prefix))
                .unwrap_or_else(|| panic!("{prefix} is not in {options}"));
            format!("127.0.0.1:{port}.{}", grpc.trim_matches('"'))
        };
        let mut shell = Command::new(venv("weed"))
            .args(["shell", "-master", &port("master", self.master)])
            .args(["-filer", &port("filer", self.filer)])
            .env("HOME", &self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("SeaweedFS's shell starts");
        use std::io::Write;
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(commands.as_bytes())
            .unwrap();
        let output = shell.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where a test's table is, and how it is reached.
#[derive(Clone, Debug)]
pub struct Table {
    pub url: String,
    pub endpoint: String,
    pub keys: Keys,
}

impl Table {
    /// A new one on the server of this process.
    pub fn new() -> Self {
        Server::shared().table_in(BUCKETS[0])
    }

    /// The same table through another port of this machine.
    pub fn through(&self, port: u16) -> Self {
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            ..self.clone()
        }
    }

    /// The same table with other keys.
    pub fn with(&self, keys: Keys) -> Self {
        Self {
            keys,
            ..self.clone()
        }
    }

    /// The variables by which programs reach it.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", self.keys.id.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.keys.secret.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// A command line with these variables.
    pub fn reached_by<'a>(&self, program: Program<'a>) -> Program<'a> {
        self.variables()
            .into_iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }
}

/// A program of the environment that `make test-cluster` makes.
pub fn venv(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vendor/cluster/bin")
        .join(program)
}

/// Different ports that are free.
fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until each is known.
    let listeners = std::array::from_fn::<_, N, _>(|_| TcpListener::bind(("127.0.0.1", 0)));
    listeners.map(|listener| listener.unwrap().local_addr().unwrap().port())
}

/// A client inside SeaweedFS expects this port at a fixed offset and ignores `-admin.port.grpc`.
fn admin_ports() -> (u16, u16) {
    loop {
        let grpc = free_port();
        if grpc > 20_000 && TcpListener::bind(("127.0.0.1", grpc - 10_000)).is_ok() {
            return (grpc - 10_000, grpc);
        }
    }
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_server_has_its_buckets() {
    let server = Server::shared();
    let listed = server.shell("s3.bucket.list\n");
    for bucket in BUCKETS {
        assert!(listed.contains(bucket), "{listed}");
    }
}
