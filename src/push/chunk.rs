//! Some tickers, pushed in one commit.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, OptionFuture, select};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::compare::Rules;
use super::context::RunContext;
use super::delta::action::{Action, Add, Remove};
use super::delta::commit::{self, End};
use super::delta::names;
use super::error::{Error, ErrorKind};
use super::part::{Outcome, Part, Work};
use super::plan::{Decision, Files};
use super::source::{Local, Unit};
use super::table::Table;
use super::unit_end::UnitEnd;
use super::upload;
use crate::advice::PushAdvice;
use crate::report::{Counts, Event};
use crate::store::PartitionKey;

/// How often a commit is planned again because another writer committed first.
const ATTEMPTS_MAX: u32 = 200;
/// How often uploads that are gone before the commit are made again.
const LOSSES_MAX: u32 = 3;
/// Uploads older than this are looked for before their commit. No clean-up that leaves other writers' files
/// for a day deletes younger ones.
const UNCHECKED_MS_MAX: i64 = 3_600_000;
/// Uploads that are looked for at the same time.
const CHECKS_AT_ONCE: usize = 16;

/// Some tickers, pushed in one commit.
pub struct Chunk<'r, 'a> {
    context: &'r RunContext<'a>,
    units: &'r [Unit],
    /// What was done for a partition whose files in the table have these paths and tags. It is still right
    /// if another writer's commit didn't change those files.
    done: HashMap<PartitionKey, (Vec<String>, Part)>,
    /// How often uploads were gone before the commit.
    losses: u32,
    /// How the work ended that was done during the commit before this one.
    ahead: Result<(), Error>,
}

/// A partition to compare or to upload.
struct Job<'r> {
    /// The index of its ticker.
    index: usize,
    local: &'r Local,
    /// Paths and tags of the table's files for it.
    entries: Vec<String>,
    adds: Vec<Add>,
    compares: bool,
}

/// The work of a chunk before its turn.
struct Ahead<'r> {
    jobs: Result<Vec<Job<'r>>, Error>,
    /// Why tickers can't be pushed, by index.
    refused: HashMap<usize, Error>,
    work: Work,
}

impl<'r, 'a> Chunk<'r, 'a> {
    pub fn new(context: &'r RunContext<'a>, units: &'r [Unit]) -> Self {
        Self {
            context,
            units,
            done: HashMap::new(),
            losses: 0,
            ahead: Ok(()),
        }
    }

    /// Uploads and commits. Files of `next` are uploaded during the commit; whether they are still right is
    /// decided before its own.
    pub async fn push(
        mut self,
        table: &mut Table,
        next: Option<&mut Self>,
    ) -> Result<Vec<UnitEnd>, Error> {
        std::mem::replace(&mut self.ahead, Ok(()))?;
        let refused = self.prepare(table).await?;
        let is_committed = Cell::new(false);
        let ahead = next.map(|next| {
            let plan = next.plan_ahead(table);
            next.work_ahead(plan, &is_committed)
        });
        let ahead = pin!(OptionFuture::from(ahead));
        let commit = pin!(self.commit(table, refused));
        match select(commit, ahead).await {
            Either::Left((ends, ahead)) => {
                let ends = ends?;
                is_committed.set(true);
                ahead.await;
                Ok(ends)
            }
            Either::Right((_, commit)) => commit.await,
        }
    }

    /// Commits what was prepared. If others commit first, everything is decided again from the new state.
    async fn commit(
        &mut self,
        table: &mut Table,
        mut refused: HashMap<usize, Error>,
    ) -> Result<Vec<UnitEnd>, Error> {
        for attempt in 1..=ATTEMPTS_MAX {
            if attempt > 1 {
                refused = self.prepare(table).await?;
            }
            // A file of the table can be gone because others have replaced it meanwhile.
            let is_gone = |error: &Error| error.kind() == ErrorKind::File;
            if refused.values().any(is_gone) && table.refresh().await? {
                continue;
            }
            let (actions, ends) = self.outcome(&refused);
            if actions.is_empty() || self.context.settings.dry_run {
                return Ok(ends);
            }
            if self.forget_lost(table, &actions).await? {
                self.losses += 1;
                continue;
            }
            if table.commit(self.context, actions).await? == End::Committed {
                return Ok(ends);
            }
            if self.context.stop.is_set() {
                return Err(Error::interrupted());
            }
            commit::wait(attempt.min(5)).await;
            table.refresh().await?;
        }
        let message = format!("others committed {ATTEMPTS_MAX} times before this run could");
        Err(Error::new(ErrorKind::Target, message))
    }

