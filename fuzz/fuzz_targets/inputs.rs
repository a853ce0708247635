//! Reads arbitrary bytes as a file of another form than CSV in a dry run: archives, Parquet, Arrow, JSON, UTF-16. The
//! first byte selects the ending of the name, the second the settings; the rest is the file.
#![no_main]

mod panics;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use backfill::inject::{Input, Settings, Sink, collect, run};
use backfill::model::Interval;
use backfill::report::{Silent, Stop};

const ENDINGS: [&str; 9] = [
    "parquet", "arrow", "arrows", "jsonl", "json", "zip", "csv.bz2", "csv.xz", "txt",
];

/// A folder of this process, in memory if possible.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let folder = base.join(format!("backfill-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    })
}

libfuzzer_sys::fuzz_target!(init: panics::ignore_caught(), |bytes: &[u8]| {
    let [ending, options, content @ ..] = bytes else {
        return;
    };
    let ending = ENDINGS[usize::from(*ending) % ENDINGS.len()];
    let path = folder().join(format!("AAPL.{ending}"));
    fs::write(&path, content).expect("the file can be written");
    let settings = Settings {
        threads: 1,
        cores: 1,
        interval: (options & 4 != 0).then_some(Interval::M1),
        accept_last_line: options & 32 != 0,
        skip_lines: usize::from(options & 64 != 0),
        ..Settings::new(Input::Files(vec![path.clone()]))
    };
    let stop = Stop::default();
    let files = collect(&settings.input, &Silent, &stop).expect("the file exists");
    if let Ok(report) = run(Sink::Dry, &settings, files, &Silent, &stop) {
        let counts = &report.totals;
        assert_eq!(counts.fetched, counts.prepared + counts.rejected + counts.held);
    }
});
