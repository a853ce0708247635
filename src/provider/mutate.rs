//! The short form of the fuzz targets, for tests: changed responses never panic.

use super::{Provider, Reply, Request};

/// Parses each response of the target's corpus with a few changes: the bars are valid and in order.
pub(crate) fn check_mutated_responses(
    target: &str,
    provider: &dyn Provider,
    request: &Request,
    pieces: &[&str],
) {
    check_mutations(target, pieces, |bytes| {
        let reply = Reply {
            origin: "http://x/".to_owned(),
            body: bytes.to_vec(),
            page: None,
        };
        for (ticker, rows) in provider.parse(request, &reply).ok()?.series {
            assert!(request.tickers.contains(&ticker));
            assert!(rows.bars.iter().all(|bar| bar.check().is_ok()));
            assert!(rows.bars.timestamps().is_sorted());
        }
        Some(())
    });
}

/// Reads each response of the target's corpus with a few changes, by a fixed seed. `read` returns
/// `None` for an error. `FUZZ_SEED` and `FUZZ_ROUNDS` choose other changes and more of them; `pieces`
/// are texts to insert.
pub(crate) fn check_mutations(
    target: &str,
    pieces: &[&str],
    mut read: impl FnMut(&[u8]) -> Option<()>,
) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let rounds = number("FUZZ_ROUNDS", 4_000) as usize;
    let corpus = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<Vec<u8>> = std::fs::read_dir(corpus)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    let mut state = number("FUZZ_SEED", 1);
    let mut roll = move |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit.max(1)
    };
    let pieces = [&["\"", ",", "{", "]", "\\u0000"], pieces].concat();
    let mut intact = 0;
    for round in 0..rounds {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=roll(3) {
            let at = roll(bytes.len());
            match roll(4) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << roll(8),
                1 => bytes.truncate(at),
                2 => {
                    let piece = pieces[roll(pieces.len())];
                    bytes.splice(at..at, piece.bytes()).for_each(drop);
                }
                _ => {
                    let end = (at + roll(10)).min(bytes.len());
                    bytes.drain(at..end);
                }
            }
        }
        intact += usize::from(read(&bytes).is_some());
    }
    assert!(intact > 100, "{intact} of {rounds} bodies were read");
}
