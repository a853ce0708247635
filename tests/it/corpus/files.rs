//! Compressed files, archives, and formats other than CSV.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use zip::write::SimpleFileOptions;

use super::Case;
use super::market::{Bar, NEW_YORK, Series, UTC, coin, stock};

pub fn cases() -> Vec<Case> {
    let plain = |path: &str| {
        Case::lines(
            path,
            "timestamp,open,high,low,close,volume",
            &stock("AAPL", 1),
            |bar| {
                format!(
                    "{},{}",
                    bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S"),
                    bar.ohlcv()
                )
            },
        )
    };
    let mut gzip = plain("files/AAPL.csv.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&gzip.bytes).unwrap();
    gzip.bytes = encoder.finish().unwrap();
    let mut zstd = plain("files/MSFT.csv.zst");
    zstd.truth = vec![super::stocks::with_ticker(stock("AAPL", 1), "MSFT")];
    zstd.bytes = zstd::encode_all(&zstd.bytes[..], 1).unwrap();
    let json = |path: &str| {
        Case::lines(path, "", &stock("AAPL", 1), |bar| {
            format!(
                "{{\"symbol\":\"AAPL\",\"t\":\"{}\",\"o\":{},\"h\":{},\"l\":{},\"c\":{},\"v\":{},\"n\":17}}",
                bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ"),
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume
            )
        })
    };
    let freqtrade = Case::lines(
        "freqtrade/BTC_USDT-1m.json",
        "",
        &coin("BTCUSDT", 1),
        |bar| format!("[{},{}],", bar.at * 1000, bar.ohlcv()),
    )
    .edit(|text| format!("[{}]", text.trim_end().trim_end_matches(',')));
    let in_array = |text: String| format!("[\n{}\n]\n", text.trim_end().replace("}\n{", "},\n  {"));
    let mut bzip2 = plain("files/bz2/AAPL.csv.bz2");
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(&bzip2.bytes).unwrap();
    bzip2.bytes = encoder.finish().unwrap();
    let mut xz = plain("files/xz/AAPL.csv.xz");
    xz.bytes = liblzma::encode_all(&xz.bytes[..], 1).unwrap();
    let mut all = vec![
        gzip,
        zstd,
        bzip2,
        xz,
        freqtrade,
        json("files/bars.jsonl"),
        json("files/array.json").edit(in_array),
        json("files/blank.ndjson").edit(|text| text.replace("}\n", "}\r\n\r\n")),
    ];
    all.extend(tables());
    all.extend(archives());
    all
}

fn zip(path: &str, members: &[(&str, &str)], truth: Vec<Series>) -> Case {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    Case::new(path, truth, writer.finish().unwrap().into_inner())
}

fn archives() -> Vec<Case> {
    let rows = |series: &Series, row: &dyn Fn(&Bar) -> String| -> String {
        series.bars.iter().map(|bar| row(bar) + "\n").collect()
    };
    let (aapl, btc) = (stock("AAPL", 1), coin("BTCUSDT", 1));
    let msft = super::stocks::with_ticker(aapl.clone(), "MSFT");
    let local = |bar: &Bar| {
        format!(
            "{},{}",
            bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S"),
            bar.ohlcv()
        )
    };
    let two = rows(&aapl, &local);
    let binance = rows(&btc, &|bar| {
        let (open, close) = (bar.at * 1000, bar.at * 1000 + 59_999);
        format!("{open},{},{close},1000.5,12,3.5,700.25,0", bar.ohlcv())
    });
    let day = aapl.bars[0].time(NEW_YORK, "%Y%m%d");
    let first_day = Series {
        bars: aapl
            .bars
            .iter()
            .filter(|bar| bar.time(NEW_YORK, "%Y%m%d") == day)
            .cloned()
            .collect(),
        ..aapl.clone()
    };
    let lean = rows(&first_day, &|bar| {
        let midnight = bar.time(NEW_YORK, "%H:%M:%S");
        let parts: Vec<i64> = midnight
            .split(':')
            .map(|part| part.parse().unwrap())
            .collect();
        let ms = (parts[0] * 3600 + parts[1] * 60 + parts[2]) * 1000;
        let price = |price: f64| (price * 10_000.0).round();
        format!(
            "{ms},{},{},{},{},{}",
            price(bar.open),
            price(bar.high),
            price(bar.low),
            price(bar.close),
            bar.volume
        )
    });
    let lean_name = format!("{day}_aapl_minute_trade.csv");
    vec![
        zip(
            "archives/two.zip",
            &[("AAPL.csv", &two), ("sub/MSFT.csv", &two)],
            vec![aapl, msft],
        ),
        zip(
            "archives/BTCUSDT-1m-2025-01.zip",
            &[("BTCUSDT-1m-2025-01.csv", &binance)],
            vec![btc],
        ),
        zip(
            &format!("lean/equity/usa/minute/aapl/{day}_trade.zip"),
            &[(&lean_name, &lean)],
            vec![first_day],
        ),
    ]
}

/// The bars as a table, with times in `zone`, or as local times in New York.
fn table(series: &Series, zone: Option<&str>, unit: TimeUnit) -> RecordBatch {
    let times = series.bars.iter().map(|bar| match zone {
        Some(_) => bar.at * 1_000_000,
        None => {
            let local = bar.time(NEW_YORK, "%Y-%m-%dT%H:%M:%S");
            let local: chrono::NaiveDateTime = local.parse().unwrap();
            local.and_utc().timestamp_micros()
        }
    });
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone_opt(zone);
    let zone = zone.map(Into::into);
    let times = cast(&times, &DataType::Timestamp(unit, zone)).unwrap();
    let column = |value: fn(&Bar) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(
            series.bars.iter().map(value),
        ))
    };
    let names = std::iter::repeat_n(series.ticker.as_str(), series.bars.len());
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
    let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    RecordBatch::try_from_iter([
        ("symbol", cast(&names, &dictionary).unwrap()),
        ("close", column(|bar| bar.close)),
        ("open", column(|bar| bar.open)),
        ("high", column(|bar| bar.high)),
        ("low", column(|bar| bar.low)),
        ("volume", column(|bar| bar.volume)),
        // An index is the last column of what pandas writes.
        ("timestamp", times),
    ])
    .unwrap()
}

