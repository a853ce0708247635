//! One seeded run: the undisturbed side, the disturbed one, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::copies::{self, Seen};
use super::dice::Dice;
use super::figures::Figures;
use super::script::{self, Flavor, Setup, Step};
use super::state::{self, Grain, State};
use crate::support::{Database, Run, TestEnv};

/// Steps of a run at most.
const STEPS_MAX: u64 = 9;
/// How often one command is cut before it may end.
const CUTS_MAX: u64 = 3;

/// One side: its scratch folder, and the table that it syncs into.
struct Side {
    env: TestEnv,
    table: String,
}

struct Race<'a> {
    dice: Dice,
    /// What was done to the side that is cut, a line each.
    story: Vec<String>,
    figures: &'a mut Figures,
    /// Where the store stands, relative, and the options that say so.
    folder: &'static str,
    store: Vec<String>,
    /// Another store that the step at hand is about.
    aside: Option<String>,
    database: Option<Database>,
    calm: Side,
    cut: Side,
    /// All that the store has held.
    seen: Seen,
    /// The clock of the disturbed side may jump: of dumps nothing depends on it.
    clock_jumps: bool,
    seed: u64,
}

/// What the disturbed side's clock may show; `None` is the time of day.
const CLOCKS: [Option<&str>; 4] = [
    None,
    Some("2025-02-01T00:00:00Z"),
    Some("2026-03-29T00:59:59Z"),
    Some("2031-12-31T23:59:59Z"),
];

pub fn run(seed: u64, figures: &mut Figures) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let flavor = if seed.is_multiple_of(2) {
        Flavor::Dumps
    } else {
        Flavor::Provider
    };
    let (folder, store) = match flavor {
        Flavor::Dumps => ("data/staging", Vec::new()),
        Flavor::Provider => (
            "data/demo",
            ["--store", "data/demo"].map(str::to_owned).to_vec(),
        ),
    };
    let steps = 3 + dice.below(STEPS_MAX - 2) as usize;
    let side = |name: &str| Side {
        env: TestEnv::new(),
        table: format!("soak_{seed}_{name}"),
    };
    let mut race = Race {
        dice,
        story: Vec::new(),
        figures,
        folder,
        store,
        aside: None,
        database: None,
        calm: side("calm"),
        cut: side("cut"),
        seen: Seen::default(),
        clock_jumps: flavor == Flavor::Dumps,
        seed,
    };
    let mut before = State::new();
    for number in 0..steps {
        let step = script::next(&mut race.dice, flavor, &before, number);
        match race.take(&step, before) {
            Ok(after) => before = after,
            Err(why) => {
                let kept = race.cut.env.dir().display().to_string();
                std::mem::forget(race.cut.env);
                let line = step.args.join(" ");
                let story = race.story.join("\n");
                return Err(format!(
                    "step {number} ({line}), {kept} is kept:\n{story}\n{why}"
                ));
            }
        }
    }
    race.figures.seeds += 1;
    Ok(())
}

