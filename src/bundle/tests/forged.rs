//! Forged bundles: their hashes and lengths are right, their contents aren't.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::{START, small, verify_text};
use crate::bundle::archive::{MANIFEST, header, write_end, write_member};
use crate::bundle::digest::sha256;
use crate::bundle::entry::member_path;
use crate::bundle::{Entry, Manifest, Totals, verify_partition_bytes};
use crate::model::{Bar, Bars, Interval, SeriesKey, Ticker, Timestamp};
use crate::store::PartitionKey;
use crate::store::columns::{bar_fields, bars_into_arrays};

/// The bytes of the second member of [`small`]: the partition of A.
fn partition() -> Vec<u8> {
    let valid = small();
    let manifest = verify_text(&valid).unwrap();
    let [first, second] = manifest.partitions.as_slice() else {
        panic!("{manifest:?}")
    };
    let padded = |bytes: u64| bytes.div_ceil(512) as usize * 512;
    let start = header(&first.path, first.bytes).len()
        + padded(first.bytes)
        + header(&second.path, second.bytes).len();
    valid[start..start + second.bytes as usize].to_vec()
}

/// A bundle whose only partition is `bytes`, all its hashes right.
pub(super) fn bundle_around(path: &str, bytes: &[u8]) -> Vec<u8> {
    let mut manifest = verify_text(&small()).unwrap();
    manifest.partitions.remove(0);
    let entry = &mut manifest.partitions[0];
    path.clone_into(&mut entry.path);
    entry.bytes = bytes.len() as u64;
    entry.sha256 = sha256(bytes);
    manifest.totals = Totals::of(&manifest.partitions);
    let mut out = Vec::new();
    write_member(&mut out, path, bytes).unwrap();
    write_end(&mut out, &manifest.to_bytes()).unwrap();
    out
}

pub(super) fn path_of(ticker: &str) -> String {
    member_path(&PartitionKey {
        series: SeriesKey {
            interval: Interval::M1,
            ticker: Ticker::new(ticker).unwrap(),
        },
        year: 2025,
    })
}

/// A partition's columns with `rows` rows, written as `properties` say.
fn forged(rows: i64, source: &str, properties: WriterProperties) -> Vec<u8> {
    let bars: Bars = (0..rows)
        .map(|row| Timestamp::from_micros(START + row * 60_000_000))
        .map(|timestamp| Bar::new(timestamp, [1.0; 4], 1.0))
        .collect();
    let mut columns = bars_into_arrays(bars);
    columns.push(Arc::new(StringArray::from(vec![source; rows as usize])));
    columns.push(Arc::new(Int64Array::from(vec![1; rows as usize])));
    let mut fields = bar_fields();
    fields.push(Field::new("source", DataType::Utf8, false));
    fields.push(Field::new("commit_seq", DataType::Int64, false));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

#[test]
fn a_compression_bomb_is_refused_before_it_is_decompressed() {
    let zstd = parquet::basic::Compression::ZSTD(Default::default());
    let one_page = WriterProperties::builder()
        .set_compression(zstd)
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(1 << 30)
        .set_data_page_row_count_limit(1 << 30)
        .set_write_batch_size(1 << 20)
        .build();
    let bomb = forged(20_000, &"x".repeat(1_000), one_page);
    assert!(bomb.len() < 1 << 18, "{} bytes for 20 MB", bomb.len());
    let refused = verify_text(&bundle_around(&path_of("A"), &bomb)).unwrap_err();
    assert!(refused.contains("would unpack to more"), "{refused}");

    // More rows than a year has minutes.
    let many = forged(
        600_000,
        "csv",
        WriterProperties::builder().set_compression(zstd).build(),
    );
    let refused = verify_text(&bundle_around(&path_of("A"), &many)).unwrap_err();
    assert!(refused.contains("more rows than a year"), "{refused}");

    // A footer without a partition's keys.
    let plain = forged(
        3,
        "csv",
        WriterProperties::builder().set_compression(zstd).build(),
    );
    let refused = verify_text(&bundle_around(&path_of("A"), &plain)).unwrap_err();
    assert!(refused.contains("the footer lacks"), "{refused}");

    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
    let batch =
        RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    let mut other = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut other, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for bytes in [
        other.as_slice(),
        b"PAR1".as_slice(),
        b"PAR1\xff\xff\xff\x7fPAR1".as_slice(),
        &[],
    ] {
        let refused = verify_text(&bundle_around(&path_of("A"), bytes)).unwrap_err();
        assert!(refused.contains("is damaged"), "{refused}");
    }
}

/// The valid partition's rows, written with changed properties.
fn rewritten(
    change: impl FnOnce(WriterPropertiesBuilder, Vec<KeyValue>) -> WriterProperties,
) -> Vec<u8> {
    let valid = bytes::Bytes::from(partition());
    let reader = ParquetRecordBatchReaderBuilder::try_new(valid).unwrap();
    let file = reader.metadata().file_metadata();
    let pairs: Vec<KeyValue> = file.key_value_metadata().unwrap().clone();
    let sorting = reader.metadata().row_group(0).sorting_columns().cloned();
    let builder = WriterProperties::builder()
        .set_created_by(file.created_by().unwrap().to_owned())
        .set_compression(parquet::basic::Compression::ZSTD(Default::default()))
        .set_sorting_columns(sorting);
    let options = ArrowWriterOptions::new()
        .with_properties(change(builder, pairs))
        .with_skip_arrow_metadata(true);
    let schema = reader.schema().clone();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut out, schema, options).unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
    out
}

