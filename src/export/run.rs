//! The export itself: plans files, reads bars, encodes them and puts the files in place.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::atomic_file::AtomicFile;
use super::chunks::Chunks;
use super::columns::{Piece, join};
use super::folder;
use super::format::{Encoded, FileFormat, FileOptions, FileWriter};
use super::lock::FolderLock;
use super::output::{OutputFile, OutputFolder};
use super::pipeline::{in_order, worker_count};
use super::plan::{FilePlan, PartitionBy, ResampleGrid, SeriesPlan, divide};
use super::resample::Resampler;
use super::{Error, Format};
use crate::model::columns::COLUMNS;
use crate::model::{Bars, TimeRange};
use crate::report::{Event, Observer, Stop};
use crate::store::columns::{BAR_COLUMNS, FIRST_VALUE, bar_batch, bars_from_batch};

/// Threads that flush and rename finished files; they mostly wait for the disk.
const PUBLISHERS: usize = 8;

/// The destination of an export.
pub enum Target {
    /// Standard output.
    Stream(Box<dyn Write + Send>),
    /// One file, which is replaced; a pipe or a device is written to directly.
    File(OutputFile),
    /// A folder of files.
    Folder(OutputFolder),
}

/// What to export, and how.
pub struct Plan {
    /// The series: of one interval, each ticker once.
    pub series: Vec<SeriesPlan>,
    /// Minutes of the exported bars.
    pub minutes: u16,
    /// The format of the files.
    pub format: Format,
    /// How a folder is divided into files.
    pub partition_by: PartitionBy,
    /// The destination.
    pub target: Target,
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub files: u64,
    pub rows: u64,
}

/// Batches of bars of one series, sorted by timestamp. The columns of a bar are first; others may
/// follow.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a>;

/// A source of bars.
pub trait BarSource: Sync {
    /// The bars of a series that open within `range`.
    fn scan(&self, series: &SeriesPlan, range: TimeRange) -> Result<Batches<'_>, Error>;
}

/// Exports. No file is replaced before all files are written; after an error everything is as it
/// was.
///
/// A divided folder gets only files with bars. Reports progress in bars to `observer`.
pub fn export(
    source: &dyn BarSource,
    plan: Plan,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Exported, Error> {
    let options = file_options(source, &plan)?;
    let Plan {
        series,
        format,
        partition_by,
        target,
        ..
    } = plan;
    let file_format = format.with(options);
    let mut job = Job {
        source,
        format: file_format.as_ref(),
        stop,
        observer,
        exported: Exported::default(),
        files: Vec::new(),
    };
    match target {
        Target::Stream(out) => {
            let files = divide(series, PartitionBy::None, format);
            let mut out = Some(out);
            job.write(&files, &mut |path| {
                let out = out.take().ok_or_else(|| {
                    Error::io(path)(std::io::Error::other("a pipe takes one file"))
                })?;
                let writer = file_format.begin(Path::new("standard output"), out)?;
                Ok((writer, None))
            })?;
        }
        Target::File(file) => {
            let files = divide(series, PartitionBy::None, format);
            job.write(&files, &mut |_| begin(file_format.as_ref(), &file))?;
            publish(job.files)?;
        }
        Target::Folder(folder) => {
            let files = divide(series, partition_by, format);
            let path = folder.typed();
            if let Some(outer) = folder::outer_export(folder.real()) {
                return Err(Error::InsideExport {
                    path: path.to_owned(),
                    outer: outer.to_owned(),
                });
            }
            fs::create_dir_all(path).map_err(Error::io(path))?;
            let _lock = FolderLock::take(path)?;
            fill(&mut job, &folder, &files)?;
            let written: BTreeSet<PathBuf> = job
                .files
                .iter()
                .map(|file| file.target().to_owned())
                .collect();
            let found = folder::survey(path)?;
            publish(job.files)?;
            folder::clear(path, &found, &written)?;
        }
    }
    Ok(job.exported)
}

type Begun = (Box<dyn FileWriter>, Option<AtomicFile>);

fn begin(format: &dyn FileFormat, target: &OutputFile) -> Result<Begun, Error> {
    let file = AtomicFile::create(target)?;
    let writer = format.begin(target.typed(), file.out()?)?;
    Ok((writer, Some(file)))
}

/// Writes the files of a folder as part files.
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
        // All targets are checked before any is written.
        targets.insert(file.path.clone(), folder.file(&file.path)?);
    }
    let format = job.format;
    job.write(files, &mut |relative| {
        let target = match targets.remove(relative) {
            Some(target) => target,
            None => folder.file(relative)?,
        };
        if let Some(parent) = target.real().parent() {
            fs::create_dir_all(parent).map_err(Error::io(parent))?;
        }
        begin(format, &target)
    })
}

