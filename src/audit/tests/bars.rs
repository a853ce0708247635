//! Correct bars, to which a test adds a fault.

use crate::calendar::{Calendar, Session};
use crate::model::{Bar, CombinedBar, DateRange, Interval, Timestamp};

/// Sessions of the tests, from 2025-01-02: the 5th is before a closed day.
pub(super) const SESSIONS: u64 = 25;

/// A random walk whose usual move is about 0.0005.
pub(super) struct Walk {
    pub state: u64,
    pub price: f64,
}

impl Walk {
    fn random(&mut self) -> f64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn bar(&mut self, at: Timestamp) -> Bar {
        let open = self.price;
        self.price *= 1.0 + (self.random() - 0.5) * 0.002;
        let (low, high) = (open.min(self.price), open.max(self.price));
        let volume = 1000.0 + (self.random() * 1000.0).round();
        Bar::new(at, [open, high * 1.0002, low * 0.9998, self.price], volume)
    }
}

pub(super) fn sessions() -> Vec<Session> {
    let first = "2025-01-02".parse().unwrap();
    let dates = DateRange::new(first, first + chrono::Days::new(60)).unwrap();
    let mut sessions = Calendar::for_exchange("NASDAQ")
        .unwrap()
        .sessions(dates)
        .unwrap();
    sessions.truncate(SESSIONS as usize);
    sessions
}

/// Correct one-minute bars.
pub(super) fn minutes() -> Vec<Bar> {
    let mut walk = Walk {
        state: 1,
        price: 100.0,
    };
    let grids = sessions()
        .into_iter()
        .flat_map(|session| session.grid(Interval::M1));
    grids.map(|at| walk.bar(at)).collect()
}

/// The index of a minute of a session.
pub(super) fn at(session: usize, minute: usize) -> usize {
    session * 390 + minute
}

/// The longer bars of correct one-minute bars.
pub(super) fn longer(minutes: &[Bar], interval: Interval) -> Vec<Bar> {
    let mut bars = Vec::new();
    for session in sessions() {
        for open in session.grid(interval) {
            let end = (open.micros() + interval.micros()).min(session.close.micros());
            let range = open.micros()..end;
            let mut inside = minutes
                .iter()
                .filter(|bar| range.contains(&bar.timestamp.micros()));
            let Some(first) = inside.next() else { continue };
            let mut combined = CombinedBar::new(*first);
            inside.for_each(|bar| combined.add(bar));
            bars.push(combined.into_bar(open));
        }
    }
    bars
}
