//! Cuts a stream of bars into row groups.

use std::ops::ControlFlow;

use super::columns::Piece;
use super::row_group::ROW_GROUP_ROWS;

/// Gathers pieces until a row group is full; many small series share one.
#[derive(Default)]
pub(super) struct Chunks {
    pieces: Vec<Piece>,
    rows: usize,
}

impl Chunks {
    /// Adds bars, handing every full chunk to `emit`; breaks off where that does.
    pub fn push(
        &mut self,
        mut piece: Piece,
        emit: &mut dyn FnMut(Vec<Piece>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            let rows = piece.bars.num_rows();
            let room = ROW_GROUP_ROWS - self.rows;
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

    /// What is left, and begins anew.
    pub fn take(&mut self) -> Vec<Piece> {
        self.rows = 0;
        std::mem::take(&mut self.pieces)
    }
}
