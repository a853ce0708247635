//! The store after an injection, for any number of threads.

use super::minutes;
use crate::support::TestEnv;

fn row(price: u32) -> impl Fn(u32, u32) -> String {
    move |hour, minute| {
        format!("2025-01-02 {hour:02}:{minute:02}:00,{price},{price}.5,9,{price},100")
    }
}

#[test]
fn again_under_each_mode() {
    let env = TestEnv::new();
    env.write("in/A.csv", minutes(40, 1, row(10)));
    let inject = |flags: &str| {
        let run = env.typed(&format!("inject-csv --csv-dir in --store s {flags}"));
        (run.code, run.stderr)
    };
    let (code, said) = inject("");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("(ins=40 skip=0 rejects=0)"), "{said}");
    assert!(
        said.contains("Summary: files=1 tickers=1 inserted=40 skipped=0 rejects=0"),
        "{said}"
    );

    let (code, said) = inject("");
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("40 of 40 rows are stored already, the first A 2025-01-02T14:30:00Z"),
        "{said}"
    );
    assert!(said.contains("hint: --on-conflict ignore"), "{said}");

    let (code, said) = inject("--on-conflict ignore");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("(ins=0 skip=40 rejects=0)"), "{said}");

    env.write("in/A.csv", minutes(41, 1, row(11)));
    let (code, said) = inject("--on-conflict update");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("(ins=41 skip=0 restated=40 rejects=0)"),
        "{said}"
    );
}

/// Prices that differ from the stored ones by one factor have another price basis. Two bases in one
/// series are a warning, once per file and ticker.
#[test]
fn a_file_of_another_price_basis_is_a_warning() {
    let priced = |rows: u32, price: f64| {
        let row = move |hour: u32, minute: u32| {
            let close = price * (1.0 + f64::from(hour * 60 + minute) * 0.001);
            format!(
                "2025-01-02 {hour:02}:{minute:02}:00,{close:.4},{close:.4},{close:.4},{close:.4},100"
            )
        };
        minutes(rows, 1, row)
    };
    for mode in ["ignore", "update"] {
        let env = TestEnv::new();
        env.write("A.csv", priced(40, 200.0));
        env.typed("inject-csv A.csv --store s").ok();
        env.write("A.csv", priced(80, 50.0));
        let run = env
            .typed(&format!("inject-csv A.csv --store s --on-conflict {mode}"))
            .ok();
        let warning = "warning: [A] stored closes are 4.0000 times the offered ones: this series may now have bars of two price bases";
        assert_eq!(run.stderr.matches(warning).count(), 1, "{}", run.snapshot());
    }
    // Revised bars don't differ by one factor.
    let env = TestEnv::new();
    env.write("A.csv", minutes(40, 1, row(10)));
    env.typed("inject-csv A.csv --store s").ok();
    env.write(
        "A.csv",
        minutes(40, 1, |hour, minute| {
            let price = 10 + (hour + minute) % 3;
            format!("2025-01-02 {hour:02}:{minute:02}:00,{price},{price},9,{price},100")
        }),
    );
    let run = env
        .typed("inject-csv A.csv --store s --on-conflict update")
        .ok();
    assert!(!run.stderr.contains("price bases"), "{}", run.snapshot());
}

#[test]
fn files_of_one_series_are_committed_in_path_order_for_any_threads() {
    for threads in [1, 8] {
        let env = TestEnv::new();
        // The large file is first by path, and would lose a race.
        let many: String = (1..=28)
            .map(|day| minutes(390, 1, row(10)).replace("2025-01-02", &format!("2024-02-{day:02}")))
            .collect();
        env.write("in/a/A.csv", many + &minutes(10, 1, row(10)));
        for file in 1..8 {
            env.write(&format!("in/b{file}/A.csv"), minutes(10, 1, row(10 + file)));
        }
        let run = env.typed(&format!(
            "inject-csv --csv-dir in --store s --interval 1 --on-conflict ignore --threads {threads} --summary-json=sum.json"
        ));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let sum: serde_json::Value = serde_json::from_str(&env.read("sum.json")).unwrap();
        assert_eq!(sum["files"][0]["committed"], 28 * 390 + 10);
        for file in 1..8 {
            assert_eq!(
                sum["files"][file]["skipped_restated"], 10,
                "threads {threads}"
            );
        }
        assert_eq!(sum["tickers"][0]["committed"], 28 * 390 + 10);
    }
}

#[test]
fn rejects_are_in_the_order_of_the_files() {
    let env = TestEnv::new();
    for file in 0..20 {
        let bad = "2025-01-02 16:00:00,0,1,1,1,1\n";
        let size = 2000 - file * 100;
        let good: String = (0..size)
            .map(|at| {
                format!(
                    "2025-01-02 {:02}:{:02}:00,10,12,9,11,100\n",
                    at / 60 % 24,
                    at % 60
                )
            })
            .collect();
        env.write(&format!("in/{file:02}/T{file}.csv"), good + bad);
    }
    let run = env
        .typed("inject-csv --csv-dir in --store s --interval 1 --on-conflict ignore --threads 8");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let rejects = env.read(&env.files("s/rejects")[0]);
    let files: Vec<&str> = rejects
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap())
        .collect();
    let mut sorted = files.clone();
    sorted.sort_unstable();
    assert_eq!((files.len(), &files), (20, &sorted));
}
