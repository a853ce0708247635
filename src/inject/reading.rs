//! What the bars of a file show about how to read it: interval, exchange, odd rows.
//!
//! The first piece decides, before anything is committed. What it contradicts is changed, and the
//! file is read once more.

use super::context::RunContext;
use super::decide::{ExchangeBy, KnownInterval};
use super::error::{FileError, NoInterval};
use super::grid::Grid;
use super::interval::IntervalDetector;
use super::open::Opened;
use super::piece::Piece;
use super::pieces::PieceReader;
use super::plan::Plan;
use super::plausible;
use super::settings::Label;
use super::source::Source;
use super::trim::trim;
use crate::model::Interval;
use crate::report::ReadAs;

/// What is known of a file from its bars.
#[derive(Default)]
pub(super) struct Reading {
    /// The exchange that the bars or their tickers show, and why.
    exchange: Option<(String, &'static str)>,
    /// When its bars open, if some rows are at other times.
    grid: Option<Grid>,
    /// What its rows were read as, once the interval is known.
    pub(super) read_as: Option<ReadAs>,
    warnings: Vec<String>,
    empty_minutes: u64,
    empty_volumes: u64,
}

impl Reading {
    /// Starts to read the file, for the first time or again.
    pub(super) fn start(&mut self, context: &RunContext<'_>, opened: &mut Opened) {
        let plan = &mut opened.plan;
        if let Some((exchange, reason)) = &self.exchange {
            context.planner.set_exchange(plan, exchange, reason);
        }
        if let Some(grid) = &self.grid {
            plan.grid = grid.clone().into();
        }
        self.warnings = std::mem::take(&mut opened.warnings);
    }

    /// What the user should check.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        for (count, text) in [
            (
                self.empty_minutes,
                "rows have no prices, so they aren't stored",
            ),
            (self.empty_volumes, "bars have no volume; it is stored as 0"),
        ] {
            if count > 0 {
                warnings.push(format!("{count} {text}"));
            }
        }
        warnings
    }

    /// The interval of a piece's bars, which are moved to their opens. The first piece is checked
    /// first. [`FileError::ReadAgain`] if the file must be read once more.
    pub(super) fn interval(
        &mut self,
        context: &RunContext<'_>,
        plan: &Plan,
        piece: &mut Piece,
        more: bool,
        content: (&Source, usize),
    ) -> Result<Interval, FileError> {
        let (interval, reason) = match &self.read_as {
            Some(read_as) => (read_as.interval, read_as.interval_reason),
            None => self.of_first(context, plan, piece, more, content)?,
        };
        content.0.check_unchanged()?;
        trim(context.settings, plan, piece, interval);
        self.empty_minutes += piece.empty_minutes;
        self.empty_volumes += piece.empty_volumes;
        let read_as = self
            .read_as
            .get_or_insert_with(|| ReadAs::new(plan.form.clone(), interval, reason));
        for group in &piece.groups {
            if let Some((first, last)) = group.span() {
                read_as.add(&group.ticker, first, last);
            }
        }
        Ok(interval)
    }

    /// Checks the first piece: its interval and why it is so.
    fn of_first(
        &mut self,
        context: &RunContext<'_>,
        plan: &Plan,
        piece: &Piece,
        more: bool,
        content: (&Source, usize),
    ) -> Result<(Interval, &'static str), FileError> {
        if self.exchange.is_none() {
            self.exchange = other_exchange(context, plan, piece);
            if self.exchange.is_some() {
                return Err(FileError::ReadAgain);
            }
        }
        let detect = || detect_interval(context, plan, piece, more, content);
        let (interval, reason) = match plan.interval {
            KnownInterval::Shown(interval, shown_by) => {
                check_interval(plan, piece, interval, shown_by)?;
                (interval, shown_by)
            }
            KnownInterval::Unknown => (detect()?, "the time between its bars"),
            KnownInterval::Unsupported(minutes) => {
                let found = match detect() {
                    Err(FileError::NoInterval(NoInterval::TooFew { .. } | NoInterval::Mixed)) => {
                        None
                    }
                    found => Some(found?),
                };
                let minutes = minutes.into();
                return Err(FileError::NamedInterval { minutes, found });
            }
        };
        self.set_grid(plan, piece, interval)?;
        let warnings = plausible::warnings(plan, piece, interval);
        self.warnings.extend(warnings);
        Ok((interval, reason))
    }

    /// Finds when bars open. If some rows of the first piece don't, the file is read once more with
    /// these rows as rejects.
    fn set_grid(
        &mut self,
        plan: &Plan,
        piece: &Piece,
        interval: Interval,
    ) -> Result<(), FileError> {
        if interval == Interval::M1 || plan.grid.get().is_some() {
            return Ok(());
        }
        let (grid, odd) = Grid::of(&piece.groups, interval, &plan.calendar)?;
        if odd > 0 {
            self.grid = Some(grid);
            return Err(FileError::ReadAgain);
        }
        plan.grid.get_or_init(|| grid);
        Ok(())
    }
}

