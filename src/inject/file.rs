//! One file from its first byte to its last commit.

use std::thread::ScopedJoinHandle;
use std::time::Instant;

use super::commit::{Outcome, Ready, commit, summed_up};
use super::error::{Error, FileError};
use super::filename;
use super::interval::Judge;
use super::open::{Opened, open};
use super::parse::Parser;
use super::parsed::{BadRow, Block};
use super::piece::Piece;
use super::pieces::PieceReader;
use super::plan::Plan;
use super::read::Blocks;
use super::record::{End, end_of};
use super::run::Shared;
use super::settings::Label;
use super::shape::shape;
use super::source::Source;
use super::walk::Dump;
use crate::advice::{Advice, Hint};
use crate::model::{Interval, Reason};
use crate::report::{Event, UnitReport, UnitStatus};

/// How many of a file's first rows decide whether it is what it seems.
const PROBE_ROWS: usize = 100;

/// Injects one file and reports on it.
pub(super) fn inject(shared: &Shared<'_>, index: usize, dump: &Dump) -> UnitReport {
    shared.observer.event(&Event::Started(&dump.name));
    let mut job = Job {
        shared,
        index,
        dump,
        outcome: Outcome::default(),
        admitted: 0,
        told: 0,
    };
    let began = Instant::now();
    let result = job.work();
    if job.admitted > 0 {
        shared.gate.release(job.admitted);
    }
    shared.observer.event(&Event::Progress {
        done: dump.bytes.saturating_sub(job.told),
        bars: 0,
    });
    let mut unit = UnitReport::done(&dump.name, job.outcome.counts, began.elapsed());
    if let Some(first) = job.outcome.refusals.first() {
        unit.status = UnitStatus::refused(first.conflicts());
        unit.error = Some(summed_up(&job.outcome.refusals));
        unit.hint = first.hint();
    }
    if let Err(error) = result {
        unit.status = UnitStatus::Failed;
        unit.hint = error.hint().map(Advice::from);
        unit.error = Some(error.to_string());
    }
    unit
}

/// One file under way.
struct Job<'s, 'r> {
    shared: &'s Shared<'r>,
    index: usize,
    dump: &'s Dump,
    outcome: Outcome,
    /// Rows that the gate let in and that are not released yet.
    admitted: usize,
    /// Bytes of progress that were told.
    told: u64,
}

/// The commit of one piece, while the next is read.
type Pending<'scope> = ScopedJoinHandle<'scope, (Outcome, Result<(), Error>)>;

impl Job<'_, '_> {
    fn work(&mut self) -> Result<(), FileError> {
        let shared = self.shared;
        let (stem, source) = self.dump.source()?;
        let name = filename::read(&stem);
        let opened = open(
            &shared.sniffer,
            shared.settings,
            &source,
            &name,
            &stem,
            || shared.stopped(),
        )?;
        let Some(opened) = opened else {
            return Ok(());
        };
        let plan = &opened.plan;
        if let Some(ticker) = &plan.ticker {
            if !plan.wants(ticker) {
                return Ok(());
            }
            shared.gate.announce(self.index, ticker);
        }
        if let Some(warning) = &opened.warning {
            let text = format!("[{}] {warning}", self.dump.name);
            shared.observer.event(&Event::Warning(&text));
        }
        probe(plan, &opened.blocks)?;
        let ticker = plan.ticker.clone();
        let began = Instant::now();
        let result = self.pieces(opened, &source);
        if let Some(ticker) = &ticker {
            shared.add_time(ticker, began.elapsed());
        }
        result
    }

