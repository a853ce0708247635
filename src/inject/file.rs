//! Injects one file, from its first byte to its last commit.

use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::block::{BadRow, Block};
use super::commit::{FileCommit, Outcome, Ready, commit, summarise};
use super::commit_order::CommitOrder;
use super::context::RunContext;
use super::error::{Error, FileError};
use super::find_files::InputFile;
use super::layouts::FileName;
use super::open::{Opened, open};
use super::parse::Parser;
use super::pieces::PieceReader;
use super::plan::Plan;
use super::read::Blocks;
use super::reading::Reading;
use super::record::{End, end_of};
use super::source::Source;
use crate::advice::Hint;
use crate::model::Reason;
use crate::report::{Event, ReadAs, UnitReport, UnitStatus};

/// The first rows that are checked before any is committed.
const CHECKED_ROWS: usize = 100;

/// A file with more rows commits by itself.
const GROUPED_ROWS_MAX: u64 = 65_536;

/// How much of a rejected row an error quotes.
const RAW_CHARS_MAX: usize = 80;

/// A file that was read, with what its report needs.
pub(super) struct ReadFile<'f> {
    index: usize,
    file: &'f InputFile,
    /// The rows of a small file, until they are committed.
    ready: Option<Ready>,
    outcome: Outcome,
    read_as: Option<ReadAs>,
    warnings: Vec<String>,
    result: Result<(), FileError>,
    /// Rows for which the commit order has made room.
    admitted: usize,
    /// The time for reading it, and its share of the time for commits.
    elapsed: Duration,
}

impl ReadFile<'_> {
    /// The report of a file that is done, with the file's index.
    pub(super) fn report(self) -> (usize, UnitReport) {
        let outcome = self.outcome;
        let mut unit = UnitReport {
            read_as: self.read_as,
            warnings: self.warnings,
            ..UnitReport::done(&self.file.name, outcome.counts, self.elapsed)
        };
        if let Some(first) = outcome.refusals.first() {
            unit.status = first.status;
            unit.error = Some(summarise(&outcome.refusals));
            unit.hint = first.hint.clone();
        }
        if let Err(error) = self.result {
            unit.status = UnitStatus::Failed;
            unit.hint = error.hint();
            unit.error = Some(error.to_string());
        }
        (self.index, unit)
    }

    /// The report of a file whose rows won't be committed.
    pub(super) fn report_stopped(mut self) -> (usize, UnitReport) {
        if self.ready.is_some() {
            self.result = self.result.and(Err(FileError::Stopped));
        }
        self.report()
    }
}

/// Injects a file. All errors are in its report. A small file is put into the queue of `order`, to
/// be committed with others; `None` then.
pub(super) fn inject<'f>(
    context: &RunContext<'_>,
    order: &CommitOrder<ReadFile<'f>>,
    index: usize,
    file: &'f InputFile,
) -> Option<ReadFile<'f>> {
    context.observer.event(&Event::Started(&file.name));
    let mut injection = FileInjection {
        context,
        order,
        index,
        file,
        outcome: Outcome::default(),
        reading: Reading::default(),
        ready: None,
        commits_alone: false,
        admitted: 0,
        reported: 0,
    };
    let start = Instant::now();
    let mut result = injection.run();
    while matches!(result, Err(FileError::ReadAgain)) {
        order.release(std::mem::take(&mut injection.admitted));
        result = injection.run();
    }
    context.observer.event(&Event::Progress {
        done: file.bytes.saturating_sub(injection.reported),
        bars: 0,
    });
    let commits_alone = injection.commits_alone;
    let read = ReadFile {
        index,
        file,
        ready: injection.ready,
        outcome: injection.outcome,
        warnings: injection.reading.warnings(),
        read_as: injection.reading.read_as,
        result,
        admitted: injection.admitted,
        elapsed: start.elapsed(),
    };
    let is_stopped = matches!(read.result, Err(FileError::Stopped));
    if !(commits_alone || is_stopped) {
        order.queue(index, read.admitted, read);
        return None;
    }
    if read.admitted > 0 {
        order.release(read.admitted);
    }
    // Later files of a series must not be committed before one that was stopped.
    if !is_stopped {
        order.finish(&[index]);
    }
    Some(read)
}

