//! What others do to a table between the uploads of a push and its commit, as while a laptop sleeps.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use backfill::model::{OnConflict, Timestamp};
use backfill::push::{self, Storage};
use backfill::report::Stop;
use futures_util::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::faults::{Faulty, push_to, push_with, settings, table, two_stores};
use super::{csv, store};
use crate::support::TestEnv;

/// Deletes the objects whose names begin like this.
fn delete(target: &Arc<InMemory>, prefix: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let objects: Vec<_> = target.list(None).collect().await;
        for object in objects {
            let path = object.unwrap().location;
            if path.as_ref().starts_with(prefix) {
                target.delete(&path).await.unwrap();
            }
        }
    });
}

/// Two stores, and a table with the bars of the first.
fn two_stores_and_a_table() -> (Arc<TestEnv>, Arc<InMemory>) {
    let env = Arc::new(two_stores());
    let target = Arc::new(InMemory::new());
    push_to(&env, "a", target.clone(), OnConflict::Fail).unwrap();
    (env, target)
}

#[test]
fn an_upload_that_a_clean_up_deleted_is_made_again() {
    let env = two_stores();
    let target = Arc::new(InMemory::new());
    let storage = {
        let target = target.clone();
        Faulty::after_upload(&target.clone(), move || delete(&target, "interval="))
    };
    // Each look at the clock is two hours later.
    static HOURS: AtomicI64 = AtomicI64::new(0);
    let settings = push::Settings {
        clock: || Timestamp::from_micros(HOURS.fetch_add(2, Ordering::Relaxed) * 3_600_000_000),
        ..settings(OnConflict::Fail)
    };
    let pushed = push_with(&env, "a", storage, &settings).unwrap();
    assert_eq!(pushed.report.status().code(), 0, "{:?}", pushed.report);
    assert_eq!(table(&target).len(), 600 + 700);
}

#[test]
fn a_table_that_is_deleted_or_replaced_during_a_push_gets_no_commit() {
    let env = Arc::new(two_stores());
    for (prefix, is_made_again) in [("", false), ("_delta_log", false), ("", true)] {
        let target = Arc::new(InMemory::new());
        push_to(&env, "a", target.clone(), OnConflict::Fail).unwrap();
        let storage = {
            let (env, target) = (env.clone(), target.clone());
            Faulty::after_upload(&target.clone(), move || {
                delete(&target, prefix);
                if is_made_again {
                    push_to(&env, "b", target, OnConflict::Fail).unwrap();
                }
            })
        };
        let pushed = push_to(&env, "b", storage, OnConflict::Update).unwrap();
        let fatal = pushed.report.fatal.expect("the push fails").error;
        assert!(fatal.contains("deleted or replaced"), "{fatal}");
        // The next pushes find no table, or the new one.
        for name in ["a", "b"] {
            let next = push_to(&env, name, target.clone(), OnConflict::Update).unwrap();
            assert_eq!(next.report.status().code(), 0, "{:?}", next.report);
        }
        assert_eq!(table(&target).len(), 900 + 700 + 60);
    }
}

#[test]
fn a_table_that_is_replaced_before_a_file_is_read_gets_no_commit() {
    let (env, target) = two_stores_and_a_table();
    let storage = {
        let (env, target) = (env.clone(), target.clone());
        Faulty::before_read(&target.clone(), move || {
            delete(&target, "");
            // The new table has more versions than the old one had.
            for minutes in [900..910, 910..920, 920..930] {
                store(&env, "c", "Z", minutes, 10);
                env.typed("seal --store c").ok();
                push_to(&env, "c", target.clone(), OnConflict::Fail).unwrap();
            }
        })
    };
    let pushed = push_to(&env, "b", storage, OnConflict::Update).unwrap();
    let fatal = pushed.report.fatal.expect("the push fails").error;
    assert!(fatal.contains("deleted or replaced"), "{fatal}");
    assert_eq!(table(&target).len(), 30);
}

#[test]
fn a_table_without_its_newest_checkpoint_is_read_from_older_files() {
    let env = two_stores();
    let target = Arc::new(InMemory::new());
    push_to(&env, "a", target.clone(), OnConflict::Fail).unwrap();
    let hint = Path::from("_delta_log/_last_checkpoint");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let text = r#"{"version": 1, "size": 6}"#;
    runtime.block_on(target.put(&hint, text.into())).unwrap();
    let pushed = push_to(&env, "b", target.clone(), OnConflict::Update).unwrap();
    assert_eq!(pushed.report.status().code(), 0, "{:?}", pushed.report);
    assert_eq!(table(&target).len(), 900 + 700 + 60);
}

#[test]
fn a_file_that_others_replaced_and_deleted_before_it_is_read_is_no_error() {
    let (env, target) = two_stores_and_a_table();
    let storage = {
        let (env, target) = (env.clone(), target.clone());
        Faulty::before_read(&target.clone(), move || {
            store(&env, "a", "X", 900..950, 10);
            env.typed("seal --store a").ok();
            push_to(&env, "a", target.clone(), OnConflict::Update).unwrap();
            let tomorrow = chrono::Utc::now().timestamp_millis() + 25 * 3_600_000;
            let deleted = push::vacuum(&Storage::new(target), 0, tomorrow, false, &Stop::new());
            assert!(deleted.unwrap().files > 0);
        })
    };
    let pushed = push_to(&env, "b", storage, OnConflict::Update).unwrap();
    assert_eq!(pushed.report.status().code(), 0, "{:?}", pushed.report);
    assert_eq!(table(&target).len(), 950 + 700 + 60);
}

/// Stores these minutes of ten tickers, and seals them.
fn store_ten(env: &TestEnv, name: &str, minutes: std::ops::Range<i64>) {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    let rows = csv(minutes, 10);
    for ticker in 0..10 {
        for row in rows.lines().skip(1) {
            writeln!(text, "T{ticker},{row}").unwrap();
        }
    }
    env.write("ten.csv", text);
    let line = "inject-csv ten.csv --exchange CRYPTO --interval 1 --on-conflict update --store";
    env.typed(&format!("{line} {name}")).ok();
    env.typed(&format!("seal --store {name}")).ok();
}

/// Each push has five commits or more, and uploads for the next one during each.
#[test]
fn pushes_of_many_commits_at_the_same_time_lose_nothing() {
    let env = TestEnv::new();
    let target = Arc::new(InMemory::new());
    for round in 0..3 {
        store_ten(&env, "a", round * 100..round * 100 + 80);
        store_ten(&env, "b", round * 100 + 40..round * 100 + 100);
        let at_once = |name| {
            let (env, target) = (&env, target.clone());
            let settings = push::Settings {
                threads: 3,
                ..settings(OnConflict::Ignore)
            };
            move || push_with(env, name, target, &settings).unwrap()
        };
        std::thread::scope(|scope| {
            let pushes = ["a", "b"].map(|name| scope.spawn(at_once(name)));
            for push in pushes {
                let report = push.join().unwrap().report;
                assert_eq!(report.status().code(), 0, "{report:?}");
            }
        });
        let bars = table(&target);
        assert_eq!(bars.len() as i64, 10 * 100 * (round + 1));
    }
    let version = |name| {
        let pushed = push_to(&env, name, target.clone(), OnConflict::Ignore).unwrap();
        pushed.report.version
    };
    // The first one that finds the other's bars merged with its own may add a tag.
    let settled = [version("a"), version("b"), version("a"), version("b")];
    assert_eq!(settled[1], settled[2], "{settled:?}");
    assert_eq!(settled[2], settled[3], "{settled:?}");
}
