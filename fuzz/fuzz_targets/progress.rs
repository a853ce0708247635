//! Reads arbitrary bytes as the progress file of a writer: its texts can be printed, and it can be written and read again.
#![no_main]

use backfill::store::RunProgress;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(progress) = RunProgress::parse(bytes) {
        let texts = [&progress.run, &progress.command, &progress.unit];
        assert!(!texts.iter().any(|text| text.contains(char::is_control)));
        let written = serde_json::to_vec(&progress).expect("it can be written");
        assert!(RunProgress::parse(&written).is_some());
    }
});
