//! A short form of the fuzz targets: mutations of their corpora by fixed numbers. `FUZZ_SEED` and
//! `FUZZ_ROUNDS` set others, and more.

use super::*;

#[test]
fn mutated_files_never_panic_and_are_counted() {
    mutate("csv", &["csv", "txt", "csv.gz", "csv.zst"]);
}

#[test]
fn mutated_files_of_other_forms_never_panic_and_are_counted() {
    let endings = [
        "parquet", "arrow", "arrows", "jsonl", "json", "zip", "csv.bz2", "csv.xz", "txt",
    ];
    mutate("inputs", &endings);
}

/// Mutates the corpus of a fuzz target, whose first byte is the index of the file's ending.
fn mutate(target: &str, endings: &[&str]) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let rounds = number("FUZZ_ROUNDS", 400) as usize;
    let corpus = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<_> = std::fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 10, "{seeds:?}");
    let folder = tempfile::tempdir().unwrap();
    let mut state = number("FUZZ_SEED", 1);
    let mut roll = move |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit.max(1)
    };
    let pieces: [&[u8]; 14] = [
        b"\"",
        b",",
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b"1e999",
        b"-0",
        b"NaN",
        b"2025-11-02 01:30:00",
        b"13/01/2025",
        b"5,001",
        b"5,001.25",
        b"1.234,5",
    ];
    for round in 0..rounds {
        let seed = std::fs::read(&seeds[round % seeds.len()]).unwrap();
        let mut bytes = seed[2..].to_vec();
        for _ in 0..=roll(4) {
            let at = roll(bytes.len());
            match roll(5) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << roll(8),
                1 => bytes.truncate(at),
                2 => {
                    let piece = pieces[roll(pieces.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                3 => {
                    let end = (at + roll(40)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => {
                    let end = (at + roll(10)).min(bytes.len());
                    bytes.drain(at..end);
                }
            }
        }
        let ending = endings[usize::from(seed[0]) % endings.len()];
        let path = folder.path().join(format!("AAPL.{ending}"));
        std::fs::write(&path, &bytes).unwrap();
        let settings = Settings {
            threads: 1,
            cores: 1,
            interval: (round % 2 == 0).then_some(Interval::M1),
            accept_last_line: round % 3 == 0,
            ..Settings::new(Input::Files(vec![path]))
        };
        let report = run(
            Sink::Dry,
            &settings,
            files(&settings),
            &Silent,
            &Stop::new(),
        )
        .unwrap();
        let counts = &report.totals;
        assert_eq!(
            counts.fetched,
            counts.prepared + counts.rejected + counts.held,
            "round {round}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}
