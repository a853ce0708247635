//! Cuts a stream of bars into chunks of one size: the row groups of a Parquet file.

use std::ops::ControlFlow;

use super::columns::Piece;
use super::format::CHUNK_ROWS;

/// Collects pieces until a chunk is full; many small series share one.
#[derive(Default)]
pub(super) struct Chunks {
    pieces: Vec<Piece>,
    rows: usize,
}

impl Chunks {
    /// Adds bars, and passes every full chunk to `emit`; breaks if that breaks.
    pub fn push(
        &mut self,
        mut piece: Piece,
        emit: &mut dyn FnMut(Vec<Piece>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            let rows = piece.bars.num_rows();
            let room = CHUNK_ROWS - self.rows;
            if rows < room {
                if rows > 0 {
                    self.rows += rows;
                    self.pieces.push(piece);
                }
                return ControlFlow::Continue(());
            }
            self.pieces.push(Piece {
                ticker: piece.ticker.clone(),
                bars: piece.bars.slice(0, room),
            });
            emit(self.take())?;
            piece.bars = piece.bars.slice(room, rows - room);
        }
    }

    /// Removes and returns the rest.
    pub fn take(&mut self) -> Vec<Piece> {
        self.rows = 0;
        std::mem::take(&mut self.pieces)
    }
}
