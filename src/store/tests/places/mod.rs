//! Where a store is, what else is in its folder, and a catalog and a lake of different times: a
//! reader sees the right bars, or refuses.

mod copies;
mod links;
mod names;

use std::fs;
use std::path::Path;

use super::log::copy_dir;
use super::*;
use crate::store::folder;

/// The bars of a store by both ways of reading, the second as `query` narrows it; `None` where the
/// store is refused.
fn seen(dir: &Path) -> Option<Model> {
    let reader = match Reader::open(dir, &small()) {
        Ok(reader) => reader,
        Err(Error::BadPath { .. } | Error::Damaged { .. }) => return None,
        Err(error) => panic!("{}: {error}", dir.display()),
    };
    let scanned = content(&reader);
    assert_eq!(narrowed(&reader), scanned, "{}", dir.display());
    Some(scanned)
}

/// The bars as SQL reads them, of the lake's and the segments' folders alone.
fn narrowed(reader: &Reader) -> Model {
    let connection = reader.sql().unwrap();
    let root = folder::real(reader.dir()).display().to_string();
    let root = root.replace('\'', "''");
    connection
        .execute_batch(&format!(
            "SET allowed_directories = ['{root}/lake', '{root}/segments'];
             SET enable_external_access = false"
        ))
        .unwrap();
    bars_of(&connection)
}

/// Partitions of two years and two intervals, hot rows in the table and in a segment, and odd
/// tickers.
fn mixed(dir: &Path) -> Model {
    let store = Store::open(dir, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let rows: Vec<(i64, f64)> = (50..80).map(|minute| (minute, 1.0)).collect();
    let mut longer = offer("A", &[(60, 7.0)], OnConflict::Fail);
    longer.series.interval = Interval::M5;
    let sealed = vec![
        offer("A", &rows, OnConflict::Fail),
        offer("__HIVE_DEFAULT_PARTITION__", &rows, OnConflict::Fail),
        offer("NULL", &rows, OnConflict::Fail),
        longer,
    ];
    store.commit(&run, sealed).unwrap();
    store.seal().unwrap();
    let hot = ["A", "7203"].map(|ticker| offer(ticker, &[(90, 2.0)], OnConflict::Fail));
    store
        .commit(&run, hot.into_iter().take(1).collect())
        .unwrap();
    let of_segment: Vec<(i64, f64)> = (91..95).map(|minute| (minute, 3.0)).collect();
    let offers = ["B", "7203"].map(|ticker| offer(ticker, &of_segment, OnConflict::Fail));
    store.commit(&run, offers.into()).unwrap();
    assert_eq!(fs::read_dir(dir.join("segments")).unwrap().count(), 1);
    content(&store.reader().unwrap())
}
