//! What others do to a table between the uploads of a push and its commit, as while a laptop sleeps.

use std::sync::Arc;

use backfill::model::OnConflict;
use backfill::push::{self, Storage};
use backfill::report::Stop;
use futures_util::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::faults::{Faulty, push_to, table, two_stores};
use super::store;

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

#[test]
fn an_upload_that_a_clean_up_deleted_is_made_again() {
    let env = two_stores();
    let target = Arc::new(InMemory::new());
    let storage = {
        let target = target.clone();
        Faulty::after_upload(&target.clone(), move || delete(&target, "interval="))
    };
    let pushed = push_to(&env, "a", storage, OnConflict::Fail).unwrap();
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
    let env = Arc::new(two_stores());
    let target = Arc::new(InMemory::new());
    push_to(&env, "a", target.clone(), OnConflict::Fail).unwrap();
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
