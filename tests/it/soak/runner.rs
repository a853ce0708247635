//! One seeded run: each step on the reference side and, with kills, on the other; then both are
//! compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::copies::{self, Seen};
use super::figures::Figures;
use super::meanwhile::Meanwhile;
use super::provider;
use super::rng::Rng;
use super::script::{self, Flavor, Setup, Step};
use super::state::{self, Grain, State};
use super::table;
use crate::support::{Database, Run, TestEnv};
use backfill::simulator::Running as Simulator;

/// The most steps of a run.
const STEPS_MAX: u64 = 9;
/// The most kills of one command before it may finish.
const KILLS_MAX: u64 = 3;

/// One side: its scratch folder, the table that it syncs to, and the simulated provider.
struct Side {
    env: TestEnv,
    table: String,
    simulator: Option<Simulator>,
}

struct Runner<'a> {
    rng: Rng,
    /// What was done on the killed side, for the message of a failure.
    log: Vec<String>,
    flavor: Flavor,
    figures: &'a mut Figures,
    /// The store's folder, relative, and the options that name it.
    folder: &'static str,
    store: Vec<String>,
    /// Another store that the current step uses.
    other_store: Option<String>,
    database: Option<Database>,
    reference: Side,
    killed: Side,
    /// All values that the store has had.
    seen: Seen,
    /// Whether the clock of the killed side may jump: no result of `inject-csv` depends on it.
    clock_jumps: bool,
    /// Whether the command waits for another writer.
    waits: bool,
    seed: u64,
}

/// The clock of the killed side; `None` is the real time.
const CLOCKS: [Option<&str>; 4] = [
    None,
    Some("2025-02-01T00:00:00Z"),
    Some("2026-03-29T00:59:59Z"),
    Some("2031-12-31T23:59:59Z"),
];

pub fn run(seed: u64, figures: &mut Figures) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let flavor = if seed.is_multiple_of(2) {
        Flavor::Csv
    } else {
        Flavor::Provider(provider::at(seed / 2))
    };
    let (folder, store) = match flavor {
        Flavor::Provider(provider) if provider.name == "demo" => (
            "data/demo",
            ["--store", "data/demo"].map(str::to_owned).to_vec(),
        ),
        _ => ("data/staging", Vec::new()),
    };
    let steps = 3 + rng.below(STEPS_MAX - 2) as usize;
    let side = |name: &str, with_faults| Side {
        env: TestEnv::new(),
        table: format!("soak_{seed}_{name}"),
        simulator: match flavor {
            Flavor::Csv => None,
            Flavor::Provider(provider) => provider.simulator(seed, with_faults),
        },
    };
    let mut runner = Runner {
        rng,
        log: Vec::new(),
        flavor,
        figures,
        folder,
        store,
        other_store: None,
        database: None,
        reference: side("reference", false),
        killed: side("killed", true),
        seen: Seen::default(),
        clock_jumps: matches!(flavor, Flavor::Csv),
        waits: false,
        seed,
    };
    let mut before = State::new();
    for number in 0..steps {
        let step = script::next(&mut runner.rng, flavor, &before, number);
        match runner.run_step(&step, before) {
            Ok(after) => before = after,
            Err(why) => {
                let kept = runner.killed.env.dir().display().to_string();
                std::mem::forget(runner.killed.env);
                let line = step.args.join(" ");
                let log = runner.log.join("\n");
                return Err(format!(
                    "step {number} ({line}), {kept} is kept:\n{log}\n{why}"
                ));
            }
        }
    }
    runner.figures.seeds += 1;
    Ok(())
}