    /// Looks for the older uploads of a commit, and forgets those that are gone, so that they are made again.
    /// A clean-up on another machine deletes them if this one slept for longer than a day before the commit.
    async fn forget_lost(&mut self, table: &Table, actions: &[Action]) -> Result<bool, Error> {
        let oldest = self.context.now_ms() - UNCHECKED_MS_MAX;
        let adds = actions.iter().filter_map(|action| action.add.as_ref());
        let names = adds
            .filter(|add| add.modification_time < oldest)
            .filter_map(|add| Some((names::decode(&add.path)?, add.size)));
        let new: Vec<(String, i64)> = names.filter(|(name, _)| !table.has(name)).collect();
        let store = table.store()?;
        let checks = stream::iter(new)
            .map(|(name, size)| async move {
                let found = upload::size(store, &name).await?;
                Ok::<_, Error>((name, found == Some(size as u64)))
            })
            .buffer_unordered(CHECKS_AT_ONCE)
            .try_collect::<Vec<_>>();
        let checked = self.context.unless_stopped(checks).await?;
        let is_lost = |(name, is_there): (String, bool)| (!is_there).then_some(name);
        let lost: HashSet<String> = checked.into_iter().filter_map(is_lost).collect();
        if let Some(name) = lost.iter().next()
            && self.losses == LOSSES_MAX
        {
            let message =
                format!("{name} is gone, and so were files of the {LOSSES_MAX} attempts before");
            return Err(Error::new(ErrorKind::Target, message));
        }
        self.done.retain(|_, (_, part)| match &part.outcome {
            Outcome::Write { add, .. } => {
                names::decode(&add.path).is_none_or(|name| !lost.contains(&name))
            }
            _ => true,
        });
        Ok(!lost.is_empty())
    }

    /// Compares, then uploads what is to be published. Returns why tickers can't be pushed.
    async fn prepare(&mut self, table: &Table) -> Result<HashMap<usize, Error>, Error> {
        let mut refused = HashMap::new();
        let jobs = self.plan(table.files(), &mut refused)?;
        let work = self.work(table);
        let never = Cell::new(false);
        self.run_all(jobs, &work, &mut refused, &never).await?;
        Ok(refused)
    }

