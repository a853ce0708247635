//! The store against a plain map: random commits, seals, drops and reopenings.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Applies an offer to the model as designed, and returns the expected result: (committed, updated,
/// identical, restated), or `None` for a refusal.
fn apply(model: &mut Model, offer: &Offer) -> Option<(u64, u64, u64, u64)> {
    let mut batch: BTreeMap<i64, f64> = BTreeMap::new();
    let (mut identical, mut restated) = (0, 0);
    let mut clash = false;
    for bar in offer.bars.iter() {
        let at = bar.timestamp.micros();
        match batch.get(&at) {
            None => drop(batch.insert(at, bar.close)),
            Some(close) if *close == bar.close => identical += 1,
            Some(_) => {
                clash = true;
                restated += 1;
                if offer.on_conflict == OnConflict::Update {
                    batch.insert(at, bar.close);
                }
            }
        }
    }
    let staged = |at: &i64| model.get(&(offer.series.clone(), *at)).copied();
    if offer.on_conflict == OnConflict::Fail
        && (clash || batch.keys().any(|at| staged(at).is_some()))
    {
        return None;
    }
    let (mut committed, mut updated) = (0, 0);
    let mut writes = Vec::new();
    for (at, close) in &batch {
        match staged(at) {
            None => {
                committed += 1;
                writes.push((*at, *close));
            }
            Some(old) if old == *close => identical += 1,
            Some(_) if offer.on_conflict == OnConflict::Update => {
                committed += 1;
                updated += 1;
                writes.push((*at, *close));
            }
            Some(_) => restated += 1,
        }
    }
    for (at, close) in writes {
        model.insert((offer.series.clone(), at), close);
    }
    Some((committed, updated, identical, restated))
}

type StepOffer = (u8, Vec<(i64, u8)>, u8);

#[derive(Clone, Debug)]
enum Step {
    /// Offers of (ticker, rows of (minute, close), conflict mode).
    Commit(Vec<StepOffer>),
    Seal,
    Reopen,
    Drop(u8, i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0..120_i64, 1..4_u8), 0..30);
    let offers = prop::collection::vec((0..3_u8, rows, 0..3_u8), 1..9);
    prop_oneof![
        6 => offers.prop_map(Step::Commit),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        1 => (0..3_u8, 0..120_i64, 1..60_i64).prop_map(|(ticker, from, rows)| Step::Drop(ticker, from, rows)),
    ]
}

const TICKERS: [&str; 3] = ["007", "BTC/USD", "NULL"];
const MODES: [OnConflict; 3] = [OnConflict::Fail, OnConflict::Ignore, OnConflict::Update];

