//! The counts of a soak.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub struct Figures {
    pub seeds: u64,
    /// Commands of both sides, without those that only read.
    pub commands: u64,
    /// States that were compared.
    pub compared: u64,
    /// Bars in them.
    pub bars: u64,
    /// Runs with a wrong result. The first ends a soak.
    pub lost: u64,
    /// Copies made while a command wrote: how many could be read, and how many were refused.
    pub copies: (u64, u64),
    /// CSV files read from a pipe, and files that were first injected cut off.
    pub odd_files: (u64, u64),
    /// Commands that read while another one wrote.
    pub readers: u64,
    /// Writers that overlapped with another one and waited for it.
    pub pairs: u64,
    /// Kills by named point.
    points: BTreeMap<String, u64>,
    /// Kills by `kill -9`, by command.
    random: BTreeMap<&'static str, u64>,
}

impl Figures {
    pub fn point(&mut self, name: &str) {
        let name = name.split('@').next().unwrap_or(name);
        *self.points.entry(name.to_owned()).or_default() += 1;
    }

    pub fn random(&mut self, command: &'static str) {
        *self.random.entry(command).or_default() += 1;
    }

    pub fn kills(&self) -> u64 {
        self.points.values().sum::<u64>() + self.random.values().sum::<u64>()
    }

    pub fn line(&self) -> String {
        format!(
            "{} runs, {} commands, {} kills at named points and {} by kill -9; {} states compared, {} bars; \
             {} copies read, {} refused; {} pipes, {} cut files; {} readers, {} pairs of writers; lost={}",
            self.seeds,
            self.commands,
            self.points.values().sum::<u64>(),
            self.random.values().sum::<u64>(),
            self.compared,
            self.bars,
            self.copies.0,
            self.copies.1,
            self.odd_files.0,
            self.odd_files.1,
            self.readers,
            self.pairs,
            self.lost
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line())?;
        for (name, count) in &self.points {
            writeln!(f, "  {count:>6}  at {name}")?;
        }
        for (command, count) in &self.random {
            writeln!(f, "  {count:>6}  kill -9 in {command}")?;
        }
        Ok(())
    }
}
