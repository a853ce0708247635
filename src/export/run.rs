//! The export itself: files planned, read, encoded and put in place.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use arrow::array::{Array, RecordBatch};

use super::chunks::Chunks;
use super::columns::Piece;
use super::csv::Layout;
use super::draft::Draft;
use super::folder;
use super::lock::FolderLock;
use super::output::{OutputFile, OutputFolder};
use super::pipeline::{in_order, worker_count};
use super::plan::{FilePlan, Grid, PartitionBy, SeriesPlan, divide};
use super::resample::Resampler;
use super::sink::{Encoded, Recipe, Sink};
use super::{Error, Format};
use crate::model::columns::COLUMNS;
use crate::model::{Bars, TimeRange};
use crate::report::{Event, Observer, Stop};
use crate::store::columns::{BAR_COLUMNS, FIRST_VALUE, bar_batch, bars_from_batch};

/// Threads that flush and rename finished files; each mostly waits for the disk.
const PUBLISHERS: usize = 8;

/// Where an export goes.
pub enum Target {
    /// A pipe: standard output.
    Stream(Box<dyn Write + Send>),
    /// One file, which is replaced; a pipe or a device is written to as it is.
    File(OutputFile),
    /// A folder of files.
    Folder(OutputFolder),
}

/// What to export, and how.
pub struct Plan {
    /// The series; one interval, each ticker once.
    pub series: Vec<SeriesPlan>,
    /// Minutes of the exported bars.
    pub minutes: u16,
    /// The format.
    pub format: Format,
    /// How a folder's files are divided.
    pub partition_by: PartitionBy,
    /// Where to.
    pub target: Target,
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Files.
    pub files: u64,
    /// Bars.
    pub rows: u64,
}

/// Batches of staged bars of one series, sorted by timestamp: the columns of a bar first, others behind them.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a>;

/// Where bars are read.
pub trait Shelf: Sync {
    /// The bars of a series that open inside `range`.
    fn scan(&self, series: &SeriesPlan, range: TimeRange) -> Result<Batches<'_>, Error>;
}