impl Runner<'_> {
    /// Runs one step on both sides; returns the state after it.
    fn run_step(&mut self, step: &Step, before: State) -> Result<State, String> {
        for setup in &step.setup {
            setup.done_in(&self.reference.env, self.folder, &self.store);
            setup.done_in(&self.killed.env, self.folder, &self.store);
        }
        self.other_store.clone_from(&step.other_store);
        let kept = before.clone();
        // The other store is empty before, and has all of this one's bars afterwards.
        let before = match step.other_store {
            Some(_) => State::new(),
            None => before,
        };
        let exported_before = exported(&self.reference.env);
        let began = Instant::now();
        expect_success(&self.program(step, false, None)?.wait())?;
        let took = began.elapsed();
        self.figures.commands += 1;
        let after = self.read(false)?;
        if step.other_store.is_some() && after != kept {
            return Err(format!("the bundle has {after:?}\ninstead of {kept:?}"));
        }
        let exported_after = exported(&self.reference.env);
        if step.other_store.is_none() {
            self.seen.add(&after);
        }

        let mut seen = before;
        if let Some(share) = step.cut_at {
            seen = self.inject_cut_files(step, share)?;
        }
        for _ in 0..=self.rng.below(KILLS_MAX) {
            let readers = self.start_readers(step);
            let killed = self.kill_once(step, took)?;
            check_readers(readers, &seen, &after, step.grain)?;
            let Some(run) = killed else {
                continue;
            };
            let done = reported_done(&run);
            if step.grain != Grain::Unreadable {
                self.maybe_kill_recovery()?;
                let found = self.read(true)?;
                if step.other_store.is_none() {
                    self.seen.add(&found);
                }
                let reading = format!("after a kill\n{}", run.snapshot());
                state::between(&seen, &after, &found, step.grain, &done)
                    .map_err(|why| format!("{why}\n{reading}"))?;
                // What was stored once must stay.
                seen = found;
                self.check_copy()?;
            }
            for (name, bytes) in exported(&self.killed.env) {
                if exported_before.get(&name) != Some(&bytes)
                    && exported_after.get(&name) != Some(&bytes)
                {
                    return Err(format!(
                        "{name} of the export is neither the old file nor the new"
                    ));
                }
            }
        }

        let readers = self.start_readers(step);
        self.run_to_its_end(step)?;
        check_readers(readers, &seen, &after, step.grain)?;
        let found = self.read(true)?;
        if found != after {
            return Err(format!(
                "the same command again has another result:\nfound {found:?}\nafter {after:?}"
            ));
        }
        self.verify_both()?;
        if step.command == "export" && exported(&self.killed.env) != exported_after {
            return Err("the two exports differ".to_owned());
        }
        if step.command == "sync" {
            self.tables_agree()?;
        }
        if step.command == "push" {
            for side in [&self.reference, &self.killed] {
                table::has_all_bars(&side.env, &self.store, script::PUSHED)?;
            }
        }
        self.other_store = None;
        Ok(match step.other_store {
            Some(_) => kept,
            None => after,
        })
    }

    /// Starts readers of the killed side.
    fn start_readers(&mut self, step: &Step) -> Meanwhile {
        if step.grain == Grain::Unreadable {
            return Meanwhile::default();
        }
        let store = self.store_options();
        let env = &self.killed.env;
        let readers = Meanwhile::start(&mut self.rng, env, &store, step.can_wait());
        self.figures.readers += readers.count();
        readers
    }

    /// Runs the step on the killed side without a kill, sometimes together with another writer, which
    /// changes no bar.
    fn run_to_its_end(&mut self, step: &Step) -> Result<(), String> {
        self.waits = step.can_wait() && self.rng.chance(25);
        let mut args = self.store_options();
        args.extend(["seal", "--wait", "300"].map(str::to_owned));
        let seal = self.waits.then(|| self.killed.env.program(args).spawn());
        let run = self.program(step, true, None)?.wait();
        self.waits = false;
        self.log.push(format!(
            "{} until it ended{}",
            step.args.join(" "),
            if seal.is_some() {
                ", during a seal"
            } else {
                ""
            }
        ));
        self.figures.commands += 1;
        expect_success(&run)?;
        if let Some(seal) = seal {
            self.figures.pairs += 1;
            let run = seal.wait();
            if !run.stderr.contains("there is no store") {
                expect_success(&run)?;
            }
        }
        Ok(())
    }

    /// Runs the step on the killed side and kills it at a point or after a time; `None` if it ended
    /// before.
    fn kill_once(&mut self, step: &Step, took: Duration) -> Result<Option<Run>, String> {
        self.figures.commands += 1;
        let by_name = !step.points.is_empty() && self.rng.chance(60);
        let run = if by_name {
            let point = if self.rng.chance(85) {
                self.rng.pick(step.points).to_owned()
            } else {
                self.rng.pick(all_points())
            };
            // Usually the first time that it is reached.
            let time = if self.rng.chance(70) {
                1
            } else {
                2 + self.rng.below(2)
            };
            let point = format!("{point}@{time}");
            let run = self.program(step, true, Some(&point))?.wait();
            self.log.push(format!(
                "{} to {point}: {:?}",
                step.args.join(" "),
                run.code
            ));
            if run.code.is_none() {
                self.figures.point(&point);
            }
            run
        } else {
            let delay = took.mul_f64(self.rng.share() * 1.1);
            let mut running = self.program(step, true, None)?;
            thread::sleep(delay);
            let copyable = step.other_store.is_none() && step.grain != Grain::Unreadable;
            if copyable && self.rng.chance(40) {
                copies::make(&mut self.rng, &self.killed.env, self.folder);
                self.log.push("copied while it wrote".to_owned());
            }
            let _ = running.child().kill();
            let run = running.wait();
            self.log.push(format!(
                "{} for {delay:?}: {:?}",
                step.args.join(" "),
                run.code
            ));
            if run.code.is_none() {
                self.figures.random(step.command);
            }
            run
        };
        match run.code {
            None => Ok(Some(run)),
            Some(_) => expect_success(&run).map(|()| None),
        }
    }

    /// Injects the step's files cut off, as if they were still being written; returns the state then.
    fn inject_cut_files(&mut self, step: &Step, share: f64) -> Result<State, String> {
        for setup in &step.setup {
            if let Setup::Write(name, text) = setup {
                let end = (text.len() as f64 * share) as usize;
                self.killed.env.write(&format!("cut/{name}"), &text[..end]);
                self.figures.odd_files.1 += 1;
            }
        }
        let files = format!("cut/{}", step.files());
        let mut args = self.store_options();
        args.extend(step.args_for(&files));
        let run = self.killed.env.run(&args);
        self.log
            .push(format!("{} of {files}: {:?}", args.join(" "), run.code));
        // A file without one whole row fails and stores nothing.
        if !matches!(run.code, Some(0 | 3)) {
            return Err(format!("cut files:\n{}", run.snapshot()));
        }
        let found = self.read(true)?;
        self.seen.add(&found);
        Ok(found)
    }

    /// Reads and syncs the copy that was made during the last command, if any.
    fn check_copy(&mut self) -> Result<(), String> {
        if !self.killed.env.path(copies::FOLDER).exists() {
            return Ok(());
        }
        match copies::reads_true(&self.killed.env, &self.seen)? {
            true => self.figures.copies.0 += 1,
            false => self.figures.copies.1 += 1,
        }
        let table = format!("soak_{}_copy", self.seed);
        let database = self.database.get_or_insert_with(Database::new);
        copies::syncs_whole(&self.killed.env, &self.store, database, &table)?;
        std::fs::remove_dir_all(self.killed.env.path(copies::FOLDER))
            .map_err(|error| error.to_string())
    }

    /// Kills the recovery after a kill, sometimes.
    fn maybe_kill_recovery(&mut self) -> Result<(), String> {
        while self.rng.chance(30) {
            let mut args = self.store_options();
            args.push(
                if self.rng.chance(50) {
                    "status"
                } else {
                    "seal"
                }
                .to_owned(),
            );
            // A seal changes no bar.
            let program = self.killed.env.program(&args);
            let point = self.rng.pick(&[
                "recover.before-rename",
                "recover.after-rename",
                "recover.after-settle",
                "recover.after-undo",
                "recover.before-log-cut",
                "checkpoint.before",
            ]);
            let run = if self.rng.chance(70) {
                let run = program.env("BACKFILL_CRASH", point).run();
                self.log
                    .push(format!("{} to {point}: {:?}", args.join(" "), run.code));
                if run.code.is_none() {
                    self.figures.point(point);
                }
                run
            } else {
                let delay = Duration::from_micros(self.rng.below(120_000));
                let mut running = program.spawn();
                thread::sleep(delay);
                let _ = running.child().kill();
                let run = running.wait();
                self.log
                    .push(format!("{} for {delay:?}: {:?}", args.join(" "), run.code));
                if run.code.is_none() {
                    self.figures.random("recovery");
                }
                run
            };
            if run.code.is_some() && !run.stderr.contains("there is no store") {
                expect_success(&run)?;
            }
        }
        Ok(())
    }

    fn program(
        &mut self,
        step: &Step,
        on_killed: bool,
        point: Option<&str>,
    ) -> Result<crate::support::Running, String> {
        let mut args = self.store_options();
        let piped = step.pipe.as_ref().filter(|_| on_killed);
        args.extend(match piped {
            Some(_) => step.args_for("/dev/stdin"),
            None => step.args.clone(),
        });
        if self.waits {
            args.extend(["--wait", "300"].map(str::to_owned));
        }
        let mut url = None;
        if step.command == "sync" {
            let table = if on_killed {
                &self.killed.table
            } else {
                &self.reference.table
            };
            args.extend(["--table".to_owned(), table.clone()]);
            url = Some(self.database.get_or_insert_with(Database::new).url());
        }
        let clock = match on_killed && self.clock_jumps {
            true => self.rng.pick(&CLOCKS),
            false => None,
        };
        let side = if on_killed {
            &self.killed
        } else {
            &self.reference
        };
        let mut program = side.env.program(&args);
        if let (Flavor::Provider(provider), Some(simulator)) = (self.flavor, &side.simulator) {
            for (name, value) in provider.environment(simulator) {
                program = program.env(name, value);
            }
        }
        if let Some(name) = piped {
            self.figures.odd_files.0 += 1;
            program = program.stdin(side.env.read(name));
        }
        if let Some(clock) = clock {
            program = program.env("BACKFILL_NOW", clock);
        }
        if let Some(url) = url {
            program = program.env("DATABASE_URL", url);
        }
        if let Some(point) = point {
            program = program.env("BACKFILL_CRASH", point);
        }
        Ok(program.spawn())
    }

    /// The options that name the store of the current step.
    fn store_options(&self) -> Vec<String> {
        match &self.other_store {
            Some(folder) => vec!["--store".to_owned(), folder.clone()],
            None => self.store.clone(),
        }
    }

    fn read(&mut self, on_killed: bool) -> Result<State, String> {
        let env = if on_killed {
            &self.killed.env
        } else {
            &self.reference.env
        };
        let state = state::read(env, &self.store_options())?;
        self.figures.compared += 1;
        self.figures.bars += state::rows(&state);
        Ok(state)
    }

    fn verify_both(&self) -> Result<(), String> {
        for side in [&self.reference, &self.killed] {
            let mut args = self.store_options();
            args.push("verify".to_owned());
            expect_success(&side.env.run(&args))?;
            let folder = self.other_store.as_deref().unwrap_or(self.folder);
            let left = side.env.files(&format!("{folder}/tmp"));
            if !left.is_empty() {
                return Err(format!("left in tmp/: {left:?}"));
            }
        }
        Ok(())
    }

    /// Checks that both tables have the same rows.
    fn tables_agree(&mut self) -> Result<(), String> {
        let (reference, killed) = (&self.reference.table, &self.killed.table);
        let seed = self.seed;
        let database = self.database.get_or_insert_with(Database::new);
        let differing = database.sql(&format!(
            "SELECT count(*) FROM ((TABLE {reference} EXCEPT TABLE {killed}) UNION ALL (TABLE {killed} EXCEPT TABLE {reference})) AS differing"
        ));
        if differing != "0" {
            return Err(format!(
                "the tables of seed {seed} differ in {differing} rows"
            ));
        }
        Ok(())
    }
}

