//! Other engines that read and change the table: a Python process with delta-rs, Polars, DuckDB and Sail.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::seaweed::{Server, Table, venv};

/// All that read Delta tables here.
pub const ENGINES: [&str; 4] = ["delta-rs", "Polars", "DuckDB", "Sail"];

/// The process of engines.py. It ends when this is dropped, or with the test process.
pub struct Engines {
    process: Child,
    requests: Option<ChildStdin>,
    responses: BufReader<ChildStdout>,
}

impl Engines {
    /// A process for the caller only.
    pub fn start(table: &Table) -> Self {
        let python = venv("python");
        assert!(
            python.exists(),
            "{} is missing: `make test-cluster` installs it",
            python.display()
        );
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cluster/engines.py"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::temp_dir())
            .env("LC_ALL", "C.UTF-8")
            .envs(table.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        Self {
            requests: process.stdin.take(),
            responses: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// The process that all tests share: loading the engines takes a second.
    pub fn shared() -> MutexGuard<'static, Self> {
        static SHARED: OnceLock<Mutex<Engines>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let server = Server::shared();
            Mutex::new(Self::start(&server.table_in("lake")))
        });
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an action of engines.py, and returns its result or its error.
    pub fn attempt(&mut self, action: &str, table: &Table, with: &Value) -> Result<Value, String> {
        let mut request = json!({"do": action, "url": table.url});
        for (name, value) in with.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        if action == "polled" {
            request.as_object_mut().unwrap().remove("url");
        }
        writeln!(self.requests.as_mut().unwrap(), "{request}").unwrap();
        let mut line = String::new();
        self.responses.read_line(&mut line).unwrap();
        let mut response: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{request}: {error}: {line:?}"));
        match response["error"].as_str() {
            Some(error) => Err(format!("{error}\n{}", response["trace"])),
            None => Ok(response["ok"].take()),
        }
    }

    /// Runs an action that must succeed.
    #[track_caller]
    pub fn run(&mut self, action: &str, table: &Table, with: &Value) -> Value {
        self.attempt(action, table, with)
            .unwrap_or_else(|error| panic!("{action} of {}: {error}", table.url))
    }

    /// What an engine counts in the table: see `count` in engines.py.
    #[track_caller]
    pub fn count(&mut self, table: &Table, engine: &str) -> Value {
        self.run("count", table, &json!({ "engine": engine }))
    }

    /// The newest version of the table.
    #[track_caller]
    pub fn version(&mut self, table: &Table) -> u64 {
        let version = self.run("version", table, &json!({}));
        version.as_u64().unwrap()
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        drop(self.requests.take());
        let _ = self.process.wait();
    }
}