#[test]
fn a_partition_by_another_program_is_refused_even_with_the_right_bars() {
    let verify_text = |bytes: Vec<u8>| verify_text(&bundle_around(&path_of("A"), &bytes));
    // Older versions may encode pages in another way.
    verify_text(rewritten(|builder, pairs| {
        builder.set_key_value_metadata(Some(pairs)).build()
    }))
    .unwrap();
    for name in [
        "parquet-cpp-arrow version 15.0.2",
        "backfill",
        "backfill fork",
        "",
    ] {
        let refused = verify_text(rewritten(|builder, pairs| {
            let builder = builder.set_key_value_metadata(Some(pairs));
            builder.set_created_by(name.to_owned()).build()
        }));
        assert!(
            refused.unwrap_err().contains("another program wrote it"),
            "{name}"
        );
    }
    let more = verify_text(rewritten(|builder, mut pairs| {
        pairs.push(KeyValue::new("pandas".to_owned(), "{}".to_owned()));
        builder.set_key_value_metadata(Some(pairs)).build()
    }));
    assert!(more.unwrap_err().contains("footer is not in the form"));
    let unsorted = verify_text(rewritten(|builder, pairs| {
        let builder = builder.set_key_value_metadata(Some(pairs));
        builder.set_sorting_columns(None).build()
    }));
    assert!(unsorted.unwrap_err().contains("how its rows are sorted"));
}

#[test]
fn a_partition_at_another_path_is_refused_even_with_the_right_hashes() {
    let valid = partition();
    verify_text(&bundle_around(&path_of("A"), &valid)).unwrap();
    for path in [
        path_of("B"),
        path_of("A").replace("2025", "2024"),
        path_of("A").replace("1m", "5m"),
        format!("/{}", path_of("A")),
        format!("../{}", path_of("A")),
        format!("lake/../../{}", path_of("A")),
        format!("./{}", path_of("A")),
        path_of("A").replace("bars", "cars"),
        "a/".repeat(200) + "bars.parquet",
        "manifest.sha256".to_owned(),
    ] {
        assert!(
            verify_text(&bundle_around(&path, &valid)).is_err(),
            "{path}"
        );
    }
}

type ChangeEntry<'a> = &'a dyn Fn(&mut Entry);
type ChangeManifest<'a> = &'a dyn Fn(&mut Manifest);

#[test]
fn wrong_facts_in_the_manifest_are_named() {
    let valid = small();
    let manifest = verify_text(&valid).unwrap();
    let members = valid.len() - bundle_end(&manifest).len();
    let with = |change: ChangeManifest| {
        let mut other = manifest.clone();
        change(&mut other);
        other.totals = Totals::of(&other.partitions);
        verify_text(&[&valid[..members], &bundle_end(&other)].concat())
    };
    assert!(with(&|_| {}).is_ok());
    let entry: [(&str, ChangeEntry); 12] = [
        ("rows", &|entry| entry.rows += 1),
        ("first", &|entry| {
            entry.first = "2025-01-02T14:29:00Z".into();
        }),
        ("last", &|entry| entry.last = "2025-01-02T14:39:00Z".into()),
        ("commit_seq_first", &|entry| entry.commit_seq_first += 1),
        ("commit_seq_last", &|entry| entry.commit_seq_last -= 1),
        ("footer_commit_id", &|entry| {
            entry.footer_commit_id = entry.store_id;
        }),
        ("store_id", &|entry| entry.store_id = entry.footer_commit_id),
        ("row_hash", &|entry| entry.row_hash.replace_range(..1, "x")),
        ("sources", &|entry| entry.sources = vec!["demo2".into()]),
        ("exchange", &|entry| entry.exchange = "XETRA".into()),
        ("basis", &|entry| entry.basis = "unadjusted".into()),
        ("hours", &|entry| entry.hours = "regular".into()),
    ];
    for (fact, change) in entry {
        let refused = with(&|manifest| change(&mut manifest.partitions[1])).unwrap_err();
        assert!(refused.contains(&format!("{fact} is")), "{fact}: {refused}");
    }
    let whole: [ChangeManifest; 8] = [
        &|manifest| manifest.partitions.swap(0, 1),
        &|manifest| drop(manifest.partitions.pop()),
        &|manifest| drop(manifest.partitions.remove(0)),
        &|manifest| manifest.partitions.push(manifest.partitions[1].clone()),
        &|manifest| manifest.commit = None,
        &|manifest| manifest.filter.tickers = Some(vec!["A".into()]),
        &|manifest| manifest.filter.start = chrono::NaiveDate::from_ymd_opt(2025, 1, 3),
        &|manifest| manifest.partitions[0].sources = vec!["demo".into()],
    ];
    for (index, change) in whole.into_iter().enumerate() {
        assert!(with(change).is_err(), "change {index}");
    }
    let mut totals = manifest.clone();
    totals.totals.rows += 1;
    assert!(verify_text(&[&valid[..members], &bundle_end(&totals)].concat()).is_err());
}