/// Checks what readers saw while a command ran.
fn check_readers(
    readers: Meanwhile,
    before: &State,
    after: &State,
    grain: Grain,
) -> Result<(), String> {
    let none = BTreeSet::new();
    for found in readers.end()? {
        state::between(before, after, &found, grain, &none)
            .map_err(|why| format!("a reader saw another state: {why}"))?;
    }
    Ok(())
}

fn expect_success(run: &Run) -> Result<(), String> {
    if run.code == Some(0) {
        Ok(())
    } else {
        Err(format!("failed:\n{}", run.snapshot()))
    }
}

/// Tickers whose file or windows were reported as inserted. A file is named after its ticker.
fn reported_done(run: &Run) -> BTreeSet<String> {
    let lines = run.stderr.lines();
    lines
        .filter(|line| line.contains("] Inserted in "))
        .filter_map(|line| line.strip_prefix('[')?.split(']').next())
        .map(|name| name.trim_end_matches(".csv").replace('_', "/"))
        .collect()
}

/// The files of the export, without unfinished ones.
fn exported(env: &TestEnv) -> BTreeMap<String, Vec<u8>> {
    env.files("out")
        .into_iter()
        .filter(|name| !name.ends_with(".part"))
        .map(|name| {
            let bytes = std::fs::read(env.path(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

/// All crash points of the program, so that new ones are tried too.
fn all_points() -> &'static [String] {
    static POINTS: OnceLock<Vec<String>> = OnceLock::new();
    POINTS.get_or_init(crate::crash_points::all)
}
