//! Soak: seeded runs of many commands, each ended at named points and by `kill -9` at any moment, opened again, and run
//! again until it ends well.
//!
//! Beside each run goes another that nobody disturbs; what the two hold must be the same after each command, and after
//! a kill every bar must be as it was before the command or as it is after it. `make soak` runs it for an hour
//! (`SOAK_SECONDS`), from another seed each time (`SOAK_SEED`); the tests run a few fixed seeds.

mod copies;
mod dice;
mod figures;
mod race;
mod script;
mod state;

use std::time::{Duration, Instant};

use figures::Figures;

/// Runs of the short form, half of them over dumps and half over a provider.
const SHORT_RUNS: u64 = 2;

#[test]
fn a_few_fixed_seeds() {
    let mut figures = Figures::default();
    for seed in 0..SHORT_RUNS {
        race::run(seed, &mut figures).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    println!("{figures}");
    assert!(
        figures.kills() > 0,
        "nothing was killed: the test proves nothing"
    );
}

/// The long form. Ends at the first loss, with the seed that shows it.
#[test]
#[ignore = "an hour: make soak"]
fn for_as_long_as_asked() {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| {
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{name}={text}"))
        })
    };
    let seconds = number("SOAK_SECONDS").unwrap_or(3_600);
    let first = number("SOAK_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs()
    });
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut figures = Figures::default();
    let mut seed = first;
    println!("soak: {seconds} s from seed {first}");
    while Instant::now() < end {
        if let Err(why) = race::run(seed, &mut figures) {
            figures.lost += 1;
            println!("{figures}");
            panic!("LOST at seed {seed} (SOAK_SEED={seed} SOAK_SECONDS=1 shows it): {why}");
        }
        seed += 1;
        if (seed - first).is_multiple_of(20) {
            println!("seeds {first} to {}: {}", seed - 1, figures.line());
        }
    }
    println!("soak: seeds {first} to {}\n{figures}", seed - 1);
}
