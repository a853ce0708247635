//! The bytes of each format.

use super::*;

#[test]
fn types_need_no_cast() {
    let source = two_years();
    let folder = tempfile::tempdir().unwrap();
    let types = |path: &Path| -> Vec<(String, String)> {
        read(path)[0]
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().to_string()))
            .collect()
    };
    let file = folder.path().join("one.parquet");
    run(
        &source,
        Format::Parquet,
        PartitionBy::None,
        Target::File(Guard::default().file(&file).unwrap()),
        None,
    )
    .unwrap();
    let plain = types(&file);
    assert_eq!(plain[0], ("ticker".into(), "Utf8".into()));
    assert_eq!(
        plain[1],
        ("timestamp".into(), "Timestamp(µs, \"UTC\")".into())
    );
    assert_eq!(plain.len(), 9);
    let target = Target::Folder(folder_at(&folder.path().join("out")));
    run(&source, Format::Parquet, PartitionBy::Ticker, target, None).unwrap();
    let inside = types(&folder.path().join("out/ticker=007/bars.parquet"));
    assert_eq!(
        inside[0],
        ("ticker".into(), "Dictionary(Int32, Utf8)".into())
    );
    assert_eq!(inside[1..], plain[1..]);
}

#[test]
fn csv_has_vwap_and_trades_where_any_bar_has_either() {
    let mut late = minutes("2025-03-03T14:30:00Z", 3);
    late.push(&Bar {
        timestamp: Timestamp::from_micros(at("2025-03-03T15:30:00Z")),
        trades: Some(7),
        vwap: None,
        ..late.get(0)
    });
    let text = |bars: Bars| {
        let out = Shared::default();
        let target = Target::Stream(Box::new(out.clone()));
        run(
            &source(&[("^GSPC", bars)]),
            Format::Csv,
            PartitionBy::None,
            target,
            None,
        )
        .unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        text(minutes("2025-03-03T14:30:00Z", 2)),
        "ticker,timestamp,open,high,low,close,volume\n\
         ^GSPC,2025-03-03T14:30:00Z,10.0,12.0,9.5,11.25,0\n\
         ^GSPC,2025-03-03T14:31:00Z,10.01,12.01,9.5,11.25,1\n"
    );
    let extended = text(late);
    assert!(extended.starts_with("ticker,timestamp,open,high,low,close,volume,vwap,trades\n"));
    assert!(extended.contains("\n^GSPC,2025-03-03T14:31:00Z,10.01,12.01,9.5,11.25,1,,\n"));
    assert!(extended.ends_with("\n^GSPC,2025-03-03T15:30:00Z,10.0,12.0,9.5,11.25,0,,7\n"));
}

#[test]
fn arrow_files_and_streams_hold_plain_tickers() {
    let source = two_years();
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("out.arrow");
    run(
        &source,
        Format::Arrow,
        PartitionBy::None,
        Target::File(Guard::default().file(&path).unwrap()),
        None,
    )
    .unwrap();
    let reader =
        arrow::ipc::reader::FileReader::try_new(fs::File::open(&path).unwrap(), None).unwrap();
    assert_eq!(reader.schema().field(0).data_type(), &DataType::Utf8);
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(rows(&batches), expected(&source));
    let out = Shared::default();
    let target = Target::Stream(Box::new(out.clone()));
    run(&source, Format::Arrow, PartitionBy::None, target, None).unwrap();
    let bytes = out.0.lock().unwrap().clone();
    let reader = arrow::ipc::reader::StreamReader::try_new(io::Cursor::new(bytes), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(rows(&batches), expected(&source));
}

/// The bytes of a file or stream of 500 bars, some with optional values.
fn encoded(format: Format, extras: bool) -> Vec<u8> {
    let mut bars: Vec<Bar> = minutes("2025-03-03T14:30:00Z", 500).iter().collect();
    for (number, bar) in bars.iter_mut().enumerate().filter(|_| extras) {
        bar.vwap = (number % 3 != 0).then_some(11.0 + number as f64 / 7.0);
        bar.trades = (number % 5 != 0).then_some(number as i64);
    }
    let bars: Bars = bars.into_iter().collect();
    let source = source(&[("A,B", bars), ("Z", minutes("2024-12-31T23:59:00Z", 2))]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bars");
    let target = Target::File(Guard::default().file(&file).unwrap());
    run(&source, format, PartitionBy::None, target, None).unwrap();
    fs::read(&file).unwrap()
}

/// Exported files change on purpose only. Parquet and Arrow also change with their crates, and with
/// this program's version, which is in a Parquet footer.
#[test]
fn the_bytes_of_exported_files_do_not_change() {
    let lines = String::from_utf8(encoded(Format::Csv, true)).unwrap();
    let head: Vec<&str> = lines.lines().take(3).collect();
    assert_eq!(
        head,
        [
            "ticker,timestamp,open,high,low,close,volume,vwap,trades",
            "\"A,B\",2025-03-03T14:30:00Z,10.0,12.0,9.5,11.25,0,,",
            "\"A,B\",2025-03-03T14:31:00Z,10.01,12.01,9.5,11.25,1,11.142857142857142,1",
        ]
    );
    let checksum = |format, extras| {
        let bytes = encoded(format, extras);
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
    };
    for &format in Format::ALL {
        let expected = match format {
            Format::Parquet => "cb572c7366a0e8d716aaa8c53fd7dbe3",
            Format::Csv => "af860d31a7470166b840a8703f3d5a72",
            Format::Arrow => "f18a5b194cd2ed4c4d1831be63dbf5d6",
        };
        assert_eq!(checksum(format, true), expected, "{format}");
    }
    assert_eq!(
        checksum(Format::Csv, false),
        "01c78b7fbdb42b784c3bdbcb7dcac4b1"
    );
}
