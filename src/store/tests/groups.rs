//! Partitions that grow: which row groups are copied, and stores with partitions of format 1.

use parquet::basic::Encoding;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use super::*;
use crate::store::lake::read::Partition;

/// Published whenever bars are committed, so that each commit makes a new partition.
fn publishing() -> OpenOptions {
    OpenOptions {
        seal: SealRule {
            publish_rows_min: 1,
            ..small().seal
        },
        ..small()
    }
}

fn rows(minutes: std::ops::Range<i64>, close: f64) -> Vec<(i64, f64)> {
    minutes.map(|minute| (minute, close)).collect()
}

/// A store of one series, its partition of 2025, and the bars that it must have.
struct Grown {
    dir: tempfile::TempDir,
    store: Store,
    run: RunId,
    model: BTreeMap<i64, f64>,
}

impl Grown {
    /// A store with row groups of these numbers of rows.
    fn new(groups: &[i64]) -> Self {
        let dir = scratch();
        let store = Store::open(dir.path(), &publishing()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        let model = BTreeMap::new();
        let mut grown = Self {
            dir,
            store,
            run,
            model,
        };
        let mut minute = 60;
        for count in groups {
            grown.add(minute..minute + count, 1.0);
            minute += count;
        }
        assert!(groups.is_empty() || grown.groups() == groups);
        grown
    }

    fn add(&mut self, minutes: std::ops::Range<i64>, close: f64) {
        let rows = rows(minutes, close);
        self.model.extend(rows.iter().copied());
        let offers = vec![offer("A", &rows, OnConflict::Update)];
        for result in self.store.commit(&self.run, offers).unwrap() {
            result.unwrap();
        }
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(partition(self.dir.path(), 2025)).unwrap()
    }

    fn metadata(&self) -> ParquetMetaData {
        ParquetMetaDataReader::new()
            .parse_and_finish(&bytes::Bytes::from(self.bytes()))
            .unwrap()
    }

    fn groups(&self) -> Vec<i64> {
        let metadata = self.metadata();
        let groups = metadata.row_groups().iter();
        groups.map(RowGroupMetaData::num_rows).collect()
    }

    /// Checks that all bars and nothing else are in a sound store.
    fn check(self) {
        let found = content(&self.store.reader().unwrap());
        let found: Vec<f64> = found.into_values().collect();
        assert!(found.iter().eq(self.model.values()));
        drop(self.store);
        let verified = verify(self.dir.path(), &small()).unwrap();
        assert_eq!(verified.damage, []);
    }
}

/// Where the row groups before this one end in a file.
fn end_of(metadata: &ParquetMetaData, group: usize) -> usize {
    let (start, _) = metadata.row_group(group).column(0).byte_range();
    start as usize
}

#[test]
fn bars_after_the_sealed_ones_leave_the_row_groups_before_them_as_they_are() {
    let mut grown = Grown::new(&[400, 200]);
    let before = (grown.bytes(), grown.metadata());
    grown.add(700..750, 2.0);
    assert_eq!(grown.groups(), [400, 200, 50]);
    let end = end_of(&grown.metadata(), 2);
    assert_eq!(before.0[4..end], grown.bytes()[4..end]);
    let statistics = |metadata: &ParquetMetaData| {
        let columns = metadata.row_groups()[..2]
            .iter()
            .flat_map(RowGroupMetaData::columns);
        let parts = columns.map(|column| (column.statistics().cloned(), column.byte_range()));
        parts.collect::<Vec<_>>()
    };
    assert_eq!(statistics(&before.1), statistics(&grown.metadata()));
    grown.check();
}

#[test]
fn a_new_bar_in_the_middle_or_a_changed_one_encodes_its_row_group_and_those_after_it() {
    let changes = [
        // The last bar of the first row group, and the first of the second.
        (859..860, vec![1_110]),
        (860..861, vec![800, 310]),
        (1_070..1_071, vec![800, 210, 100]),
    ];
    for (minutes, expected) in changes {
        let mut grown = Grown::new(&[800, 210, 100]);
        let changed = minutes.clone();
        grown.add(minutes, 3.0);
        assert_eq!(grown.groups(), expected, "{changed:?}");
        grown.check();
    }
    // Between the row groups.
    let mut grown = Grown::new(&[600]);
    grown.add(700..900, 1.0);
    grown.add(670..680, 2.0);
    assert_eq!(grown.groups(), [600, 210]);
    grown.add(0..61, 2.0);
    assert_eq!(grown.groups(), [810]);
    grown.check();
}

#[test]
fn a_drop_leaves_one_row_group_for_all_bars_that_are_left() {
    let mut grown = Grown::new(&[400, 200, 100]);
    let range = TimeRange {
        start: (START + 500) * 60_000_000,
        end: (START + 600) * 60_000_000,
    };
    grown.store.drop_bars(&key("A"), range).unwrap();
    for minute in 500..600 {
        grown.model.remove(&minute);
    }
    assert_eq!(grown.groups(), [600]);
    grown.check();
}

#[test]
fn three_hundred_days_leave_few_row_groups_and_a_small_file() {
    let mut grown = Grown::new(&[]);
    for day in 0..300 {
        grown.add(
            60 + day * 1_440..60 + day * 1_440 + 30,
            (day % 7) as f64 + 1.0,
        );
        let groups = grown.groups();
        let halves = groups.windows(2).all(|pair| pair[0] >= 2 * pair[1]);
        assert!(halves, "{groups:?}");
    }
    let grown_bytes = grown.bytes().len();
    let range = TimeRange {
        start: i64::MIN,
        end: (START + 61) * 60_000_000,
    };
    // Without its first bar the partition is encoded as a whole.
    grown.store.drop_bars(&key("A"), range).unwrap();
    grown.model.remove(&60);
    let whole = (grown.groups().len(), grown.bytes().len());
    assert_eq!(whole.0, 1);
    // Each row group has about 2.5 KB in the footer and page headers.
    assert!(grown_bytes < whole.1 + 8 * 2_500, "{grown_bytes} {whole:?}");
    grown.check();
}

/// Columns are found by their ids too, as Iceberg does.
#[test]
fn columns_have_ids_from_one_on() {
    let grown = Grown::new(&[10]);
    let metadata = grown.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let ids: Vec<i32> = (schema.columns().iter())
        .map(|column| column.self_type().get_basic_info().id())
        .collect();
    assert_eq!(ids, (1..=ids.len() as i32).collect::<Vec<_>>());
}

/// A partition of 300 bars that a program wrote before row groups had hashes.
const FORMAT_1: &[u8] = include_bytes!("../../../fuzz/corpus/bundle/format_1.parquet");

/// A partition of 300 bars whose volumes are byte-stream split, as earlier programs wrote them.
const SPLIT: &[u8] = include_bytes!("../../../fuzz/corpus/bundle/split.parquet");

/// A store whose lake has this partition, as its series A.
fn store_of(partition_bytes: &[u8]) -> tempfile::TempDir {
    let dir = scratch();
    let path = partition(dir.path(), 2025);
    drop(Store::open(dir.path(), &small()).unwrap());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, partition_bytes).unwrap();
    repair(dir.path(), &small()).unwrap();
    dir
}

