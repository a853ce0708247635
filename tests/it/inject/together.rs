//! Small files of one run, which are committed together, have the results of runs one after another.

use crate::support::{Run, TestEnv};

const FILES: u32 = 14;

/// A few minutes of one ticker, with values of this file or of all files. Some rows are rejects, and
/// some files occur in no layout.
fn file(number: u32, seed: u32) -> String {
    let mixed = |of: u32| (of ^ seed).wrapping_mul(2_654_435_761) >> 8;
    if mixed(number) % 9 == 0 {
        return "not bars\n".to_owned();
    }
    let first = mixed(number + 100) % 20;
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for minute in first..first + 5 + mixed(number + 200) % 20 {
        let price = match mixed(number * 100 + minute) % 12 {
            0..8 => 10,
            8 => 0,
            other => 10 + other + number % 2,
        };
        text += &format!("2025-01-02T15:{minute:02}:00Z,{price},{price},{price},{price},1\n");
    }
    text
}

/// The line of each file, in any order, without times.
fn lines(run: &Run) -> Vec<String> {
    let mut lines: Vec<String> = (run.stderr.lines())
        .filter(|line| line.starts_with('[') && !line.contains("] read as "))
        .map(|line| {
            let (before, after) = line.split_once(" in ").unwrap();
            let rest = after.split_once('s').unwrap().1;
            format!("{before}{rest}")
        })
        .collect();
    lines.sort();
    lines
}

fn content(env: &TestEnv, store: &str) -> Vec<String> {
    [
        "SELECT * EXCLUDE (commit_seq) FROM bars ORDER BY ALL",
        "SELECT * EXCLUDE (run) FROM conflicts ORDER BY ALL",
    ]
    .map(|sql| {
        let run = env.run(["query", "--store", store, "--format", "csv", sql]);
        run.ok().out().to_owned()
    })
    .to_vec()
}

#[test]
fn files_together_have_the_results_of_files_one_after_another() {
    for (mode, seed) in ["fail", "ignore", "update"].into_iter().zip([1, 2, 3]) {
        let env = TestEnv::new();
        let names: Vec<String> = (10..10 + FILES)
            .map(|number| {
                let name = format!("{number}/S{}.csv", number % 3);
                env.write(&format!("in/{name}"), file(number, seed));
                name
            })
            .collect();
        let flags = format!("--interval 1 --on-conflict {mode}");
        let together = env.typed(&format!("inject-csv --csv-dir in --store a {flags}"));
        let mut apart: Vec<String> = Vec::new();
        for name in names {
            env.write(&format!("one/{name}"), env.read(&format!("in/{name}")));
            let run = env.typed(&format!("inject-csv --csv-dir one --store b {flags}"));
            apart.extend(lines(&run));
            std::fs::remove_file(env.path(&format!("one/{name}"))).unwrap();
        }
        apart.sort();
        // The files cover what the modes differ in.
        let has = |text: &str| apart.iter().any(|line| line.contains(text));
        assert!(has("isn't recognised") && has("rejects=1"), "{apart:#?}");
        assert_eq!(content(&env, "b")[1].lines().count() > 1, mode != "fail");
        assert_eq!(lines(&together), apart, "{mode}");
        assert_eq!(content(&env, "a"), content(&env, "b"), "{mode}");
    }
}