fn parquet(table: &RecordBatch, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(compression);
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties.build())).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
    bytes
}

fn arrow(table: &RecordBatch, is_file: bool, compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(compression).unwrap();
    let (mut bytes, schema) = (Vec::new(), table.schema());
    // Several batches.
    let half = table.num_rows() / 2;
    let parts = [
        table.slice(0, half),
        table.slice(half, table.num_rows() - half),
    ];
    if is_file {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    }
    bytes
}

fn tables() -> Vec<Case> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let series = stock("AAPL", 1);
    let case = |path: &str, bytes: Vec<u8>| Case::new(path, [series.clone()], bytes);
    let none = Compression::UNCOMPRESSED;
    let local = table(&series, None, Nanosecond);
    let without_ticker = local.project(&[1, 2, 3, 4, 5, 6]).unwrap();
    let lz4 = Some(CompressionType::LZ4_FRAME);
    vec![
        case(
            "parquet/pandas.parquet",
            parquet(&local, Compression::SNAPPY),
        ),
        case(
            "parquet/utc.parquet",
            parquet(&table(&series, Some("UTC"), Microsecond), none),
        ),
        case(
            "parquet/zoned.pq",
            parquet(
                &table(&series, Some("America/New_York"), Millisecond),
                Compression::LZ4_RAW,
            ),
        ),
        case(
            "parquet/folders/ticker=AAPL/year=2025/part-0.parquet",
            parquet(&without_ticker, none),
        ),
        case("feather/local.feather", arrow(&local, true, lz4)),
        case(
            "feather/zoned.arrow",
            arrow(&table(&series, Some("Europe/Berlin"), Second), true, None),
        ),
        case(
            "arrow/stream.arrows",
            arrow(
                &table(&series, Some("UTC"), Nanosecond),
                false,
                Some(CompressionType::ZSTD),
            ),
        ),
        Case::new(
            "parquet/cut.parquet",
            [],
            parquet(&local, none)[..20_000].to_vec(),
        ),
        Case::new(
            "arrow/cut.arrow",
            [],
            arrow(&local, true, None)[..20_000].to_vec(),
        ),
    ]
}