    /// Takes the file piece by piece; one piece's commit runs while the next is read.
    fn pieces(&mut self, opened: Opened, source: &Source) -> Result<(), FileError> {
        let shared = self.shared;
        let data_at = opened.data_at();
        let Opened { plan, blocks, .. } = opened;
        let plan = &plan;
        let name = self.dump.name.as_str();
        let mut known = plan.interval;
        let mut reader = PieceReader::new(&shared.settings.limits, &shared.pool, plan, blocks);
        std::thread::scope(|scope| {
            let mut pending: Option<Pending<'_>> = None;
            loop {
                let read = reader.piece(|rows, bytes| self.admit(rows, bytes));
                let more = reader.more();
                let ready = read.and_then(|(mut piece, failure)| {
                    let unended = |row: &BadRow| row.reason == Reason::NoLineEnd;
                    if piece.rejects.iter().any(unended) {
                        shared.add_unended(self.index);
                    }
                    let interval = match known {
                        Some(interval) => interval,
                        None => self.judge(plan, &piece, more, source, data_at)?,
                    };
                    known = Some(interval);
                    source.check_unchanged()?;
                    shape(shared.settings, plan, &mut piece, interval);
                    Ok((piece, interval, failure))
                });
                // Whatever became of this piece, the one before is committed and counted.
                if let Some(before) = pending.take() {
                    self.absorb(before)?;
                }
                let (piece, interval, failure) = ready?;
                let stopped_here = plan.ticker.is_some() && !self.outcome.refused.is_empty();
                if stopped_here {
                    return failure.map_or(Ok(()), Err);
                }
                if let (None, false, [only]) = (&plan.ticker, more, &piece.groups[..])
                    && self.outcome.counts.prepared == 0
                {
                    shared.gate.announce(self.index, &only.ticker);
                }
                if !shared.gate.turn(self.index, || shared.stopped()) {
                    return Err(FileError::Stopped);
                }
                let ready = Ready {
                    piece,
                    interval,
                    exchange: plan.calendar.exchange().to_owned(),
                    ticker: plan.ticker.clone(),
                };
                let mut outcome = std::mem::take(&mut self.outcome);
                let admitted = std::mem::take(&mut self.admitted);
                let index = self.index;
                let work = move || {
                    let bars = ready.piece.rows();
                    let result = commit(shared, index, name, ready, &mut outcome);
                    shared.gate.release(admitted);
                    shared.observer.event(&Event::Progress { done: 0, bars });
                    (outcome, result)
                };
                if more {
                    pending = Some(scope.spawn(work));
                } else {
                    self.settle(work())?;
                    return failure.map_or(Ok(()), Err);
                }
            }
        })
    }

    fn absorb(&mut self, pending: Pending<'_>) -> Result<(), FileError> {
        match pending.join() {
            Ok(done) => self.settle(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn settle(&mut self, (outcome, result): (Outcome, Result<(), Error>)) -> Result<(), FileError> {
        self.outcome = outcome;
        result.map_err(|error| {
            self.shared.fail(error);
            FileError::Stopped
        })
    }

    /// Waits until there is room for `rows` more; false when the run is stopped.
    fn admit(&mut self, rows: usize, bytes: usize) -> bool {
        let left = self.dump.bytes.saturating_sub(self.told);
        let done = (bytes as u64).min(left);
        self.told += done;
        self.shared
            .observer
            .event(&Event::Progress { done, bars: 0 });
        let admitted = self
            .shared
            .gate
            .admit(self.index, rows, || self.shared.stopped());
        if admitted {
            self.admitted += rows;
        }
        admitted
    }

    /// The interval of a file that does not say it: by the first piece where that is certain, else by all of them, for
    /// which the file is read once more.
    fn judge(
        &self,
        plan: &Plan,
        first: &Piece,
        more: bool,
        source: &Source,
        data_at: usize,
    ) -> Result<Interval, FileError> {
        let closes = self.shared.settings.label == Label::Close;
        let mut judge = Judge::new(&plan.calendar, closes);
        judge.hear(&first.groups, more);
        if more && !judge.is_certain() {
            let shared = self.shared;
            let blocks = Opened::again(source, shared.settings, plan.delimiter, data_at)?;
            let mut all = Judge::new(&plan.calendar, closes);
            let mut reader = PieceReader::new(&shared.settings.limits, &shared.pool, plan, blocks);
            while !all.is_certain() {
                let (piece, _) = reader.piece(|_, _| !shared.stopped())?;
                all.hear(&piece.groups, true);
                if !reader.more() {
                    break;
                }
            }
            return all.interval().map_err(FileError::NoInterval);
        }
        judge.interval().map_err(FileError::NoInterval)
    }
}

/// Looks at the first rows: a file most of which are no bars is not what it seems.
fn probe(plan: &Plan, blocks: &Blocks) -> Result<(), FileError> {
    let (head, first_line, last) = blocks.coming();
    let mut at = 0;
    let mut records = 0;
    while records < PROBE_ROWS && at < head.len() {
        match end_of(head, at, plan.delimiter, last) {
            End::At(end) | End::Unclosed(end) => {
                records += usize::from(!head[at..end].trim_ascii().is_empty());
                at = end;
            }
            End::Unknown => break,
        }
    }
    let mut parser = Parser::new(plan);
    parser.parse(&Block {
        text: head[..at].to_vec(),
        first_line,
    });
    let parsed = parser.take();
    let rejects = parsed.rejects.len();
    match parsed.rejects.first() {
        Some(first) if rejects as u64 * 2 > parsed.rows => Err(FileError::NotBars {
            rejects,
            rows: parsed.rows,
            line: first.line,
            reason: first.reason,
        }),
        _ => Ok(()),
    }
}