pub(super) fn bundle_end(manifest: &Manifest) -> Vec<u8> {
    let mut end = Vec::new();
    write_end(&mut end, &manifest.to_bytes()).unwrap();
    end
}

#[test]
fn unexpected_members_are_named() {
    let valid = small();
    let manifest = verify_text(&valid).unwrap();
    let path = path_of("A");
    let front = |make: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        make(&mut bytes);
        bytes.write_all(&valid).unwrap();
        verify_text(&bytes).unwrap_err()
    };
    let twice = front(&|out| write_member(out, &manifest.partitions[0].path, b"x").unwrap());
    assert!(twice.contains("duplicate member"), "{twice}");
    let order = front(&|out| write_member(out, &path_of("Z"), b"x").unwrap());
    assert!(order.contains("is after"), "{order}");
    let unexpected = front(&|out| write_member(out, "README", b"x").unwrap());
    assert!(unexpected.contains("doesn't belong"), "{unexpected}");
    let outside = front(&|out| write_member(out, "../../etc/passwd", b"x").unwrap());
    assert!(outside.contains("leads out"), "{outside}");
    // A header that claims eight gigabytes in a small file.
    let huge = front(&|out| out.extend(header(&path, (1 << 33) - 1)));
    assert!(huge.contains("; the limit is "), "{huge}");
    let huge = front(&|out| out.extend(header(MANIFEST, (1 << 33) - 1)));
    assert!(huge.contains("; the limit is "), "{huge}");
    let cut = front(&|out| out.extend(header(&path, 60 << 20)));
    assert!(cut.contains("cut off"), "{cut}");
    for kind in [b'1', b'2', b'5', b'x', b'g', b'K', 0] {
        let link = front(&|out| {
            let mut head = header(&path, 0);
            head[156] = kind;
            // With the right checksum.
            head[148..156].copy_from_slice(b"        ");
            let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
            head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            out.extend(head);
        });
        assert!(link.contains("not a bundle: "), "{kind}: {link}");
    }
}

/// A partition with `bytes` inserted at `at`, and its footer lengthened by those that are in it.
fn with_inserted(sound: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = [&sound[..at], bytes, &sound[at..]].concat();
    let tail = out.len() - 8;
    let footer = u32::from_le_bytes(sound[sound.len() - 8..][..4].try_into().unwrap());
    if at > sound.len() - 8 - footer as usize {
        let longer = footer + bytes.len() as u32;
        out[tail..tail + 4].copy_from_slice(&longer.to_le_bytes());
    }
    out
}

#[test]
fn bytes_outside_the_parts_of_a_partition_are_found() {
    let sound = partition();
    assert!(verify_partition_bytes(&sound).is_ok());
    let footer = u32::from_le_bytes(sound[sound.len() - 8..][..4].try_into().unwrap()) as usize;
    let footer_start = sound.len() - 8 - footer;
    let metadata = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(sound.clone()));
    let metadata = metadata.unwrap().metadata().clone();
    let columns = metadata.row_group(0).columns();
    let indexes = columns[0].offset_index_offset().unwrap() as usize;
    let between_indexes = columns[1].offset_index_offset().unwrap() as usize;
    for at in [4, indexes, between_indexes, footer_start, sound.len() - 8] {
        let refused = verify_partition_bytes(&with_inserted(&sound, at, b"stray"));
        assert!(refused.is_err(), "bytes inserted at {at} pass");
    }
    // Every bit of the index of pages counts.
    let length = columns[0].offset_index_length().unwrap() as usize;
    for at in indexes..indexes + length {
        for bit in 0..8 {
            let mut flipped = sound.clone();
            flipped[at] ^= 1 << bit;
            let refused = verify_partition_bytes(&flipped);
            assert!(refused.is_err(), "bit {bit} of byte {at}");
        }
    }
}