/// Exports. Nothing is replaced before all files are written, and what an error leaves is what was there before.
///
/// Where a folder is divided, only files with bars are written. Tells `observer` of progress in bars.
pub fn export(
    shelf: &dyn Shelf,
    plan: Plan,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Exported, Error> {
    let Plan {
        series,
        minutes,
        format,
        partition_by,
        target,
    } = plan;
    let recipe = recipe(shelf, &series, minutes, format, partition_by, &target)?;
    let mut job = Job {
        shelf,
        recipe: &recipe,
        stop,
        observer,
        exported: Exported::default(),
        drafts: Vec::new(),
    };
    match target {
        Target::Stream(out) => {
            let files = divide(series, PartitionBy::None, format);
            let mut out = Some(out);
            job.write(&files, &mut |path| {
                let out = out.take().ok_or_else(|| {
                    Error::io(path)(std::io::Error::other("a pipe takes one file"))
                })?;
                let sink = Sink::begin(&recipe, Path::new("standard output"), out)?;
                Ok((sink, None))
            })?;
        }
        Target::File(file) => {
            let files = divide(series, PartitionBy::None, format);
            job.write(&files, &mut |_| begin(&recipe, &file))?;
            publish(job.drafts)?;
        }
        Target::Folder(folder) => {
            let files = divide(series, partition_by, format);
            let path = folder.typed();
            fs::create_dir_all(path).map_err(Error::io(path))?;
            let _lock = FolderLock::take(path)?;
            fill(&mut job, &folder, &files)?;
            let written: BTreeSet<PathBuf> = job
                .drafts
                .iter()
                .map(|draft| draft.target().to_owned())
                .collect();
            let found = folder::survey(path)?;
            publish(job.drafts)?;
            folder::clear(path, &found, &written)?;
        }
    }
    Ok(job.exported)
}

fn begin(recipe: &Recipe, target: &OutputFile) -> Result<(Sink, Option<Draft>), Error> {
    let draft = Draft::create(target)?;
    let sink = Sink::begin(recipe, target.typed(), draft.out()?)?;
    Ok((sink, Some(draft)))
}

/// Writes the files of a folder, each next to its place.
fn fill(job: &mut Job<'_>, folder: &OutputFolder, files: &[FilePlan]) -> Result<(), Error> {
    let path = folder.typed();
    let found = folder::survey(path)?;
    let mut targets = HashMap::new();
    for file in files {
        if found.foreign.contains(&path.join(&file.path)) {
            return Err(Error::Foreign {
                path: path.join(&file.path),
            });
        }
        // All of them before any is written.
        targets.insert(file.path.clone(), folder.file(&file.path)?);
    }
    let recipe = job.recipe;
    job.write(files, &mut |relative| {
        let target = match targets.remove(relative) {
            Some(target) => target,
            None => folder.file(relative)?,
        };
        if let Some(parent) = target.real().parent() {
            fs::create_dir_all(parent).map_err(Error::io(parent))?;
        }
        begin(recipe, &target)
    })
}

/// The way the files are written; a CSV has the columns vwap and trades where any bar has either.
fn recipe(
    shelf: &dyn Shelf,
    series: &[SeriesPlan],
    minutes: u16,
    format: Format,
    partition_by: PartitionBy,
    target: &Target,
) -> Result<Recipe, Error> {
    let mark = Some(minutes);
    Ok(match (format, target) {
        (Format::Parquet, target) => Recipe::Parquet {
            ticker_folders: matches!(target, Target::Folder(_)) && partition_by.by_ticker(),
            mark,
        },
        (Format::Csv, _) => Recipe::Csv(Layout {
            extras: any_extras(shelf, series)?,
        }),
        (Format::Arrow, Target::Stream(_)) => Recipe::ArrowStream,
        (Format::Arrow, Target::File(file)) if file.special().is_some() => Recipe::ArrowStream,
        (Format::Arrow, _) => Recipe::ArrowFile { mark },
    })
}

fn any_extras(shelf: &dyn Shelf, series: &[SeriesPlan]) -> Result<bool, Error> {
    let has_extras = |batch: &RecordBatch| {
        let mut columns = COLUMNS.iter().zip(&batch.columns()[FIRST_VALUE..]);
        columns.any(|(column, array)| column.optional && array.null_count() < array.len())
    };
    // Most series that have them have them from the start.
    for batches in [1, usize::MAX] {
        for plan in series {
            for batch in shelf.scan(plan, plan.range)?.take(batches) {
                if has_extras(&batch?) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

enum Step<R> {
    Begin(usize),
    Rows(R),
    End,
}

type Opener<'a> = dyn FnMut(&Path) -> Result<(Sink, Option<Draft>), Error> + 'a;

/// What an export works with, and what it has done.
struct Job<'a> {
    shelf: &'a dyn Shelf,
    recipe: &'a Recipe,
    stop: &'a Stop,
    observer: &'a dyn Observer,
    exported: Exported,
    drafts: Vec<Draft>,
}

impl Job<'_> {
    /// Writes the files one after another; many threads encode.
    fn write(&mut self, files: &[FilePlan], open: &mut Opener<'_>) -> Result<(), Error> {
        let (shelf, recipe, stop) = (self.shelf, self.recipe, self.stop);
        let mut current: Option<(Sink, Option<Draft>)> = None;
        in_order(
            worker_count(),
            |emit| read(shelf, files, stop, emit),
            |step: Step<Vec<Piece>>| {
                Ok(match step {
                    Step::Begin(file) => Step::Begin(file),
                    Step::End => Step::End,
                    Step::Rows(pieces) => {
                        let rows: usize = pieces.iter().map(|piece| piece.bars.num_rows()).sum();
                        let encoded = recipe.encode(&pieces, Path::new("bars"))?;
                        Step::Rows((encoded, rows as u64))
                    }
                })
            },
            |step: Step<(Encoded, u64)>| {
                match step {
                    Step::Begin(file) => {
                        current = Some(open(&files[file].path)?);
                        self.exported.files += 1;
                    }
                    Step::Rows((encoded, rows)) => {
                        if let Some((sink, _)) = current.as_mut().filter(|_| rows > 0) {
                            sink.append(encoded)?;
                        }
                        self.exported.rows += rows;
                        self.observer.event(&Event::Progress {
                            done: rows,
                            bars: rows,
                        });
                    }
                    Step::End => {
                        if let Some((sink, draft)) = current.take() {
                            sink.finish()?;
                            self.drafts.extend(draft);
                        }
                    }
                }
                Ok(())
            },
        )?;
        if stop.is_set() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// Reads the bars of every file in turn. A file begins with its first bars; one that nothing divides, also without.
fn read(
    shelf: &dyn Shelf,
    files: &[FilePlan],
    stop: &Stop,
    emit: &mut dyn FnMut(Step<Vec<Piece>>) -> ControlFlow<()>,
) -> Result<(), Error> {
    for (number, file) in files.iter().enumerate() {
        let mut chunks = Chunks::default();
        let mut begun = false;
        let mut rows = |pieces: Vec<Piece>, emit: &mut dyn FnMut(Step<_>) -> ControlFlow<()>| {
            if !begun {
                begun = true;
                emit(Step::Begin(number))?;
            }
            emit(Step::Rows(pieces))
        };
        for plan in &file.series {
            let mut give = |bars: RecordBatch| {
                let piece = Piece {
                    ticker: plan.key.ticker.clone(),
                    bars,
                };
                chunks.push(piece, &mut |pieces| rows(pieces, emit))
            };
            let flow = match &plan.grid {
                None => read_as_staged(shelf, plan, stop, &mut give)?,
                Some(grid) => read_resampled(shelf, plan, grid, stop, &mut give)?,
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        let rest = chunks.take();
        let is_divided = file.path.components().count() > 1;
        let flow = if !rest.is_empty() || !is_divided {
            rows(rest, emit)
        } else {
            ControlFlow::Continue(())
        };
        if flow.is_break() || (begun && emit(Step::End).is_break()) {
            return Ok(());
        }
    }
    Ok(())
}

type Give<'a> = dyn FnMut(RecordBatch) -> ControlFlow<()> + 'a;

fn read_as_staged(
    shelf: &dyn Shelf,
    plan: &SeriesPlan,
    stop: &Stop,
    give: &mut Give<'_>,
) -> Result<ControlFlow<()>, Error> {
    let columns: Vec<usize> = (0..BAR_COLUMNS).collect();
    for batch in shelf.scan(plan, plan.range)? {
        let bars = batch?
            .project(&columns)
            .map_err(Error::arrow(Path::new("bars")))?;
        if stop.is_set() || give(bars).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Longer bars that open inside the plan's range, each whole: the one-minute bars behind the range's end that belong to
/// the last one are read too.
fn read_resampled(
    shelf: &dyn Shelf,
    plan: &SeriesPlan,
    grid: &Grid,
    stop: &Stop,
    give: &mut Give<'_>,
) -> Result<ControlFlow<()>, Error> {
    let path = Path::new("bars");
    let wider = TimeRange {
        start: plan.range.start,
        end: plan.range.end.saturating_add(grid.step()),
    };
    let mut give_inside = |bars: Bars| {
        let times = bars.timestamps();
        let from = times.partition_point(|at| *at < plan.range.start);
        let to = times.partition_point(|at| *at < plan.range.end);
        if from == to {
            return Ok(ControlFlow::Continue(()));
        }
        bar_batch(bars.slice(from..to))
            .map(&mut *give)
            .map_err(Error::arrow(path))
    };
    let mut resampler = Resampler::new(grid.calendar.clone(), grid.minutes);
    for batch in shelf.scan(plan, wider)? {
        let bars = bars_from_batch(&batch?).expect("a scan has the columns of bars");
        if bars.is_empty() {
            continue;
        }
        if stop.is_set() || give_inside(resampler.push(&bars))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    give_inside(resampler.finish())
}

/// Puts finished files in place, several at a time: each waits for the disk.
fn publish(drafts: Vec<Draft>) -> Result<(), Error> {
    let threads = PUBLISHERS.min(drafts.len());
    let queue = Mutex::new(drafts.into_iter());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let next = match queue.lock() {
                            Ok(mut queue) => queue.next(),
                            Err(_) => None,
                        };
                        match next {
                            Some(draft) => draft.publish()?,
                            None => return Ok(()),
                        }
                    }
                })
            })
            .collect();
        let mut outcome = Ok(());
        for worker in workers {
            let one = match worker.join() {
                Ok(one) => one,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            outcome = outcome.and(one);
        }
        outcome
    })
}