    /// What is to be done by the state that `table` has now.
    fn plan_ahead(&mut self, table: &Table) -> Ahead<'r> {
        let mut refused = HashMap::new();
        let jobs = self.plan(table.files(), &mut refused);
        Ahead {
            jobs,
            refused,
            work: self.work(table),
        }
    }

    /// Does the work of this chunk until `ends` is set. An error is reported when the chunk is pushed.
    async fn work_ahead(&mut self, ahead: Ahead<'r>, ends: &Cell<bool>) {
        let Ahead {
            jobs,
            mut refused,
            work,
        } = ahead;
        self.ahead = match jobs {
            Ok(jobs) => self.run_all(jobs, &work, &mut refused, ends).await,
            Err(error) => Err(error),
        };
    }

    /// Does jobs, and starts none once `ends` is set.
    async fn run_all(
        &mut self,
        jobs: Vec<Job<'r>>,
        work: &Work,
        refused: &mut HashMap<usize, Error>,
        ends: &Cell<bool>,
    ) -> Result<(), Error> {
        let (compare, publish): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.compares);
        self.run(compare, work, refused, ends).await?;
        self.run(publish, work, refused, ends).await
    }

    /// The partitions that need work: those that aren't in the table, and weren't done for this state of it.
    fn plan(
        &mut self,
        files: &Files,
        refused: &mut HashMap<usize, Error>,
    ) -> Result<Vec<Job<'r>>, Error> {
        let (context, units) = (self.context, self.units);
        let locals = units.iter().flat_map(|unit| &unit.partitions);
        let known = context.known(files, locals.map(|local| &local.file.key))?;
        let mut jobs = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            for local in &unit.partitions {
                let key = &local.file.key;
                let entry = |add: &Arc<Add>| format!("{} {:?}", add.path, add.tags);
                let entries: Vec<String> = files.get(key).iter().map(entry).collect();
                if let Some(error) = context.provenance_error(files, local) {
                    refused.entry(index).or_insert(error);
                }
                let done = self.done.get(key);
                if let Some((_, part)) = done.filter(|(before, _)| *before == entries) {
                    if let Outcome::Refused(error) = &part.outcome {
                        refused.entry(index).or_insert_with(|| error.clone());
                    }
                    continue;
                }
                let (adds, compares) = match context.decide(files, &known, local) {
                    Decision::Unchanged => {
                        let part = Part::unchanged(local);
                        self.done.insert(key.clone(), (entries, part));
                        continue;
                    }
                    Decision::Newer { commit_seq } => {
                        let error = || newer(local, commit_seq);
                        refused.entry(index).or_insert_with(error);
                        continue;
                    }
                    Decision::Publish(adds) => (adds, false),
                    Decision::Compare(adds) => (adds, true),
                };
                jobs.push(Job {
                    index,
                    local,
                    entries,
                    adds,
                    compares,
                });
            }
        }
        Ok(jobs)
    }

    /// Does some jobs at the same time. Tickers that are refused are left out: nothing is uploaded for them.
    async fn run(
        &mut self,
        mut jobs: Vec<Job<'r>>,
        work: &Work,
        refused: &mut HashMap<usize, Error>,
        ends: &Cell<bool>,
    ) -> Result<(), Error> {
        jobs.retain(|job| !refused.contains_key(&job.index));
        let context = self.context;
        let mut results = stream::iter(jobs.into_iter().take_while(|_| !ends.get()))
            .map(|mut job| async move {
                let _slot = context.slots.acquire().await;
                let adds = std::mem::take(&mut job.adds);
                let part = match job.compares {
                    true => work.compare(job.local, adds).await,
                    false => work.publish(job.local, adds).await,
                };
                (job, part)
            })
            .buffer_unordered(context.settings.threads.max(1));
        loop {
            let next = async { Ok(results.next().await) };
            let Some((job, part)) = context.unless_stopped(next).await? else {
                return Ok(());
            };
            let part = match part {
                Ok(part) => part,
                Err(error) if error.kind() == ErrorKind::Target => return Err(error),
                Err(error) => Part::refused(job.local, error, 0),
            };
            let file = &job.local.file;
            context.observer.event(&Event::Progress {
                done: file.bytes,
                bars: part.counts.committed,
            });
            if let Outcome::Refused(error) = &part.outcome {
                let error = || error.clone();
                refused.entry(job.index).or_insert_with(error);
            }
            self.done.insert(file.key.clone(), (job.entries, part));
        }
    }

    fn work(&self, table: &Table) -> Work {
        let settings = self.context.settings;
        Work {
            store: table.store.clone(),
            rules: Rules {
                store_id: self.context.reader.store_id(),
                on_conflict: settings.on_conflict,
                full: settings.full,
            },
            dry_run: settings.dry_run,
            part_bytes: settings.part_bytes,
            now_ms: self.context.now_ms(),
        }
    }

    /// The actions of the commit, and how the tickers end with it.
    fn outcome(&self, refused: &HashMap<usize, Error>) -> (Vec<Action>, Vec<UnitEnd>) {
        let now_ms = self.context.now_ms();
        let (mut removes, mut adds, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (index, unit) in self.units.iter().enumerate() {
            let parts = unit.partitions.iter();
            let parts = parts.filter_map(|local| self.done.get(&local.file.key));
            let parts: Vec<&Part> = parts.map(|(_, part)| part).collect();
            if let Some(error) = refused.get(&index) {
                let rows = unit.partitions.iter().map(|local| local.file.rows).sum();
                let counts = Counts {
                    fetched: rows,
                    prepared: rows,
                    conflicts: parts.iter().map(|part| part.counts.conflicts).sum(),
                    ..Counts::default()
                };
                ends.push(UnitEnd::failed(unit, counts, error));
                continue;
            }
            for part in &parts {
                if let Outcome::Write {
                    add,
                    removes: old,
                    data_change,
                } = &part.outcome
                {
                    adds.push(Action::from(add.clone()));
                    let old = old.iter().map(|old| Remove::of(old, now_ms, *data_change));
                    removes.extend(old.map(Action::from));
                }
            }
            ends.push(UnitEnd::ok(
                unit,
                parts.iter().map(|part| part.counts).sum(),
            ));
        }
        removes.append(&mut adds);
        (removes, ends)
    }
}

/// The table has a state of this store that the store doesn't know.
fn newer(local: &Local, commit_seq: u64) -> Error {
    let message = format!(
        "the table has {} up to commit {commit_seq} of this store, which the store doesn't have: it is a copy, or was \
         restored from a backup",
        local.file.key
    );
    Error::new(ErrorKind::Conflict, message).with_hint(PushAdvice::PushOneCopy)
}
