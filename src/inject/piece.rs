//! The bars of a piece of a file, grouped by ticker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::block::{BadRow, Parsed};
use super::missing::LastBar;
use crate::model::{Bars, Repeated, Ticker, Timestamp, resolve_repeated};

/// The number of bars that need as much memory as one reject.
const REJECT_WEIGHT: usize = 4;

/// Bars of one ticker, in file order.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) ticker: Ticker,
    pub(super) bars: Bars,
}

impl Group {
    /// The first and the last timestamp.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let timestamps = self.bars.timestamps();
        let (first, last) = if timestamps.is_sorted() {
            (timestamps.first()?, timestamps.last()?)
        } else {
            (timestamps.iter().min()?, timestamps.iter().max()?)
        };
        Some((
            Timestamp::from_micros(*first),
            Timestamp::from_micros(*last),
        ))
    }
}

/// The bars and rejects of a piece of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) groups: Vec<Group>,
    pub(super) rejects: Vec<BadRow>,
    /// When the bars of the rejects open, by ticker, of those whose time is known. Set with the
    /// interval.
    pub(super) missing: BTreeMap<Ticker, Vec<i64>>,
    /// Rows without prices.
    pub(super) empty_minutes: u64,
    /// Bars without a volume.
    pub(super) empty_volumes: u64,
}

impl Piece {
    /// The number of bars.
    pub(super) fn rows(&self) -> u64 {
        self.groups
            .iter()
            .map(|group| group.bars.len() as u64)
            .sum()
    }
}

/// Consecutive bars of one ticker in a parsed block.
#[derive(Clone, Copy, Debug)]
struct Span {
    block: u32,
    start: u32,
    len: u32,
}

/// Builds a piece from parsed blocks, in file order.
#[derive(Default)]
pub(super) struct PieceBuilder {
    blocks: Vec<Bars>,
    tickers: Vec<(Ticker, Vec<Span>)>,
    index: HashMap<Ticker, u32>,
    rejects: Vec<BadRow>,
    /// In the order of blocks and rows.
    repeated: Vec<(u32, Repeated<BadRow>)>,
    rows: usize,
    empty_minutes: u64,
    empty_volumes: u64,
    /// Kept from piece to piece.
    last_bar: LastBar,
}

/// The builder's number of each ticker of a parser. Kept from block to block.
#[derive(Clone, Debug, Default)]
pub(super) struct TickerIds(Vec<u32>);

impl PieceBuilder {
    /// The bars added so far. A reject counts as several, because it has its text.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the last bar's local time occurs twice. The rows that follow help to resolve it, so
    /// a piece must not end here.
    pub(super) fn ends_unresolved(&self) -> bool {
        let Some((block, last)) = self.repeated.last() else {
            return false;
        };
        *block as usize + 1 == self.blocks.len()
            && self
                .blocks
                .last()
                .is_some_and(|bars| last.row + 1 == bars.len())
    }

    /// Adds what a parser parsed; `ids` belongs to that parser, and `tickers` are all of its
    /// tickers.
    pub(super) fn add(
        &mut self,
        mut parsed: Parsed,
        tickers: &[Option<Ticker>],
        ids: &mut TickerIds,
    ) {
        self.last_bar.place(&mut parsed, |ticker| {
            tickers.get(ticker as usize).cloned().flatten()
        });
        for ticker in &tickers[ids.0.len()..] {
            let number = ticker
                .as_ref()
                .map_or(u32::MAX, |ticker| self.id_of(ticker));
            ids.0.push(number);
        }
        self.empty_minutes += parsed.empty_minutes;
        self.empty_volumes += parsed.empty_volumes;
        self.rows += parsed.rejects.len() * REJECT_WEIGHT;
        self.rejects.extend(parsed.rejects);
        if parsed.bars.is_empty() {
            return;
        }
        self.rows += parsed.bars.len();
        // The bars of a single ticker are appended without a copy.
        let grows = self.blocks.len() == 1
            && self.tickers.len() == 1
            && parsed.runs.len() == 1
            && self.tickers[0].1.len() == 1;
        if grows {
            let base = self.blocks[0].len();
            self.tickers[0].1[0].len += parsed.runs[0].len;
            self.blocks[0].append(parsed.bars);
            self.repeated
                .extend(parsed.repeated.into_iter().map(|repeated| {
                    (
                        0,
                        Repeated {
                            row: base + repeated.row,
                            ..repeated
                        },
                    )
                }));
            return;
        }
        let block = self.blocks.len() as u32;
        let mut start = 0;
        for run in &parsed.runs {
            let number = ids.0[run.ticker as usize];
            self.tickers[number as usize].1.push(Span {
                block,
                start,
                len: run.len,
            });
            start += run.len;
        }
        self.blocks.push(parsed.bars);
        self.repeated.extend(
            parsed
                .repeated
                .into_iter()
                .map(|repeated| (block, repeated)),
        );
    }

