//! Reads the chunks of a pass on a thread of its own, so that the next chunk is ready when the
//! target has committed the one before.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use super::chunk::{Chunk, Chunks};
use super::context::SeriesTask;
use super::error::Error;
use super::plan::SyncPass;
use super::source::Source;
use crate::model::{SeriesKey, TimeRange};

/// Which bars a pass sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PassBars {
    series: SeriesKey,
    range: TimeRange,
    after_seq: u64,
    through_seq: u64,
}

impl PassBars {
    pub(super) fn new(task: &SeriesTask, pass: &SyncPass) -> Self {
        let start = pass.through.map_or(i64::MIN, |at| at + 1);
        Self {
            series: task.info.key.clone(),
            range: TimeRange {
                start: start.max(task.range.start),
                end: task.range.end,
            },
            after_seq: pass.base.seq,
            through_seq: pass.pass.seq,
        }
    }

    /// Sends the chunks, and `None` after the last one, until the receiver is dropped.
    fn read(&self, source: &dyn Source, chunk_rows: usize, chunks: &SyncSender<Read>) {
        let scan = source.scan_since(&self.series, self.range, self.after_seq, self.through_seq);
        let mut cut = match scan {
            Ok(batches) => Chunks::new(batches, chunk_rows, &self.series),
            Err(error) => {
                let _ = chunks.send(Err(Error::bars(&self.series, &error)));
                return;
            }
        };
        loop {
            let chunk = cut.next();
            let more = matches!(chunk, Ok(Some(_)));
            if chunks.send(chunk).is_err() || !more {
                return;
            }
        }
    }
}

/// Starts to read bars ahead, on a thread of the run.
pub(super) type StartReading<'a> = dyn Fn(PassBars) -> ReadAhead + 'a;

type Read = Result<Option<Chunk>, Error>;

/// The chunks of a pass, one of which is read ahead.
pub(super) struct ReadAhead {
    bars: PassBars,
    chunks: Receiver<Read>,
}

impl ReadAhead {
    /// Starts the thread. It ends when all chunks were taken, or with this value.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: &'scope dyn Source,
        chunk_rows: usize,
        bars: PassBars,
    ) -> Self {
        // Without room: one chunk is being written and one is ready, never more.
        let (sender, chunks) = sync_channel(0);
        let wanted = bars.clone();
        scope.spawn(move || wanted.read(source, chunk_rows, &sender));
        Self { bars, chunks }
    }

    /// Whether it reads these bars.
    pub(super) fn reads(&self, bars: &PassBars) -> bool {
        self.bars == *bars
    }

    /// The next chunk; `None` after the last one.
    pub(super) fn next(&mut self) -> Read {
        // Without an end the thread has panicked: the scope reports it.
        self.chunks
            .recv()
            .unwrap_or_else(|_| Err(Error::interrupted()))
    }
}