#[test]
fn a_partition_of_format_1_is_read_and_gets_the_new_format_when_bars_come_to_it() {
    let dir = store_of(FORMAT_1);
    let file = partition(dir.path(), 2025);
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
    assert_eq!(std::fs::read(&file).unwrap(), FORMAT_1);
    let sum = |model: &Model| model.values().sum::<f64>();
    let store = Store::open(dir.path(), &publishing()).unwrap();
    let before = content(&store.reader().unwrap());
    assert_eq!(before.len(), 300);
    assert!((sum(&before) - 30_053.34).abs() < 1e-6);

    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let later = rows(10_000..10_100, 1.0);
    store
        .commit(&run, vec![offer("A", &later, OnConflict::Fail)])
        .unwrap();
    let footer = Partition::open(&file).unwrap().footer;
    assert_eq!((footer.schema_version, footer.rows), (2, 400));
    assert_eq!(footer.groups.len(), 1);
    let after = content(&store.reader().unwrap());
    assert!((sum(&after) - sum(&before) - 100.0).abs() < 1e-6);
    drop(store);
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
}

#[test]
fn split_volumes_are_read_and_encoded_anew_when_bars_come_to_them() {
    let dir = store_of(SPLIT);
    let file = partition(dir.path(), 2025);
    let is_split = || {
        let bytes = bytes::Bytes::from(std::fs::read(&file).unwrap());
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&bytes)
            .unwrap();
        let mut columns = metadata
            .row_groups()
            .iter()
            .flat_map(RowGroupMetaData::columns);
        columns.any(|column| {
            column
                .encodings()
                .any(|one| one == Encoding::BYTE_STREAM_SPLIT)
        })
    };
    assert_eq!(std::fs::read(&file).unwrap(), SPLIT);
    assert!(is_split());
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
    let store = Store::open(dir.path(), &publishing()).unwrap();
    let before = content(&store.reader().unwrap());
    assert_eq!(before.len(), 300);

    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let later = rows(10_000..10_100, 1.0);
    let results = store.commit(&run, vec![offer("A", &later, OnConflict::Fail)]);
    assert!(results.unwrap().iter().all(Result::is_ok));
    assert!(!is_split());
    assert_eq!(Partition::open(&file).unwrap().footer.rows, 400);
    let after = content(&store.reader().unwrap());
    assert!(before.iter().all(|(key, close)| after[key] == *close));
    drop(store);
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
}

#[test]
fn a_flipped_value_of_format_1_is_found_and_not_merged() {
    let dir = store_of(FORMAT_1);
    let file = partition(dir.path(), 2025);
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    let mut bytes = FORMAT_1.to_vec();
    bytes[600] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let written = std::fs::File::options().write(true).open(&file).unwrap();
    written.set_modified(modified).unwrap();
    drop(written);
    assert!(!verify(dir.path(), &small()).unwrap().damage.is_empty());
    let store = Store::open(dir.path(), &publishing()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let later = offer("A", &rows(10_000..10_100, 1.0), OnConflict::Fail);
    let refused = store.commit(&run, vec![later]).unwrap_err().to_string();
    assert!(refused.contains("bars.parquet"), "{refused}");
}