impl Race<'_> {
    /// Takes one step on both sides; tells the state after it.
    fn take(&mut self, step: &Step, before: State) -> Result<State, String> {
        for setup in &step.setup {
            setup.done_in(&self.calm.env, self.folder, &self.store);
            setup.done_in(&self.cut.env, self.folder, &self.store);
        }
        self.aside.clone_from(&step.aside);
        let kept = before.clone();
        // A new store is filled from nothing, with all that this one has.
        let before = match step.aside {
            Some(_) => State::new(),
            None => before,
        };
        let exported_before = exported(&self.calm.env);
        let began = Instant::now();
        ended_well(&self.program(step, false, None)?.wait())?;
        let took = began.elapsed();
        self.figures.commands += 1;
        let after = self.read(false)?;
        if step.aside.is_some() && after != kept {
            return Err(format!("the bundle brings {after:?}\nof {kept:?}"));
        }
        let exported_after = exported(&self.calm.env);
        if step.aside.is_none() {
            self.seen.add(&after);
        }

        let mut seen = before;
        if let Some(share) = step.cut_at {
            seen = self.inject_cut_dumps(step, share)?;
        }
        for _ in 0..=self.dice.below(CUTS_MAX) {
            let Some(run) = self.cut_once(step, took)? else {
                continue;
            };
            let done = told_as_done(&run);
            if step.grain != Grain::Unreadable {
                self.maybe_cut_recovery()?;
                let found = self.read(true)?;
                if step.aside.is_none() {
                    self.seen.add(&found);
                }
                let reading = format!("after a kill\n{}", run.snapshot());
                state::between(&seen, &after, &found, step.grain, &done)
                    .map_err(|why| format!("{why}\n{reading}"))?;
                // What was there once must not go again.
                seen = found;
                self.check_copy()?;
            }
            for (name, bytes) in exported(&self.cut.env) {
                if exported_before.get(&name) != Some(&bytes)
                    && exported_after.get(&name) != Some(&bytes)
                {
                    return Err(format!(
                        "{name} of the export is neither the old file nor the new"
                    ));
                }
            }
        }

        ended_well(&self.program(step, true, None)?.wait())?;
        self.story
            .push(format!("{} to its end", step.args.join(" ")));
        self.figures.commands += 1;
        let found = self.read(true)?;
        if found != after {
            return Err(format!(
                "the same command again does not come to the truth:\nfound {found:?}\nafter {after:?}"
            ));
        }
        self.both_verify()?;
        if step.command == "export" && exported(&self.cut.env) != exported_after {
            return Err("the two exports differ".to_owned());
        }
        if step.command == "sync" {
            self.tables_agree()?;
        }
        self.aside = None;
        Ok(match step.aside {
            Some(_) => kept,
            None => after,
        })
    }

    /// Runs the step on the side that is cut, once, to a named point or until a moment; `None` where it ended by itself.
    fn cut_once(&mut self, step: &Step, took: Duration) -> Result<Option<Run>, String> {
        self.figures.commands += 1;
        let by_name = !step.points.is_empty() && self.dice.chance(60);
        let run = if by_name {
            let point = if self.dice.chance(85) {
                self.dice.pick(step.points).to_owned()
            } else {
                self.dice.pick(all_points())
            };
            // Mostly the first time that it is passed, now and then a later one.
            let time = if self.dice.chance(70) {
                1
            } else {
                2 + self.dice.below(2)
            };
            let point = format!("{point}@{time}");
            let run = self.program(step, true, Some(&point))?.wait();
            self.story.push(format!(
                "{} to {point}: {:?}",
                step.args.join(" "),
                run.code
            ));
            if run.code.is_none() {
                self.figures.point(&point);
            }
            run
        } else {
            let delay = took.mul_f64(self.dice.share() * 1.1);
            let mut running = self.program(step, true, None)?;
            thread::sleep(delay);
            let copyable = step.aside.is_none() && step.grain != Grain::Unreadable;
            if copyable && self.dice.chance(40) {
                copies::make(&mut self.dice, &self.cut.env, self.folder);
                self.story.push("copied while it writes".to_owned());
            }
            let _ = running.child().kill();
            let run = running.wait();
            self.story.push(format!(
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
            Some(_) => ended_well(&run).map(|()| None),
        }
    }

    /// Injects the step's dumps as they were when half of them was written; returns the state then.
    fn inject_cut_dumps(&mut self, step: &Step, share: f64) -> Result<State, String> {
        for setup in &step.setup {
            if let Setup::Write(name, text) = setup {
                let end = (text.len() as f64 * share) as usize;
                self.cut.env.write(&format!("cut/{name}"), &text[..end]);
                self.figures.odd_dumps.1 += 1;
            }
        }
        let dumps = format!("cut/{}", step.dumps());
        let mut args = self.at();
        args.extend(step.args_for(&dumps));
        let run = self.cut.env.run(&args);
        self.story
            .push(format!("{} of {dumps}: {:?}", args.join(" "), run.code));
        // A file without one whole row fails, and stages nothing.
        if !matches!(run.code, Some(0 | 3)) {
            return Err(format!("cut dumps:\n{}", run.snapshot()));
        }
        let found = self.read(true)?;
        self.seen.add(&found);
        Ok(found)
    }

    /// Reads the copy that was made while the last command wrote, if any, and syncs it.
    fn check_copy(&mut self) -> Result<(), String> {
        if !self.cut.env.path(copies::FOLDER).exists() {
            return Ok(());
        }
        match copies::reads_true(&self.cut.env, &self.seen)? {
            true => self.figures.copies.0 += 1,
            false => self.figures.copies.1 += 1,
        }
        let table = format!("soak_{}_copy", self.seed);
        let database = self.database.get_or_insert_with(Database::new);
        copies::syncs_whole(&self.cut.env, &self.store, database, &table)?;
        std::fs::remove_dir_all(self.cut.env.path(copies::FOLDER))
            .map_err(|error| error.to_string())
    }

    /// What opens the store after a kill may be killed too.
    fn maybe_cut_recovery(&mut self) -> Result<(), String> {
        while self.dice.chance(30) {
            let mut args = self.at();
            args.push(
                if self.dice.chance(50) {
                    "status"
                } else {
                    "seal"
                }
                .to_owned(),
            );
            // A seal changes no bar, but what is sealed may be another step's business: reading is enough mostly.
            let program = self.cut.env.program(&args);
            let point = self.dice.pick(&[
                "recover.before-rename",
                "recover.after-rename",
                "recover.after-settle",
                "recover.after-undo",
                "recover.before-log-cut",
                "checkpoint.before",
            ]);
            let run = if self.dice.chance(70) {
                let run = program.env("BACKFILL_CRASH", point).run();
                self.story
                    .push(format!("{} to {point}: {:?}", args.join(" "), run.code));
                if run.code.is_none() {
                    self.figures.point(point);
                }
                run
            } else {
                let delay = Duration::from_micros(self.dice.below(120_000));
                let mut running = program.spawn();
                thread::sleep(delay);
                let _ = running.child().kill();
                let run = running.wait();
                self.story
                    .push(format!("{} for {delay:?}: {:?}", args.join(" "), run.code));
                if run.code.is_none() {
                    self.figures.random("recovery");
                }
                run
            };
            if run.code.is_some() && !run.stderr.contains("there is no store") {
                ended_well(&run)?;
            }
        }
        Ok(())
    }

    fn program(
        &mut self,
        step: &Step,
        cut: bool,
        point: Option<&str>,
    ) -> Result<crate::support::Running, String> {
        let mut args = self.at();
        let piped = step.pipe.as_ref().filter(|_| cut);
        args.extend(match piped {
            Some(_) => step.args_for("/dev/stdin"),
            None => step.args.clone(),
        });
        let mut url = None;
        if step.command == "sync" {
            let table = if cut {
                &self.cut.table
            } else {
                &self.calm.table
            };
            args.extend(["--table".to_owned(), table.clone()]);
            url = Some(self.database.get_or_insert_with(Database::new).url());
        }
        let clock = match cut && self.clock_jumps {
            true => self.dice.pick(&CLOCKS),
            false => None,
        };
        let env = if cut { &self.cut.env } else { &self.calm.env };
        let mut program = env.program(&args);
        if let Some(name) = piped {
            self.figures.odd_dumps.0 += 1;
            program = program.stdin(env.read(name));
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

    /// The options that name the store of the step at hand.
    fn at(&self) -> Vec<String> {
        match &self.aside {
            Some(folder) => vec!["--store".to_owned(), folder.clone()],
            None => self.store.clone(),
        }
    }

    fn read(&mut self, cut: bool) -> Result<State, String> {
        let env = if cut { &self.cut.env } else { &self.calm.env };
        let state = state::read(env, &self.at())?;
        self.figures.compared += 1;
        self.figures.bars += state::rows(&state);
        Ok(state)
    }

    fn both_verify(&self) -> Result<(), String> {
        for side in [&self.calm, &self.cut] {
            let mut args = self.at();
            args.push("verify".to_owned());
            ended_well(&side.env.run(&args))?;
            let folder = self.aside.as_deref().unwrap_or(self.folder);
            let left = side.env.files(&format!("{folder}/tmp"));
            if !left.is_empty() {
                return Err(format!("left in tmp/: {left:?}"));
            }
        }
        Ok(())
    }

    /// The two tables hold the same rows, and those that the store holds are among them.
    fn tables_agree(&mut self) -> Result<(), String> {
        let (calm, cut) = (&self.calm.table, &self.cut.table);
        let seed = self.seed;
        let database = self.database.get_or_insert_with(Database::new);
        let differing = database.sql(&format!(
            "SELECT count(*) FROM ((TABLE {calm} EXCEPT TABLE {cut}) UNION ALL (TABLE {cut} EXCEPT TABLE {calm})) AS differing"
        ));
        if differing != "0" {
            return Err(format!(
                "the tables of seed {seed} differ in {differing} rows"
            ));
        }
        Ok(())
    }
}

fn ended_well(run: &Run) -> Result<(), String> {
    if run.code == Some(0) {
        Ok(())
    } else {
        Err(format!("it failed:\n{}", run.snapshot()))
    }
}

/// Tickers whose file or windows the program said were in. A file is named after its ticker.
fn told_as_done(run: &Run) -> BTreeSet<String> {
    let lines = run.stderr.lines();
    lines
        .filter(|line| line.contains("] Inserted in "))
        .filter_map(|line| line.strip_prefix('[')?.split(']').next())
        .map(|name| name.trim_end_matches(".csv").replace('_', "/"))
        .collect()
}

/// The files of the export, but for those half written under hidden names.
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

/// Every point that the program has, so that new ones are tried without being listed here.
fn all_points() -> &'static [String] {
    static POINTS: OnceLock<Vec<String>> = OnceLock::new();
    POINTS.get_or_init(crate::crash_points::all)
}
