//! Whole stores moved by a bundle, and what is printed.

use super::{bars, stage, write_csv};
use crate::support::TestEnv;

#[test]
fn bars_and_their_sources_arrive_unchanged() {
    let env = TestEnv::new();
    stage(&env, &["A", "BTC/USD".replace('/', "_").as_str()]);
    // Bars of another source and interval, with vwap and trades.
    env.typed("specific --provider demo --store demo --tickers AAPL --start 060125 --end 070125 --interval 5 -q")
        .ok();
    for store in ["data/staging", "demo"] {
        let before = bars(&env, store);
        env.typed(&format!("bundle create out.tar --store {store}"))
            .ok();
        let verified = env.typed("bundle verify out.tar").ok();
        assert!(
            verified.out().starts_with("verified: partitions="),
            "{}",
            verified.out()
        );
        let applied = env
            .typed("bundle apply out.tar --store copy --summary-json=sum.json")
            .ok();
        assert!(
            applied.stderr.contains("Summary: files=1 tickers="),
            "{}",
            applied.stderr
        );
        assert_eq!(bars(&env, "copy"), before);
        env.typed("verify --store copy").ok();

        let summary: serde_json::Value = serde_json::from_str(&env.read("sum.json")).unwrap();
        assert_eq!(summary["command"], "bundle apply");
        assert_eq!(summary["bundle"]["file"], "out.tar");
        assert_eq!(summary["bundle"]["rows"], summary["totals"]["committed"]);
        assert_eq!(summary["files"][0]["file"], "out.tar");

        // A second time changes nothing in any mode.
        for mode in ["fail", "ignore", "update"] {
            let again = env
                .typed(&format!(
                    "bundle apply out.tar --store copy --on-conflict {mode}"
                ))
                .ok();
            assert!(
                again.stderr.contains(" inserted=0 skipped="),
                "{mode}: {}",
                again.stderr
            );
            assert!(
                !again.stderr.contains("restated="),
                "{mode}: {}",
                again.stderr
            );
        }
        assert_eq!(bars(&env, "copy"), before);
        std::fs::remove_dir_all(env.path("copy")).unwrap();
    }
}

#[test]
fn the_same_store_gives_the_same_bytes() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    std::fs::create_dir(env.path("copied")).unwrap();
    // A copy made while bars are hot seals them itself.
    for file in env.files("data/staging") {
        let to = file.replacen("data/staging", "copied", 1);
        env.write(&to, std::fs::read(env.path(&file)).unwrap());
    }
    let first = env.typed("bundle create first.tar").ok();
    let second = env.typed("bundle create second.tar").ok();
    let copied = env.typed("bundle create copied.tar --store copied").ok();
    assert_eq!(first.out(), second.out());
    assert_eq!(first.out(), copied.out());
    let bytes = std::fs::read(env.path("first.tar")).unwrap();
    assert!(bytes == std::fs::read(env.path("second.tar")).unwrap());
    assert!(bytes == std::fs::read(env.path("copied.tar")).unwrap());
    // On standard output too; the messages are on standard error then.
    let piped = env.typed("bundle create -").ok();
    assert!(bytes == piped.stdout);
    assert!(piped.stderr.contains("manifest: "), "{}", piped.stderr);
    // Limited by dates and tickers: the partitions are encoded again, with the same result each time.
    let cut = "--tickers B --interval 1 --start 2025-01-01 --end 2025-01-01";
    for file in ["cut1.tar", "cut2.tar"] {
        env.typed(&format!("bundle create {file} {cut}")).ok();
        env.typed(&format!("bundle verify {file}")).ok();
    }
    let cut = std::fs::read(env.path("cut1.tar")).unwrap();
    assert!(cut == std::fs::read(env.path("cut2.tar")).unwrap());
    env.typed("bundle apply cut1.tar --store cut").ok();
    let kept: String = bars(&env, "data/staging")
        .lines()
        .filter(|line| line.starts_with("interval") || line.contains(",B,2025-"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(bars(&env, "cut"), kept);
    assert_eq!(kept.lines().count(), 1 + 360);
}

#[test]
fn tar_lists_and_unpacks_a_bundle() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create out.tar").ok();
    let tar = |arguments: &[&str]| {
        let run = std::process::Command::new("tar")
            .args(arguments)
            .current_dir(env.dir())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success() && err.is_empty(), "{err}");
        String::from_utf8(run.stdout).unwrap()
    };
    assert_eq!(
        tar(&["tf", "out.tar"]),
        "lake/interval=1m/ticker=A/year=2024/bars.parquet\nlake/interval=1m/ticker=A/year=2025/bars.parquet\n\
         manifest.json\nmanifest.sha256\n"
    );
    std::fs::create_dir(env.path("unpacked")).unwrap();
    tar(&["xf", "out.tar", "-C", "unpacked"]);
    for file in ["ticker=A/year=2024", "ticker=A/year=2025"] {
        let path = format!("lake/interval=1m/{file}/bars.parquet");
        let lake = std::fs::read(env.path("data/staging").join(&path)).unwrap();
        assert!(std::fs::read(env.path("unpacked").join(&path)).unwrap() == lake);
    }
    let check = std::process::Command::new("sha256sum")
        .args(["--check", "manifest.sha256"])
        .current_dir(env.path("unpacked"))
        .output()
        .unwrap();
    assert!(check.status.success());
    // The printed hash is that of the manifest.
    let printed = env.typed("bundle verify out.tar").ok();
    let line = printed.out().lines().nth(1).unwrap();
    let hash: String = line
        .strip_prefix("manifest: ")
        .unwrap()
        .split(' ')
        .collect();
    assert!(
        env.read("unpacked/manifest.sha256").starts_with(&hash),
        "{line}"
    );
    let manifest: serde_json::Value =
        serde_json::from_str(&env.read("unpacked/manifest.json")).unwrap();
    assert_eq!(manifest["partitions"][0]["rows"], 240);
    assert_eq!(manifest["partitions"][0]["sources"][0], "csv");
    assert_eq!(manifest["totals"]["rows"], 600);
}

