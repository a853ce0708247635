//! Reads a file in pieces that fit into memory: on one core while it is small, then on all.

use rayon::ThreadPool;
use rayon::prelude::*;

use super::block::{Block, bad_row};
use super::error::{Contradiction, FileError};
use super::parse::Parser;
use super::piece::{Piece, PieceBuilder, TickerIds};
use super::plan::Plan;
use super::read::Blocks;
use super::settings::Limits;
use crate::model::Reason;

/// Blocks parsed at once, per core.
const BLOCKS_PER_CORE: usize = 2;

/// Reads one file in pieces.
pub(super) struct PieceReader<'p> {
    limits: &'p Limits,
    pool: &'p ThreadPool,
    blocks: Blocks,
    /// One for each block parsed at once. They keep what they have learned.
    parsers: Vec<(Parser<'p>, TickerIds)>,
    builder: PieceBuilder,
    /// Blocks read while others were parsed.
    ahead: Vec<Block>,
    /// Why nothing can be read after `ahead`.
    failure: Option<FileError>,
    /// The first row that contradicts the plan.
    contradiction: Option<Contradiction>,
    /// Whether the last piece was returned.
    done: bool,
    bytes: u64,
}

impl<'p> PieceReader<'p> {
    pub(super) fn new(
        limits: &'p Limits,
        pool: &'p ThreadPool,
        plan: &'p Plan,
        blocks: Blocks,
    ) -> Self {
        let count = pool.current_num_threads() * BLOCKS_PER_CORE;
        Self {
            limits,
            pool,
            blocks,
            parsers: (0..count)
                .map(|_| (Parser::new(plan), TickerIds::default()))
                .collect(),
            builder: PieceBuilder::default(),
            ahead: Vec::new(),
            failure: None,
            contradiction: None,
            done: false,
            bytes: 0,
        }
    }

    /// Whether there is another piece.
    pub(super) fn more(&self) -> bool {
        !self.done
    }

    /// The next piece, and an error if the file ends early after it. `admit` gets the number of new
    /// rows and of their bytes, and returns false to stop. A piece that contradicts the plan is an
    /// error.
    pub(super) fn piece(
        &mut self,
        mut admit: impl FnMut(usize, usize) -> bool,
    ) -> Result<(Piece, Option<FileError>), FileError> {
        let mut seen = 0;
        while !self.done {
            let bytes = if self.is_large() {
                self.parse_in_parallel()
            } else {
                self.parse_one()
            };
            self.bytes += bytes as u64;
            if bytes == 0 {
                self.finish();
                break;
            }
            let rows = self.rows();
            if !admit(rows - seen, bytes) {
                return Err(FileError::Stopped);
            }
            seen = rows;
            let full = rows >= self.limits.piece_rows && !self.ends_unresolved();
            if full || rows >= self.limits.piece_rows.saturating_mul(2) {
                // A file that ends here has no empty piece after this one.
                self.done = self.ahead.is_empty() && self.failure.is_none() && self.blocks.at_end();
                break;
            }
        }
        self.flush();
        let piece = self.pool.install(|| self.builder.take());
        if let Some(contradiction) = self.contradiction.take() {
            self.done = true;
            return Err(FileError::Contradiction(contradiction));
        }
        let failure = if self.done { self.failure.take() } else { None };
        Ok((piece, failure))
    }

    fn is_large(&self) -> bool {
        self.bytes >= self.limits.parallel_bytes && self.pool.current_num_threads() > 1
    }

    /// Reads and parses one block; returns its bytes, 0 at the end.
    fn parse_one(&mut self) -> usize {
        match self.blocks.next() {
            Ok(Some(block)) => {
                self.parsers[0].0.parse(&block);
                let bytes = block.text.len();
                self.blocks.give_back(block);
                bytes
            }
            Ok(None) => 0,
            Err(error) => {
                self.failure = Some(error);
                0
            }
        }
    }

    /// Parses some blocks on all cores while the next are read; returns their bytes, 0 at the end.
    fn parse_in_parallel(&mut self) -> usize {
        self.flush();
        let count = self.parsers.len();
        let batch = if self.ahead.is_empty() {
            if self.failure.is_some() {
                return 0;
            }
            let (batch, failure) = read(&mut self.blocks, count);
            self.failure = failure;
            batch
        } else {
            std::mem::take(&mut self.ahead)
        };
        let (parsers, blocks) = (&mut self.parsers, &mut self.blocks);
        let done = self.failure.is_some();
        let (_, (ahead, failure)) = self.pool.join(
            || {
                parsers
                    .par_iter_mut()
                    .zip(&batch)
                    .for_each(|((parser, _), block)| parser.parse(block));
            },
            || {
                if done {
                    (Vec::new(), None)
                } else {
                    read(blocks, count)
                }
            },
        );
        self.ahead = ahead;
        self.failure = self.failure.take().or(failure);
        self.flush();
        let bytes = batch.iter().map(|block| block.text.len()).sum();
        for block in batch {
            self.blocks.give_back(block);
        }
        bytes
    }

    /// Adds what was parsed to the piece, in file order.
    fn flush(&mut self) {
        for (parser, ids) in &mut self.parsers {
            let mut parsed = parser.take();
            // Parsers are in file order.
            if self.contradiction.is_none() {
                self.contradiction = parsed.contradiction.take();
            }
            self.builder.add(parsed, parser.tickers(), ids);
        }
    }

    fn rows(&self) -> usize {
        let parsed = self.parsers[0].0.parsed();
        self.builder.rows() + parsed.bars.len() + parsed.rejects.len()
    }

    fn ends_unresolved(&self) -> bool {
        let parsed = self.parsers[0].0.parsed();
        match parsed.repeated.last() {
            Some(last) => last.row + 1 == parsed.bars.len(),
            None => parsed.bars.is_empty() && self.builder.ends_unresolved(),
        }
    }

    /// At the end: the rest of the text is a reject, and so is a line that was too long.
    fn finish(&mut self) {
        self.done = true;
        self.flush();
        if let Some(FileError::LongLine { line, .. }) = &self.failure {
            let (text, _, _) = self.blocks.unread();
            self.builder
                .reject_last(bad_row(text, *line, Reason::LineTooLong));
            return;
        }
        let rest = self.blocks.rest();
        if !rest.tail.trim_ascii().is_empty() {
            let reason = match rest.failure {
                Some(_) => Reason::Unreadable,
                None => Reason::NoLineEnd,
            };
            self.builder
                .reject_last(bad_row(&rest.tail, rest.line + 1, reason));
        }
        if let Some(source) = rest.failure {
            self.failure = Some(FileError::CutShort {
                line: rest.line,
                source,
            });
        }
    }
}

/// Reads up to `count` blocks.
fn read(blocks: &mut Blocks, count: usize) -> (Vec<Block>, Option<FileError>) {
    let mut batch = Vec::with_capacity(count);
    while batch.len() < count {
        match blocks.next() {
            Ok(Some(block)) => batch.push(block),
            Ok(None) => break,
            Err(error) => return (batch, Some(error)),
        }
    }
    (batch, None)
}
