//! Other processes that read the store, or wait to write to it, while a command of the soak runs.

use super::rng::Rng;
use super::state::{self, State};
use crate::support::{Run, Running, TestEnv};

/// Commands that read and must succeed at any time.
const READERS: [&str; 5] = [
    "status",
    "status --format json",
    "gaps --end 2025-01-10",
    "export --to read.csv",
    "report --to read.html",
];

/// Processes that were started before the command.
#[derive(Default)]
pub struct Meanwhile {
    queries: Vec<Running>,
    others: Vec<Running>,
    watch: Option<Running>,
}

impl Meanwhile {
    /// Starts some readers; with `watches` also `status --watch`, which is interrupted at the end. That
    /// may leave files for the next writer to remove.
    pub fn start(rng: &mut Rng, env: &TestEnv, store: &[String], watches: bool) -> Self {
        let mut started = Self::default();
        if rng.chance(50) {
            return started;
        }
        let spawn = |line: &str| {
            let words = line.split_whitespace().map(str::to_owned);
            let args: Vec<String> = store.iter().cloned().chain(words).collect();
            env.program(args).spawn()
        };
        for _ in 0..=rng.below(2) {
            match rng.chance(50) {
                true => (started.queries).push(env.program(state::query(store)).spawn()),
                false => started.others.push(spawn(rng.pick(&READERS))),
            }
        }
        if watches && rng.chance(30) {
            started.watch = Some(spawn("status --watch"));
        }
        started
    }

    /// How many readers there are.
    pub fn count(&self) -> u64 {
        (self.queries.len() + self.others.len() + usize::from(self.watch.is_some())) as u64
    }

    /// Waits for the readers. Returns the states that they saw.
    pub fn end(self) -> Result<Vec<State>, String> {
        let mut states = Vec::new();
        for query in self.queries {
            let run = query.wait();
            // It waited for a snapshot, and the machine was too busy to make one.
            if !run.stderr.contains("are left out") {
                states.push(state::of_query(&run)?);
            }
        }
        for other in self.others {
            let run = other.wait();
            succeeded(&run, run.code == Some(0))?;
        }
        if let Some(watch) = self.watch {
            watch.signal("INT");
            let run = watch.wait();
            succeeded(&run, matches!(run.code, None | Some(0 | 130)))?;
        }
        Ok(states)
    }
}

fn succeeded(run: &Run, is_good: bool) -> Result<(), String> {
    match is_good || run.stderr.contains("there is no store") {
        true => Ok(()),
        false => Err(format!("a reader failed:\n{}", run.snapshot())),
    }
}
