//! One sorted file of bars that arrive in any order: the `--output-filename`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::atomic_file::AtomicFile;
use super::chunks::Chunks;
use super::columns::{Piece, join, sort_unique};
use super::format::FileOptions;
use super::output::OutputFile;
use super::pipeline::{in_order, worker_count};
use super::spill::{Block, Spill};
use super::{Error, Format};
use crate::model::{Bars, OnConflict, Ticker};
use crate::store::columns::{BAR_SCHEMA, bar_batch};

/// Writes bars into one file, sorted by ticker and timestamp. [`finish`](Self::finish) puts it in
/// place.
///
/// ```text
/// // At the start: reports a bad name or folder before any request.
/// let writer = BarsWriter::create(&file, on_conflict)?;
/// // From any thread, in any order, any number of times.
/// writer.add(&ticker, bars)?;
/// // Once, at the end of the run.
/// let rows = writer.finish()?;
/// ```
///
/// Dropped without `finish`, it leaves the old file unchanged. Every call blocks. Of several bars
/// with the same key the file has one: the one added first, or under `update` the one added last.
/// Beyond 64 MiB of memory, bars go into an unnamed temporary file next to the target.
pub struct BarsWriter {
    path: PathBuf,
    format: Format,
    keep_last: bool,
    file: AtomicFile,
    state: Mutex<State>,
}

struct State {
    spill: Spill,
    blocks: BTreeMap<Ticker, Vec<Block>>,
    has_optional: bool,
}

impl BarsWriter {
    /// Begins the file `target`; its extension is the format.
    pub fn create(target: &OutputFile, on_conflict: OnConflict) -> Result<Self, Error> {
        let format = target.format()?;
        Ok(Self {
            path: target.typed().to_owned(),
            format,
            keep_last: on_conflict == OnConflict::Update,
            file: AtomicFile::create(target)?,
            state: Mutex::new(State {
                spill: Spill::next_to(target),
                blocks: BTreeMap::new(),
                has_optional: false,
            }),
        })
    }

    /// Adds bars of one ticker, in any order.
    pub fn add(&self, ticker: &Ticker, bars: Bars) -> Result<(), Error> {
        if bars.is_empty() {
            return Ok(());
        }
        let has_optional = bars.has_optional_values();
        let bars = bar_batch(bars).map_err(Error::arrow(&self.path))?;
        let bars = sort_unique(&bars, self.keep_last).map_err(Error::arrow(&self.path))?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let block = state.spill.add(bars)?;
        state.has_optional |= has_optional;
        match state.blocks.get_mut(ticker) {
            Some(blocks) => blocks.push(block),
            None => {
                state.blocks.insert(ticker.clone(), vec![block]);
            }
        }
        Ok(())
    }

    /// Whether no bars were added.
    pub fn is_empty(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.blocks.is_empty()
    }

    /// Writes the file and puts it in place. Returns the number of bars in it.
    pub fn finish(self) -> Result<u64, Error> {
        let State {
            mut spill,
            blocks,
            has_optional,
        } = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let format = self.format.with(FileOptions {
            has_optional_values: has_optional,
            ..FileOptions::default()
        });
        let path = &self.path;
        let keep_last = self.keep_last;
        let mut writer = format.begin(path, self.file.out()?)?;
        let mut rows = 0;
        in_order(
            worker_count(),
            |emit| {
                let mut chunks = Chunks::default();
                for (ticker, blocks) in blocks {
                    for cluster in clusters(blocks) {
                        let piece = Piece {
                            ticker: ticker.clone(),
                            bars: merge(&mut spill, &cluster, keep_last, path)?,
                        };
                        if chunks.push(piece, emit).is_break() {
                            return Ok(());
                        }
                    }
                }
                match chunks.take() {
                    rest if rest.is_empty() => Ok(()),
                    rest => match emit(rest) {
                        ControlFlow::Continue(()) | ControlFlow::Break(()) => Ok(()),
                    },
                }
            },
            |pieces: Vec<Piece>| {
                let rows: usize = pieces.iter().map(|piece| piece.bars.num_rows()).sum();
                let joined = join(&pieces).map_err(Error::arrow(path))?;
                Ok((format.encode(&joined, path)?, rows as u64))
            },
            |(encoded, more)| {
                rows += more;
                writer.append(encoded)
            },
        )?;
        writer.finish()?;
        self.file.publish()?;
        Ok(rows)
    }
}