fn run_steps(steps: &[Step]) {
    let dir = scratch();
    let mut model = Model::new();
    let mut store = Some(Store::open(dir.path(), &small()).unwrap());
    let run = store
        .as_ref()
        .unwrap()
        .begin_run("test", Timestamp::from_micros(0))
        .unwrap();
    for step in steps {
        let open = store.as_ref().unwrap();
        match step {
            Step::Commit(offers) => {
                let offers: Vec<Offer> = offers
                    .iter()
                    .map(|(ticker, rows, mode)| {
                        let rows: Vec<(i64, f64)> = rows
                            .iter()
                            .map(|(minute, close)| (*minute, f64::from(*close)))
                            .collect();
                        offer(TICKERS[*ticker as usize], &rows, MODES[*mode as usize])
                    })
                    .collect();
                let expected: Vec<_> = offers
                    .iter()
                    .map(|offer| apply(&mut model, offer))
                    .collect();
                let answers = open.commit(&run, offers).unwrap();
                for (answer, expected) in answers.iter().zip(&expected) {
                    let found = answer.as_ref().ok().map(|done| {
                        let c = done.counts;
                        (
                            c.committed,
                            c.updated,
                            c.skipped_identical,
                            c.skipped_restated,
                        )
                    });
                    assert_eq!(found, *expected);
                }
            }
            Step::Seal => {
                open.seal().unwrap();
                assert!(
                    open.reader()
                        .unwrap()
                        .series()
                        .unwrap()
                        .iter()
                        .all(|row| row.hot_rows == 0)
                );
            }
            Step::Reopen => {
                drop(store.take());
                store = Some(Store::open(dir.path(), &small()).unwrap());
            }
            Step::Drop(ticker, from, rows) => {
                let series = key(TICKERS[*ticker as usize]);
                let range = TimeRange {
                    start: (START + from) * 60_000_000,
                    end: (START + from + rows) * 60_000_000,
                };
                let before = model.len();
                model.retain(|(key, at), _| *key != series || !range.contains(*at));
                let dropped = open.drop_bars(&series, range).unwrap();
                assert_eq!(dropped.rows as usize, before - model.len());
            }
        }
        let reader = store.as_ref().unwrap().reader().unwrap();
        assert_eq!(content(&reader), model);
    }
    drop(store);
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert_eq!(content(&reader), model);
    assert_eq!(sql_content(&reader), model);
    drop(reader);
    let verified = verify(dir.path(), &small()).unwrap();
    assert_eq!(verified.damage, []);
    assert_eq!(verified.rows as usize, model.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_model(steps in prop::collection::vec(step(), 1..16)) {
        run_steps(&steps);
    }
}

/// What a store records of commits, without the numbers of commits and runs.
fn records(reader: &Reader) -> (Model, Vec<String>, Vec<String>) {
    let mut conflicts: Vec<String> = (reader.conflicts().unwrap().into_iter())
        .map(|row| {
            let (staged, offered) = (row.staged.close, row.offered.close);
            format!(
                "{} {} {staged} {} {offered} {} {}",
                row.series,
                row.offered.timestamp,
                row.staged_source,
                row.offered_source,
                row.resolution
            )
        })
        .collect();
    let sessions = reader.sessions().unwrap().into_iter();
    let sessions = sessions.map(|(key, counts)| format!("{key} {counts:?}"));
    conflicts.sort();
    (content(reader), conflicts, sessions.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn offers_in_one_call_have_the_results_of_offers_one_after_another(
        stored in prop::collection::vec((0..120_i64, 1..4_u8), 0..40),
        offers in prop::collection::vec(
            (0..2_u8, prop::collection::vec((0..120_i64, 1..4_u8), 0..30), 0..3_u8, 0..4_u8), 1..12),
    ) {
        let [together, apart] = [scratch(), scratch()].map(|dir| {
            let store = Store::open(dir.path(), &small()).unwrap();
            (dir, store)
        });
        let rows = |rows: &[(i64, u8)]| -> Vec<(i64, f64)> {
            rows.iter().map(|(minute, close)| (*minute, f64::from(*close))).collect()
        };
        let first = offer(TICKERS[0], &rows(&stored), OnConflict::Ignore);
        let offers: Vec<Offer> = offers
            .iter()
            .map(|(ticker, bars, mode, source)| Offer {
                source: Source::new(if *source == 0 { "other" } else { "csv" }),
                ..offer(TICKERS[*ticker as usize], &rows(bars), MODES[*mode as usize])
            })
            .collect();
        let mut results = Vec::new();
        for (store, calls) in [
            (&together.1, vec![offers.clone()]),
            (&apart.1, offers.iter().map(|offer| vec![offer.clone()]).collect()),
        ] {
            let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
            store.commit(&run, vec![first.clone()]).unwrap();
            let done: Vec<String> = calls
                .into_iter()
                .flat_map(|call| store.commit(&run, call).unwrap())
                .map(|result| match result {
                    Ok(done) => format!("{:?} {}", done.counts, done.commit.is_some()),
                    Err(refusal) => refusal.to_string(),
                })
                .collect();
            results.push((done, records(&store.reader().unwrap())));
        }
        assert_eq!(results[0], results[1]);
    }
}
