//! `inject-csv`: every layout, every rule, every broken file.

mod broken;
mod contradict;
mod endings;
mod evidence;
mod guesses;
mod layouts;
mod read_as;
mod rules;
mod sources;
mod store;
mod stored;
mod together;

use crate::support::{Run, TestEnv};

/// Writes `files` to `in/` and injects them in a dry run. The bars are in the output file.
fn dry(env: &TestEnv, files: &[(&str, &[u8])], flags: &str) -> Run {
    for (name, text) in files {
        env.write(&format!("in/{name}"), text);
    }
    env.typed(&format!(
        "inject-csv --csv-dir in --dry-run --output-filename out.csv {flags}"
    ))
}

/// The bars of one file as CSV lines, whole prices without their `.0`.
fn bars(name: &str, text: &str, flags: &str) -> Vec<String> {
    let env = TestEnv::new();
    let run = dry(&env, &[(name, text.as_bytes())], flags);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    lines(&env)
}

fn lines(env: &TestEnv) -> Vec<String> {
    env.read("out.csv")
        .lines()
        .skip(1)
        .map(|line| line.replace(".0,", ","))
        .collect()
}

/// `count` rows, `step` minutes apart from 9:30, made by `row` from hour and minute.
fn minutes(count: u32, step: u32, row: impl Fn(u32, u32) -> String) -> String {
    (0..count)
        .map(|at| {
            let minute = 9 * 60 + 30 + at * step;
            row(minute / 60, minute % 60) + "\n"
        })
        .collect()
}