/// Groups blocks so that no two groups overlap in time. The groups are in order of time, the blocks
/// of a group in the order in which they were added.
fn clusters(blocks: Vec<Block>) -> Vec<Vec<Block>> {
    let mut order: Vec<(usize, Block)> = blocks.into_iter().enumerate().collect();
    order.sort_by_key(|(_, block)| block.first);
    let mut groups: Vec<(i64, Vec<(usize, Block)>)> = Vec::new();
    for (number, block) in order {
        match groups.last_mut() {
            Some((last, group)) if block.first <= *last => {
                *last = block.last.max(*last);
                group.push((number, block));
            }
            _ => groups.push((block.last, vec![(number, block)])),
        }
    }
    groups
        .into_iter()
        .map(|(_, mut group)| {
            group.sort_by_key(|(number, _)| *number);
            group.into_iter().map(|(_, block)| block).collect()
        })
        .collect()
}

fn merge(
    spill: &mut Spill,
    cluster: &[Block],
    keep_last: bool,
    path: &Path,
) -> Result<RecordBatch, Error> {
    if let [block] = cluster {
        return spill.read(block);
    }
    let parts = cluster
        .iter()
        .map(|block| spill.read(block))
        .collect::<Result<Vec<_>, _>>()?;
    concat_batches(&BAR_SCHEMA, &parts)
        .and_then(|bars| sort_unique(&bars, keep_last))
        .map_err(Error::arrow(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Guard;
    use crate::model::{Bar, MINUTE_MICROS, Timestamp};

    fn bars(minutes: &[i64], close: f64) -> Bars {
        minutes
            .iter()
            .map(|minute| {
                Bar::new(
                    Timestamp::from_micros(minute * MINUTE_MICROS),
                    [1.0, 3.0, 0.5, close],
                    90.0,
                )
            })
            .collect()
    }

    fn output(path: &Path) -> OutputFile {
        Guard::default().file(path).unwrap()
    }

    fn ticker(name: &str) -> Ticker {
        Ticker::new(name).unwrap()
    }

    fn write(path: &Path, on_conflict: OnConflict) -> u64 {
        let writer = BarsWriter::create(&output(path), on_conflict).unwrap();
        writer.add(&ticker("B"), bars(&[7, 5, 6], 1.5)).unwrap();
        writer.add(&ticker("A"), bars(&[9], 2.0)).unwrap();
        writer.add(&ticker("B"), bars(&[1, 2, 3], 1.25)).unwrap();
        writer.add(&ticker("B"), bars(&[3, 4, 5], 2.5)).unwrap();
        writer.add(&ticker("B"), Bars::default()).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn bars_are_sorted_and_unique_in_whatever_order_they_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        for (mode, third, fifth) in [
            (OnConflict::Fail, "1.25", "1.5"),
            (OnConflict::Update, "2.5", "2.5"),
        ] {
            assert_eq!(write(&path, mode), 8);
            let line = |ticker: &str, minute: i64, close: &str| {
                format!("{ticker},1970-01-01T00:0{minute}:00Z,1.0,3.0,0.5,{close},90\n")
            };
            let expected = [
                "ticker,timestamp,open,high,low,close,volume\n".to_owned(),
                line("A", 9, "2.0"),
                line("B", 1, "1.25"),
                line("B", 2, "1.25"),
                line("B", 3, third),
                line("B", 4, "2.5"),
                line("B", 5, fifth),
                line("B", 6, "1.5"),
                line("B", 7, "1.5"),
            ];
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected.concat());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_writer_that_does_not_finish_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        std::fs::write(&path, "old").unwrap();
        let writer = BarsWriter::create(&output(&path), OnConflict::Fail).unwrap();
        writer.add(&ticker("A"), bars(&[1], 2.0)).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_and_folders_are_checked_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let create =
            |name: &str| BarsWriter::create(&output(&folder.path().join(name)), OnConflict::Fail);
        assert!(matches!(
            create("out.xlsx").err(),
            Some(Error::UnknownFormat { .. })
        ));
        assert!(matches!(
            create("missing/out.csv").err(),
            Some(Error::Io { .. })
        ));
    }

    #[test]
    fn more_bars_than_stay_in_memory_come_out_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.parquet");
        let writer = BarsWriter::create(&output(&path), OnConflict::Fail).unwrap();
        // 2.4 million bars of 58 bytes, newest first, as providers send them.
        let block = 100_000;
        for start in (0..24).rev() {
            let minutes: Vec<i64> = (start * block..(start + 1) * block).rev().collect();
            writer.add(&ticker("A"), bars(&minutes, 2.0)).unwrap();
        }
        assert!(writer.state.lock().unwrap().spill.path_is_used());
        assert_eq!(writer.finish().unwrap(), 24 * block as u64);
        let file = std::fs::File::open(&path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        let mut next = 0;
        for batch in reader {
            let batch = batch.unwrap();
            let times = batch.slice(0, batch.num_rows());
            for time in arrow::array::AsArray::as_primitive::<
                arrow::datatypes::TimestampMicrosecondType,
            >(times.column(1).as_ref())
            .values()
            {
                assert_eq!(*time, next * MINUTE_MICROS);
                next += 1;
            }
        }
        assert_eq!(next, 24 * block);
    }
}