/// The exchange that the first piece shows, and why, if the file has another so far.
fn other_exchange(
    context: &RunContext<'_>,
    plan: &Plan,
    piece: &Piece,
) -> Option<(String, &'static str)> {
    let known = plan.calendar.exchange();
    let by_bars = || {
        let (exchange, reason) = plausible::round_the_clock(plan, piece)?;
        Some((exchange.to_owned(), reason))
    };
    match plan.exchange_by {
        ExchangeBy::Option | ExchangeBy::Bars => None,
        ExchangeBy::Stored { otherwise } => {
            if !plausible::contradicts(&plan.calendar, plan, piece) {
                return None;
            }
            let reason = "its bars contradict the exchange of its stored series";
            by_bars().or_else(|| (otherwise != known).then(|| (otherwise.to_owned(), reason)))
        }
        ExchangeBy::Layout | ExchangeBy::Default => {
            let tickers = piece.groups.iter().map(|group| &group.ticker);
            let stored = context.planner.stored_calendar(known, tickers);
            match stored.filter(|stored| !plausible::contradicts(stored, plan, piece)) {
                Some(stored) => (stored.exchange() != known).then(|| {
                    (
                        stored.exchange().to_owned(),
                        "the stored series of its tickers",
                    )
                }),
                None if plan.exchange_by == ExchangeBy::Default => by_bars(),
                None => None,
            }
        }
    }
}

/// Checks an interval that an option, a column or the name shows, by the bars of a piece.
fn check_interval(
    plan: &Plan,
    piece: &Piece,
    interval: Interval,
    shown_by: &'static str,
) -> Result<(), FileError> {
    let is_close = plan.label == Label::Close;
    let mut detector = IntervalDetector::new(&plan.calendar, is_close);
    detector.observe(&piece.groups, false);
    detector.check(interval, shown_by)
}

/// The interval by the bars: those of the first piece if they are enough, else those of all
/// pieces, which reads the file once more.
fn detect_interval(
    context: &RunContext<'_>,
    plan: &Plan,
    first: &Piece,
    more: bool,
    (source, data_at): (&Source, usize),
) -> Result<Interval, FileError> {
    let is_close = plan.label == Label::Close;
    let mut detector = IntervalDetector::new(&plan.calendar, is_close);
    detector.observe(&first.groups, more);
    if more && !detector.is_certain() {
        let blocks = Opened::again(source, context.settings, plan.delimiter, data_at)?;
        let mut all = IntervalDetector::new(&plan.calendar, is_close);
        let mut reader = PieceReader::new(&context.settings.limits, &context.pool, plan, blocks);
        while !all.is_certain() {
            let (piece, _) = reader.piece(|_, _| !context.is_stopped())?;
            all.observe(&piece.groups, true);
            if !reader.more() {
                break;
            }
        }
        return all.interval().map_err(FileError::NoInterval);
    }
    detector.interval().map_err(FileError::NoInterval)
}
