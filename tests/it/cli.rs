//! The command line itself: help, wrong command lines, exit codes, the summary, pipes.

use std::path::Path;

use backfill::report::ExitStatus;

use crate::support::TestEnv;

#[test]
fn version_shows_program_duckdb_and_revision() {
    let env = TestEnv::new();
    let run = env.run(["--version"]).ok();
    let out = run.out();
    assert!(
        out.starts_with(concat!(
            "backfill ",
            env!("CARGO_PKG_VERSION"),
            " (DuckDB 1."
        )),
        "{out}"
    );
    assert!(out.contains("revision "), "{out}");
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn a_wrong_command_line_prints_two_lines_and_ends_with_2() {
    let env = TestEnv::new();
    for (typed, needle) in [
        ("frobnicate", "frobnicate"),
        ("help frobnicate", "`backfill --help`"),
        ("completions", "<SHELL>"),
        ("completions klingon", "klingon"),
        ("man --stor x", "--store"),
        ("--log-level loud man", "loud"),
    ] {
        let run = env.typed(typed).code(2);
        let lines: Vec<_> = run.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{typed}: {lines:?}");
        assert!(lines[0].starts_with("error: "), "{lines:?}");
        assert!(lines[1].starts_with("hint: "), "{lines:?}");
        assert!(run.stderr.contains(needle), "{typed}: {lines:?}");
        assert!(run.stdout.is_empty());
    }
}

/// The commands that `--help` lists.
fn commands(env: &TestEnv) -> Vec<String> {
    let help = env.run(["--help"]).ok();
    let listed: Vec<String> = help
        .out()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect();
    assert!(listed.len() >= 2, "{}", help.out());
    listed
}

#[test]
fn every_command_has_help_with_an_example_and_no_secret() {
    let env = TestEnv::new();
    for command in commands(&env) {
        let long = env
            .program([command.as_str(), "--help"])
            .env("FMP_API_KEY", "sesame-open")
            .env("DATABASE_URL", "postgres://me:sesame-open@db/bars")
            .run()
            .ok();
        let help = long.out();
        assert!(help.contains("Usage: backfill"), "{command}:\n{help}");
        assert!(
            help.to_lowercase().contains("example"),
            "{command}:\n{help}"
        );
        assert!(help.contains("--store <DIR>"), "{command}:\n{help}");
        assert!(!help.contains("sesame-open"), "{command}:\n{help}");
        assert!(long.stderr.is_empty());
        // The short form and the `help` command too.
        assert!(
            env.run([command.as_str(), "-h"])
                .ok()
                .out()
                .contains("Usage: backfill")
        );
        assert!(
            env.run(["help", command.as_str()])
                .ok()
                .out()
                .contains("Usage: backfill")
        );
    }
}

#[test]
fn without_a_command_help_goes_to_standard_error() {
    let env = TestEnv::new();
    let run = env.run::<&str>([]).code(2);
    assert!(run.stdout.is_empty());
    assert!(run.stderr.contains("Commands:"), "{}", run.stderr);
}

#[test]
fn global_options_can_be_before_or_after_the_command() {
    let env = TestEnv::new();
    for typed in [
        "--store x --log-level warn --log-format json -q --no-progress completions bash",
        "completions --store x --log-level WARNING --log-format json -q --no-progress bash",
        "--log-level Debug completions bash --store=x",
    ] {
        let run = env.typed(typed).ok();
        assert!(run.out().contains("_backfill()"), "{typed}");
    }
    assert!(
        env.files("").is_empty(),
        "a command that prints creates no file"
    );
}

#[test]
fn every_shell_gets_completions_for_every_command() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = env.run(["completions", shell]).ok();
        for command in commands(&env) {
            assert!(run.out().contains(&command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn the_manual_page_has_every_command_and_exit_code() {
    let env = TestEnv::new();
    let run = env.run(["man"]).ok();
    let page = run.out();
    for command in commands(&env) {
        assert!(
            page.contains(&format!(".SS backfill {command}\n")),
            "{command}"
        );
    }
    for code in ExitStatus::ALL.map(ExitStatus::code) {
        assert!(page.contains(&format!(".TP\n\\fB{code}\\fR\n")), "{code}");
    }
    assert!(
        page.starts_with(".ie"),
        "a page for man begins with its preamble"
    );
    assert_eq!(page.matches(".ie \\n(.g").count(), 1);
}

#[test]
fn the_document_and_the_help_have_every_exit_code() {
    let document = include_str!("../../docs/exit-codes.md");
    let help = TestEnv::new().run(["--help"]).ok();
    for status in ExitStatus::ALL {
        let (code, meaning) = (status.code(), status.meaning());
        let row = format!("\n| {code} | {meaning} |\n");
        assert!(document.contains(&row), "{code}");
        assert!(
            help.out().contains(&format!("{code:>3}  {meaning}")),
            "{code}"
        );
    }
}

#[test]
fn the_python_package_has_every_exit_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The first column of the table, and the comments of the two attributes `exit_code`.
    for (file, from, to) in [
        ("docs/python.md", "| exit code |", "\n\n"),
        (
            "python/backfill/_errors.py",
            "The program's exit code:",
            "exit_code:",
        ),
        ("python/backfill/_summary.py", "#: 0 done", "exit_code:"),
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let (_, text) = text.split_once(from).unwrap();
        let (text, _) = text.split_once(to).unwrap();
        let codes: Vec<u8> = (text.lines())
            .map(|line| match line.strip_prefix("| ") {
                Some(row) => row.split('|').next().unwrap(),
                None => line,
            })
            .flat_map(|line| line.split(|c: char| !c.is_ascii_digit()))
            .filter_map(|digits| digits.parse().ok())
            .collect();
        for status in ExitStatus::ALL.into_iter().filter(|s| *s != ExitStatus::Ok) {
            assert!(codes.contains(&status.code()), "{file}: {}", status.code());
        }
    }
}

#[test]
fn a_reader_may_close_standard_output_early() {
    let env = TestEnv::new();
    for typed in [
        "man",
        "completions bash",
        "--help",
        "--version",
        "completions --help",
    ] {
        let mut running = env.program(typed.split_whitespace()).spawn();
        drop(running.child().stdout.take());
        let run = running.wait().ok();
        assert_eq!(run.stderr, "", "{typed}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let env = TestEnv::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_backfill"))
        .arg("man")
        .current_dir(env.dir())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: standard output could not be written"),
        "{stderr}"
    );
}

#[test]
fn every_command_writes_its_summary() {
    let env = TestEnv::new();
    let read = |name: &str| -> serde_json::Value { serde_json::from_str(&env.read(name)).unwrap() };

    env.run(["man", "--summary-json=ok.json"]).ok();
    let summary = read("ok.json");
    assert_eq!(summary["schema"], "backfill.summary/1");
    assert_eq!(summary["command"], "man");
    assert_eq!(summary["status"], "ok");
    assert_eq!(summary["exit_code"], 0);
    assert_eq!(summary["totals"]["committed"], 0);

    // The data goes to standard output, so the summary can't.
    let run = env.run(["man", "--summary-json"]).code(2);
    assert!(
        run.stderr.contains("hint: --summary-json=FILE"),
        "{}",
        run.stderr
    );

    let run = env
        .run(["man", "--summary-json=no/such/folder/x.json"])
        .code(1);
    assert!(
        run.stderr
            .starts_with("error: the summary could not be written"),
        "{}",
        run.stderr
    );
    assert!(
        run.out().starts_with(".ie"),
        "the data is printed nevertheless"
    );
}

#[test]
fn a_broken_env_file_is_reported_without_its_content() {
    let env = TestEnv::new();
    env.write(".env", "BACKFILL_STORE=elsewhere\nsesame open\n");
    let run = env.run(["man"]).ok();
    assert!(run.stderr.starts_with("warning: .env "), "{}", run.stderr);
    assert!(!run.stderr.contains("sesame"), "{}", run.stderr);
}

#[test]
fn json_logs_have_one_object_per_line() {
    let env = TestEnv::new();
    let run = env
        .run(["man", "--summary-json", "--log-format", "json"])
        .code(2);
    let lines: Vec<serde_json::Value> = run
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["level"], "ERROR");
    assert_eq!(lines[1]["hint"], true);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_env_file() {
    let env = TestEnv::new();
    let store_of = |run: crate::support::Run| {
        let run = run.code(1);
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        let first = run.stderr.lines().next().unwrap().to_owned();
        first.replace("error: there is no store in ", "")
    };
    assert_eq!(store_of(env.run(["verify"])), "data/staging");
    env.write(".env", "BACKFILL_STORE=from-file\n");
    assert_eq!(store_of(env.run(["verify"])), "from-file");
    let with_env =
        |value: &str, args: &[&str]| store_of(env.program(args).env("BACKFILL_STORE", value).run());
    assert_eq!(with_env("from-env", &["verify"]), "from-env");
    assert_eq!(
        with_env("from-env", &["verify", "--store", "typed"]),
        "typed"
    );
    assert_eq!(with_env("from-env", &["--store=typed", "verify"]), "typed");
    // An empty value counts as missing.
    assert_eq!(with_env("", &["verify"]), "data/staging");
    assert_eq!(
        env.files(""),
        [".env"],
        "a command that only reads creates no file"
    );
}

#[test]
fn a_failed_command_writes_its_summary_too() {
    let env = TestEnv::new();
    env.run(["seal", "--summary-json=s.json", "--store", "nowhere"])
        .code(1);
    let summary: serde_json::Value = serde_json::from_str(&env.read("s.json")).unwrap();
    assert_eq!(summary["command"], "seal");
    assert_eq!(summary["status"], "failed");
    assert_eq!(summary["exit_code"], 1);
    assert_eq!(summary["store"], "nowhere");
    assert_eq!(summary["error"], "there is no store in nowhere");
}

#[test]
fn the_summary_can_go_to_a_device() {
    let env = TestEnv::new();
    let run = env
        .run(["seal", "--store", "x", "--summary-json=/dev/stderr", "-q"])
        .code(1);
    assert!(
        run.stderr.contains("\"schema\":\"backfill.summary/1\""),
        "{}",
        run.stderr
    );
}

#[test]
fn ctrl_c_and_sigterm_stop_cleanly() {
    use std::io::{BufRead, BufReader};
    let env = TestEnv::new();
    let start = || {
        let mut running = env.program(["simulate", "--summary-json=s.json"]).spawn();
        let mut first = String::new();
        let stdout = running.child().stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut first).unwrap();
        assert!(first.starts_with("http://127.0.0.1:"), "{first}");
        running
    };
    let running = start();
    running.signal("INT");
    let run = running.wait().ok();
    assert!(
        run.stderr.starts_with("warning: stopping"),
        "{}",
        run.stderr
    );
    let running = start();
    running.signal("TERM");
    running.wait().ok();
}