#[test]
fn restated_bars_conflict_as_the_mode_says() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create out.tar").ok();
    // The other store has other prices for A.
    write_csv(&env, "A", 100..200, 77);
    env.typed("inject-csv A.csv --exchange CRYPTO --store other")
        .ok();
    let refused = env.typed("bundle apply out.tar --store other").code(4);
    assert!(
        refused.stderr.contains("[A] Failed in "),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("[B] Inserted in "),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("hint: --on-conflict ignore"),
        "{}",
        refused.stderr
    );
    let held = env
        .typed("bundle apply out.tar --store other --on-conflict ignore")
        .ok();
    assert!(held.stderr.contains("restated=100"), "{}", held.stderr);
    assert!(bars(&env, "other").contains(",77,78.5,"));
    env.typed("bundle apply out.tar --store other --on-conflict update")
        .ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));
}

#[test]
fn real_bars_are_refused_in_a_demo_store() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create real.tar").ok();
    env.typed("specific --provider demo --store demo --tickers AAPL --start 060125 --end 060125 --interval 60 -q")
        .ok();
    let before = bars(&env, "demo");
    let refused = env.typed("bundle apply real.tar --store demo").code(1);
    assert!(
        refused.stderr.contains("holds demo bars"),
        "{}",
        refused.stderr
    );
    assert_eq!(bars(&env, "demo"), before);
}

#[test]
fn what_cannot_be_bundled_is_reported() {
    let env = TestEnv::new();
    let none = env.typed("bundle create out.tar").code(1);
    assert!(none.stderr.contains("there is no store"), "{}", none.stderr);
    stage(&env, &["A"]);
    env.typed("bundle create data/staging/out.tar").code(2);
    env.typed("bundle create out.tar --tickers").code(2);
    env.typed("bundle create out.tar --start 2025-01-02 --end 2025-01-01")
        .code(2);
    env.typed("bundle create no/such/folder/out.tar").code(1);
    let missing = env.typed("bundle create out.tar --tickers A,NONE").ok();
    assert!(
        missing.stderr.contains("no bars of NONE are stored"),
        "{}",
        missing.stderr
    );
    env.typed("bundle create out.tar --since none.tar").code(1);
    env.typed("bundle verify none.tar").code(1);
    env.typed("bundle apply none.tar --store new").code(1);
    assert!(!env.path("new").exists());

    // A damaged partition doesn't go into a bundle.
    let path = env.path("data/staging/lake/interval=1m/ticker=A/year=2025/bars.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let before = std::fs::read(env.path("out.tar")).unwrap();
    let damaged = env.typed("bundle create out.tar").code(1);
    assert!(
        damaged.stderr.contains("year=2025/bars.parquet is damaged"),
        "{}",
        damaged.stderr
    );
    assert!(std::fs::read(env.path("out.tar")).unwrap() == before);
    assert!(!env.files("").iter().any(|file| file.contains(".part")));
}