    /// Adds a reject at the end of the file, which no parser has seen.
    pub(super) fn reject_last(&mut self, row: BadRow) {
        let bar = self.last_bar.following();
        self.rejects.push(BadRow { bar, ..row });
    }

    fn id_of(&mut self, ticker: &Ticker) -> u32 {
        if let Some(number) = self.index.get(ticker) {
            return *number;
        }
        let number = self.tickers.len() as u32;
        self.tickers.push((ticker.clone(), Vec::new()));
        self.index.insert(ticker.clone(), number);
        number
    }

    /// Takes the piece built so far, with repeated local times resolved.
    pub(super) fn take(&mut self) -> Piece {
        let blocks = Arc::new(std::mem::take(&mut self.blocks));
        let repeated = std::mem::take(&mut self.repeated);
        self.rows = 0;
        let taken: Vec<(Ticker, Vec<Span>)> = self
            .tickers
            .iter_mut()
            .filter(|(_, spans)| !spans.is_empty())
            .map(|(ticker, spans)| (ticker.clone(), std::mem::take(spans)))
            .collect();
        let mut piece = Piece {
            groups: Vec::with_capacity(taken.len()),
            rejects: std::mem::take(&mut self.rejects),
            missing: BTreeMap::new(),
            empty_minutes: std::mem::take(&mut self.empty_minutes),
            empty_volumes: std::mem::take(&mut self.empty_volumes),
        };
        let groups: Vec<(Group, Vec<BadRow>)> = if let [(ticker, spans)] = &taken[..]
            && spans.len() == 1
            && blocks.len() == 1
        {
            let bars = Arc::try_unwrap(blocks)
                .map(|mut blocks| blocks.pop().unwrap_or_default())
                .unwrap_or_default();
            vec![finish(ticker.clone(), bars, spans, &repeated)]
        } else {
            taken
                .into_par_iter()
                .map(|(ticker, spans)| {
                    let rows = spans.iter().map(|span| span.len as usize).sum();
                    let mut bars = Bars::with_capacity(rows);
                    for span in &spans {
                        let start = span.start as usize;
                        bars.extend_from(
                            &blocks[span.block as usize],
                            start..start + span.len as usize,
                        );
                    }
                    finish(ticker, bars, &spans, &repeated)
                })
                .collect()
        };
        for (group, rejects) in groups {
            piece.rejects.extend(rejects);
            if !group.bars.is_empty() {
                piece.groups.push(group);
            }
        }
        piece.rejects.sort_by_key(|reject| reject.line);
        piece
    }
}

/// Makes a group, with repeated local times resolved.
fn finish(
    ticker: Ticker,
    mut bars: Bars,
    spans: &[Span],
    repeated: &[(u32, Repeated<BadRow>)],
) -> (Group, Vec<BadRow>) {
    if repeated.is_empty() {
        return (Group { ticker, bars }, Vec::new());
    }
    let mut ours = Vec::new();
    let mut base = 0;
    for span in spans {
        let (start, end) = (span.start as usize, (span.start + span.len) as usize);
        let first =
            repeated.partition_point(|(block, row)| (*block, row.row) < (span.block, start));
        for (block, row) in &repeated[first..] {
            if *block != span.block || row.row >= end {
                break;
            }
            ours.push(Repeated {
                row: base + row.row - start,
                ..row.clone()
            });
        }
        base += span.len as usize;
    }
    // Without the interval: whether a bar's neighbours are in this piece must not matter.
    let unresolved = resolve_repeated(&mut bars, ours, None);
    let rejects = unresolved.into_iter().map(|entry| entry.origin).collect();
    (Group { ticker, bars }, rejects)
}
