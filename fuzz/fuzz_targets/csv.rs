//! Reads arbitrary bytes as a CSV file in a dry run: layout, rows, clock changes, rejects. The first byte selects the
//! compression, the second the name and settings; the rest is the file.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use backfill::inject::{DateOrder, Decimal, Input, Settings, Sink, collect, run};
use backfill::model::Interval;
use backfill::report::{Silent, Stop};

/// A folder of this process, in memory if possible.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = base.join(format!("backfill-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [packing, name, content @ ..] = bytes else {
        return;
    };
    let ending = ["csv", "txt", "csv.gz", "csv.zst"][usize::from(packing % 4)];
    let stem = ["AAPL", "AAPL_full_1min", "EURUSD60", "BTCUSDT-1m-2025-01"][usize::from(name % 4)];
    let path = folder().join(format!("{stem}.{ending}"));
    fs::write(&path, content).expect("the file can be written");
    let settings = Settings {
        threads: 1,
        cores: 1,
        interval: (name & 4 != 0).then_some(Interval::M1),
        date_order: (name & 8 != 0).then_some(DateOrder::Mdy),
        decimal: (name & 16 != 0).then_some(Decimal::Comma),
        accept_last_line: name & 32 != 0,
        skip_lines: usize::from(name & 64 != 0),
        time_format: (name & 128 != 0).then(|| "%d %b %Y %H.%M".into()),
        ..Settings::new(Input::Files(vec![path.clone()]))
    };
    let stop = Stop::default();
    let files = collect(&settings.input, &Silent, &stop).expect("the file exists");
    if let Ok(report) = run(Sink::Dry, &settings, files, &Silent, &stop) {
        let counts = &report.totals;
        assert_eq!(counts.fetched, counts.prepared + counts.rejected + counts.held);
    }
});
