//! A scratch folder in which the program runs, and its results.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A run that takes longer hangs, and is killed.
const RUN_SECONDS_MAX: u64 = 300;

/// A scratch folder, removed when dropped. It is the working folder of the programs run in it.
pub struct TestEnv {
    dir: tempfile::TempDir,
}

/// A command line of the program, not run yet.
pub struct Program<'a> {
    env: &'a TestEnv,
    command: Command,
    stdin: Option<Vec<u8>>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    dir: PathBuf,
}

/// A running program. Killed (-9) when dropped.
pub struct Running {
    child: Option<Child>,
    dir: PathBuf,
}

impl TestEnv {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("backfill-it-")
            .tempdir()
            .expect("a scratch folder can be made");
        Self { dir }
    }

    /// The scratch folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path inside it.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir().join(relative)
    }

    /// Writes a file, and makes its folders.
    pub fn write(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// Reads a file.
    pub fn read(&self, relative: &str) -> String {
        let path = self.path(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// All files below the folder, relative, sorted.
    pub fn files(&self, relative: &str) -> Vec<String> {
        fn walk(dir: &Path, base: &Path, found: &mut Vec<String>) {
            let Ok(entries) = fs::read_dir(dir) else {
                return;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, base, found);
                } else {
                    found.push(path.strip_prefix(base).unwrap().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(relative), self.dir(), &mut found);
        found.sort();
        found
    }

    /// A command line that can get variables or standard input before it runs.
    pub fn program<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Program<'_> {
        // A long run can use a copy, so that the next build doesn't replace it.
        let mut command = Command::new(
            std::env::var_os("BACKFILL_PROGRAM")
                .unwrap_or_else(|| env!("CARGO_BIN_EXE_backfill").into()),
        );
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir())
            .env("TMPDIR", std::env::temp_dir())
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "100")
            .current_dir(self.dir());
        Program {
            env: self,
            command,
            stdin: None,
        }
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        self.program(args).run()
    }

    /// Runs a command line as typed: words between spaces.
    pub fn typed(&self, line: &str) -> Run {
        self.run(line.split_whitespace())
    }
}

impl Program<'_> {
    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets its standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Under a limit that the shell sets first: `ulimit -n 20`.
    pub fn limited(mut self, limit: &str) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .current_dir(self.env.dir());
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        self.command = command;
        self
    }

    /// Another working folder.
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Run {
        self.spawn().wait()
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        let stdin = self.stdin.take();
        self.command
            .stdin(if stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
            // In a thread: a program that doesn't read all of it must not block the test.
            std::thread::spawn(move || {
                let _ = pipe.write_all(&bytes);
            });
        }
        Running {
            child: Some(child),
            dir: self.env.dir().to_path_buf(),
        }
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The process itself, to read its pipes as they fill.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// Sends a signal by name: `INT`, `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Kills it, and waits for its end.
    pub fn kill(self) -> Run {
        self.signal("KILL");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Run {
        let mut child = self.child.take().unwrap();
        let id = child.id();
        let (done, ended) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            let limit = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
            while Instant::now() < limit {
                if ended.recv_timeout(Duration::from_secs(1))
                    != Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    return false;
                }
            }
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            true
        });
        drop(child.stdin.take());
        let output = child.wait_with_output().expect("the program ends");
        drop(done);
        let run = Run {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            dir: self.dir.clone(),
        };
        assert!(
            !watch.join().unwrap(),
            "the program hung for {RUN_SECONDS_MAX} s\n{run:#?}"
        );
        run
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Run {
    /// Standard output as text.
    pub fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is UTF-8")
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.snapshot()))
    }

    /// Panics with all output unless the program ended with this code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "\n{}", self.snapshot());
        self
    }

    /// Panics unless it ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Panics if the program printed this.
    #[track_caller]
    pub fn hides(&self, secret: &str) {
        assert!(
            !self.stderr.contains(secret) && !self.out().contains(secret),
            "{}",
            self.snapshot()
        );
    }

    /// Code, standard output and standard error together, with times, paths and ids redacted: for insta.
    pub fn snapshot(&self) -> String {
        let code = self
            .code
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let out = self.redact(&String::from_utf8_lossy(&self.stdout));
        let err = self.redact(&self.stderr);
        format!("exit code: {code}\n----- stdout -----\n{out}----- stderr -----\n{err}")
    }

    fn redact(&self, text: &str) -> String {
        let mut text = text.replace(&self.dir.display().to_string(), "[DIR]");
        if let Ok(real) = self.dir.canonicalize() {
            text = text.replace(&real.display().to_string(), "[DIR]");
        }
        redact(&text)
    }
}

/// Replaces what differs between runs: durations, times in JSON, uuids.
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        replace_after(&mut line, " in ", "s", "[TIME]", |c| {
            c.is_ascii_digit() || c == '.'
        });
        replace_after(&mut line, "elapsed=", "", "[TIME]", |c| {
            c.is_ascii_digit() || c == ':'
        });
        for key in ["started_at", "finished_at", "elapsed_seconds", "timestamp"] {
            replace_after(&mut line, &format!("\"{key}\":"), "", "[TIME]", |c| {
                !matches!(c, ',' | '}')
            });
        }
        redacted.push_str(&uuids(&line));
    }
    redacted
}

/// Replaces the matching characters after `before` if `after` follows them.
fn replace_after(
    line: &mut String,
    before: &str,
    after: &str,
    with: &str,
    is: impl Fn(char) -> bool,
) {
    let mut from = 0;
    while let Some(at) = line[from..].find(before) {
        let start = from + at + before.len();
        let length = line[start..].find(|c| !is(c)).unwrap_or(line.len() - start);
        from = start;
        if length > 0 && line[start + length..].starts_with(after) {
            line.replace_range(start..start + length, with);
            from += with.len();
        }
    }
}

fn uuids(line: &str) -> String {
    let is_uuid = |word: &str| {
        word.len() == 36
            && word.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    let mut redacted = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        match line.get(at..at + 36) {
            Some(word) if is_uuid(word) => {
                redacted.push_str("[UUID]");
                at += 36;
            }
            _ => {
                let next = line[at..].chars().next().unwrap();
                redacted.push(next);
                at += next.len_utf8();
            }
        }
    }
    redacted
}

#[test]
fn only_times_and_ids_are_redacted() {
    let text = "[A] Inserted in 0.04s (ins=5)\nSummary: tickers=5 elapsed=0:00:01\n{\"elapsed_seconds\":0.4,\"error\":null}\n\
                rejects/0b1e5a3c-9f5e-4a57-8b0c-3f1c0a2b7d11.csv in 3 files\n";
    assert_eq!(
        redact(text),
        "[A] Inserted in [TIME]s (ins=5)\nSummary: tickers=5 elapsed=[TIME]\n{\"elapsed_seconds\":[TIME],\"error\":null}\n\
         rejects/[UUID].csv in 3 files\n"
    );
}
