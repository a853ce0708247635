//! What is usual for a ticker around a date.

use super::day::Day;

/// What is usual in one session, or around it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usual {
    /// The median distance from a close to the next, relative, of the bars that moved at all: the
    /// median absolute deviation of moves. Without the bars that didn't move it isn't 0 for a ticker
    /// whose price changes only every few bars. `None` if no bar moved.
    pub step: Option<f64>,
    /// The largest volume of a bar.
    pub volume_max: Option<f64>,
}

impl Usual {
    /// What is usual in one session.
    pub fn of(day: &Day) -> Self {
        let close = day.close();
        let volume = day.volume();
        let mut steps: Vec<f64> = Vec::with_capacity(close.len());
        let mut volume_max = 0.0_f64;
        for part in &day.parts {
            let moves = close[part.clone()].windows(2);
            let moves = moves.map(|pair| (pair[1] / pair[0] - 1.0).abs());
            steps.extend(moves.filter(|step| *step > 0.0 && step.is_finite()));
            let volumes = &volume[part.clone()];
            volume_max = volumes
                .iter()
                .fold(volume_max, |max, volume| max.max(*volume));
        }
        Self {
            step: median(&mut steps),
            volume_max: Some(volume_max).filter(|max| *max > 0.0),
        }
    }

    /// What is usual in a session of `own` with these sessions around it. A turbulent session is
    /// compared with itself. The largest volume is that of the other sessions, or of its own second
    /// largest bar if there are fewer than `OTHERS_MIN`.
    pub fn around(
        own: Self,
        second_volume: Option<f64>,
        others: impl Iterator<Item = Self>,
    ) -> Self {
        let (mut steps, mut volumes): (Vec<f64>, Vec<f64>) = Default::default();
        for other in others {
            steps.extend(other.step);
            volumes.extend(other.volume_max);
        }
        let usual = median(&mut steps);
        let volume_max = match volumes.len() >= OTHERS_MIN {
            true => median(&mut volumes),
            false => second_volume,
        };
        Self {
            step: match (own.step, usual) {
                (Some(own), Some(usual)) => Some(own.max(usual)),
                (own, usual) => own.or(usual),
            },
            volume_max,
        }
    }
}

/// The fewest other sessions that show a usual volume.
const OTHERS_MIN: usize = 3;

/// The median, or the higher of the two in the middle; `None` without values.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}