/// Commits small files in one transaction.
pub(super) fn commit_together<'f>(
    context: &RunContext<'_>,
    order: &CommitOrder<ReadFile<'f>>,
    group: Vec<(usize, ReadFile<'f>)>,
) -> Vec<ReadFile<'f>> {
    let mut files: Vec<ReadFile<'f>> = group.into_iter().map(|(_, file)| file).collect();
    let (mut commits, mut owners) = (Vec::new(), Vec::new());
    for (owner, file) in files.iter_mut().enumerate() {
        if let Some(ready) = file.ready.take() {
            owners.push((owner, ready.piece.rows()));
            commits.push(FileCommit {
                index: file.index,
                name: &file.file.name,
                ready,
                outcome: std::mem::take(&mut file.outcome),
            });
        }
    }
    let bars: u64 = owners.iter().map(|(_, rows)| rows).sum();
    let start = Instant::now();
    let result = commit(context, &mut commits);
    let elapsed = start.elapsed();
    let has_failed = result.is_err();
    if let Err(error) = result {
        context.fail(error);
    }
    for ((owner, rows), commit) in owners.into_iter().zip(commits) {
        let file = &mut files[owner];
        let share = elapsed.mul_f64(rows as f64 / bars.max(1) as f64);
        file.elapsed += share;
        if let Some(ticker) = &commit.ready.ticker {
            context.add_time(ticker, share);
        }
        file.outcome = commit.outcome;
        if has_failed {
            file.result = Err(FileError::Stopped);
        }
    }
    order.release(files.iter().map(|file| file.admitted).sum());
    let indices: Vec<usize> = files.iter().map(|file| file.index).collect();
    order.finish(&indices);
    context.observer.event(&Event::Progress { done: 0, bars });
    files
}

/// The state of a file that is being injected.
struct FileInjection<'s, 'r, 'f> {
    context: &'s RunContext<'r>,
    order: &'s CommitOrder<ReadFile<'f>>,
    index: usize,
    file: &'f InputFile,
    outcome: Outcome,
    reading: Reading,
    /// The rows of a small file.
    ready: Option<Ready>,
    /// Whether it has more rows than a small file.
    commits_alone: bool,
    /// Rows admitted by the commit order and not released yet.
    admitted: usize,
    /// Bytes of progress reported.
    reported: u64,
}

/// The commit of one piece, while the next is read.
type Pending<'scope> = ScopedJoinHandle<'scope, (Outcome, Result<(), Error>)>;

