//! The frame: help, wrong command lines, exit codes, the summary, pipes.

use crate::support::TestEnv;

#[test]
fn version_names_program_duckdb_and_revision() {
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
fn a_wrong_command_line_is_two_lines_and_code_2() {
    let env = TestEnv::new();
    for (typed, needle) in [
        ("frobnicate", "frobnicate"),
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