fn file_options(source: &dyn BarSource, plan: &Plan) -> Result<FileOptions, Error> {
    let (is_folder, is_stream) = match &plan.target {
        Target::Folder(_) => (true, false),
        Target::File(file) => (false, file.special().is_some()),
        Target::Stream(_) => (false, true),
    };
    Ok(FileOptions {
        minutes: Some(plan.minutes),
        in_ticker_folder: is_folder && plan.partition_by.by_ticker(),
        has_optional_values: plan.format.omits_empty_columns()
            && any_optional(source, &plan.series)?,
        is_stream,
    })
}

/// Whether any bar has a value in an optional column.
fn any_optional(source: &dyn BarSource, series: &[SeriesPlan]) -> Result<bool, Error> {
    let has_optional = |batch: &RecordBatch| {
        let mut columns = COLUMNS.iter().zip(&batch.columns()[FIRST_VALUE..]);
        columns.any(|(column, array)| column.optional && array.null_count() < array.len())
    };
    // The first batches of all series first: a series that has such values has them from its start.
    for batches in [1, usize::MAX] {
        for plan in series {
            for batch in source.scan(plan, plan.range)?.take(batches) {
                if has_optional(&batch?) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

enum FileEvent<R> {
    Begin(usize),
    Rows(R),
    End,
}

type Opener<'a> = dyn FnMut(&Path) -> Result<Begun, Error> + 'a;

/// A running export.
struct Job<'a> {
    source: &'a dyn BarSource,
    format: &'a dyn FileFormat,
    stop: &'a Stop,
    observer: &'a dyn Observer,
    exported: Exported,
    files: Vec<AtomicFile>,
}

impl Job<'_> {
    /// Writes the files one after another; many threads encode.
    fn write(&mut self, files: &[FilePlan], open: &mut Opener<'_>) -> Result<(), Error> {
        let (source, format, stop) = (self.source, self.format, self.stop);
        let mut current: Option<Begun> = None;
        in_order(
            worker_count(),
            |emit| read(source, files, stop, emit),
            |event: FileEvent<Vec<Piece>>| {
                Ok(match event {
                    FileEvent::Begin(file) => FileEvent::Begin(file),
                    FileEvent::End => FileEvent::End,
                    FileEvent::Rows(pieces) => {
                        let rows: usize = pieces.iter().map(|piece| piece.bars.num_rows()).sum();
                        let path = Path::new("bars");
                        let joined = join(&pieces).map_err(Error::arrow(path))?;
                        let encoded = format.encode(&joined, path)?;
                        FileEvent::Rows((encoded, rows as u64))
                    }
                })
            },
            |event: FileEvent<(Encoded, u64)>| {
                match event {
                    FileEvent::Begin(file) => {
                        current = Some(open(&files[file].path)?);
                        self.exported.files += 1;
                    }
                    FileEvent::Rows((encoded, rows)) => {
                        if let Some((writer, _)) = current.as_mut().filter(|_| rows > 0) {
                            writer.append(encoded)?;
                        }
                        self.exported.rows += rows;
                        self.observer.event(&Event::Progress {
                            done: rows,
                            bars: rows,
                        });
                    }
                    FileEvent::End => {
                        if let Some((writer, file)) = current.take() {
                            writer.finish()?;
                            self.files.extend(file);
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

/// Reads the bars of every file in turn. A file begins with its first bars; an undivided export has
/// its file even without bars.
fn read(
    source: &dyn BarSource,
    files: &[FilePlan],
    stop: &Stop,
    emit: &mut dyn FnMut(FileEvent<Vec<Piece>>) -> ControlFlow<()>,
) -> Result<(), Error> {
    for (number, file) in files.iter().enumerate() {
        let mut chunks = Chunks::default();
        let mut begun = false;
        let mut rows =
            |pieces: Vec<Piece>, emit: &mut dyn FnMut(FileEvent<_>) -> ControlFlow<()>| {
                if !begun {
                    begun = true;
                    emit(FileEvent::Begin(number))?;
                }
                emit(FileEvent::Rows(pieces))
            };
        for plan in &file.series {
            let mut add = |bars: RecordBatch| {
                let piece = Piece {
                    ticker: plan.key.ticker.clone(),
                    bars,
                };
                chunks.push(piece, &mut |pieces| rows(pieces, emit))
            };
            let flow = match &plan.grid {
                None => read_as_stored(source, plan, stop, &mut add)?,
                Some(grid) => read_resampled(source, plan, grid, stop, &mut add)?,
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
        if flow.is_break() || (begun && emit(FileEvent::End).is_break()) {
            return Ok(());
        }
    }
    Ok(())
}

type Emit<'a> = dyn FnMut(RecordBatch) -> ControlFlow<()> + 'a;

fn read_as_stored(
    source: &dyn BarSource,
    plan: &SeriesPlan,
    stop: &Stop,
    emit: &mut Emit<'_>,
) -> Result<ControlFlow<()>, Error> {
    let columns: Vec<usize> = (0..BAR_COLUMNS).collect();
    for batch in source.scan(plan, plan.range)? {
        let bars = batch?
            .project(&columns)
            .map_err(Error::arrow(Path::new("bars")))?;
        if stop.is_set() || emit(bars).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Reads longer bars that open within the plan's range. Each is complete: the one-minute bars after
/// the end of the range that belong to the last one are read too.
fn read_resampled(
    source: &dyn BarSource,
    plan: &SeriesPlan,
    grid: &ResampleGrid,
    stop: &Stop,
    emit: &mut Emit<'_>,
) -> Result<ControlFlow<()>, Error> {
    let path = Path::new("bars");
    let wider = TimeRange {
        start: plan.range.start,
        end: plan.range.end.saturating_add(grid.step()),
    };
    let mut emit_inside = |bars: Bars| {
        let times = bars.timestamps();
        let from = times.partition_point(|at| *at < plan.range.start);
        let to = times.partition_point(|at| *at < plan.range.end);
        if from == to {
            return Ok(ControlFlow::Continue(()));
        }
        bar_batch(bars.slice(from..to))
            .map(&mut *emit)
            .map_err(Error::arrow(path))
    };
    let mut resampler = Resampler::new(grid.calendar.clone(), grid.minutes);
    for batch in source.scan(plan, wider)? {
        let bars = bars_from_batch(&batch?).expect("a scan has the columns of bars");
        if bars.is_empty() {
            continue;
        }
        if stop.is_set() || emit_inside(resampler.push(&bars))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    emit_inside(resampler.finish())
}

/// Renames finished files over their targets, several at a time.
fn publish(files: Vec<AtomicFile>) -> Result<(), Error> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(PUBLISHERS.min(files.len()))
        .build()
        .map_err(|error| Error::io(Path::new("threads"))(std::io::Error::other(error)))?;
    pool.install(|| files.into_par_iter().try_for_each(AtomicFile::publish))
}