impl FileInjection<'_, '_, '_> {
    fn run(&mut self) -> Result<(), FileError> {
        let context = self.context;
        let (stem, source) = self.file.source()?;
        let name = FileName::read(&stem);
        let opened = open(
            &context.planner,
            context.settings,
            &source,
            &name,
            &stem,
            || context.is_stopped(),
        )?;
        let Some(mut opened) = opened else {
            return Ok(());
        };
        self.reading.start(context, &mut opened);
        let plan = &opened.plan;
        if let Some(ticker) = &plan.ticker {
            if !plan.wants(ticker) {
                return Ok(());
            }
            self.order.announce(self.index, ticker);
        }
        check_first_rows(plan, &opened.blocks)?;
        let ticker = plan.ticker.clone();
        let start = Instant::now();
        let result = self.pieces(opened, &source);
        if let Some(ticker) = &ticker {
            context.add_time(ticker, start.elapsed());
        }
        result
    }

    /// Injects the file piece by piece; each commit runs while the next piece is read.
    fn pieces(&mut self, opened: Opened, source: &Source) -> Result<(), FileError> {
        let context = self.context;
        let Opened {
            plan,
            blocks,
            data_at,
            ..
        } = opened;
        let plan = &plan;
        let name = self.file.name.as_str();
        let mut reader = PieceReader::new(&context.settings.limits, &context.pool, plan, blocks);
        std::thread::scope(|scope| {
            let mut pending: Option<Pending<'_>> = None;
            loop {
                let read = reader.piece(|rows, bytes| self.admit(rows, bytes));
                let more = reader.more();
                let ready = read.and_then(|(mut piece, failure)| {
                    let unended = |row: &BadRow| row.reason == Reason::NoLineEnd;
                    if piece.rejects.iter().any(unended) {
                        context.add_unended(self.index);
                    }
                    let interval = self.reading.interval(
                        context,
                        plan,
                        &mut piece,
                        more,
                        (source, data_at),
                    )?;
                    Ok((piece, interval, failure))
                });
                // Also if this piece failed, the one before is committed and counted.
                if let Some(before) = pending.take() {
                    self.join(before)?;
                }
                let (piece, interval, failure) = ready?;
                let is_refused = plan.ticker.is_some() && !self.outcome.refused.is_empty();
                if is_refused {
                    return failure.map_or(Ok(()), Err);
                }
                if let (None, false, [only]) = (&plan.ticker, more, &piece.groups[..])
                    && self.outcome.counts.prepared == 0
                {
                    self.order.announce(self.index, &only.ticker);
                }
                let ready = Ready {
                    piece,
                    interval,
                    exchange: plan.calendar.exchange().to_owned(),
                    ticker: plan.ticker.clone(),
                };
                if !(self.commits_alone || more) && ready.piece.rows() <= GROUPED_ROWS_MAX {
                    self.ready = Some(ready);
                    return failure.map_or(Ok(()), Err);
                }
                self.commits_alone = true;
                if !self
                    .order
                    .wait_for_turn(self.index, || context.is_stopped())
                {
                    return Err(FileError::Stopped);
                }
                let mut files = [FileCommit {
                    index: self.index,
                    name,
                    ready,
                    outcome: std::mem::take(&mut self.outcome),
                }];
                let admitted = std::mem::take(&mut self.admitted);
                let order = self.order;
                let work = move || {
                    let bars = files[0].ready.piece.rows();
                    let result = commit(context, &mut files);
                    order.release(admitted);
                    context.observer.event(&Event::Progress { done: 0, bars });
                    let [file] = files;
                    (file.outcome, result)
                };
                if more {
                    pending = Some(scope.spawn(work));
                } else {
                    self.record(work())?;
                    return failure.map_or(Ok(()), Err);
                }
            }
        })
    }

    fn join(&mut self, pending: Pending<'_>) -> Result<(), FileError> {
        match pending.join() {
            Ok(done) => self.record(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn record(&mut self, (outcome, result): (Outcome, Result<(), Error>)) -> Result<(), FileError> {
        self.outcome = outcome;
        result.map_err(|error| {
            self.context.fail(error);
            FileError::Stopped
        })
    }

    /// Waits until there is room for `rows` more rows; false if the run is stopped.
    fn admit(&mut self, rows: usize, bytes: usize) -> bool {
        let left = self.file.bytes.saturating_sub(self.reported);
        let done = (bytes as u64).min(left);
        self.reported += done;
        let context = self.context;
        context.observer.event(&Event::Progress { done, bars: 0 });
        let admitted = self.order.admit(self.index, rows, || context.is_stopped());
        if admitted {
            self.admitted += rows;
        }
        admitted
    }
}

/// Parses the first rows. A file whose first rows are mostly rejects was not understood.
fn check_first_rows(plan: &Plan, blocks: &Blocks) -> Result<(), FileError> {
    let (head, first_line, last) = blocks.unread();
    let mut at = 0;
    let mut records = 0;
    while records < CHECKED_ROWS && at < head.len() {
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
            raw: first.raw.chars().take(RAW_CHARS_MAX).collect(),
            layout: plan.layout,
        }),
        _ => Ok(()),
    }
}
