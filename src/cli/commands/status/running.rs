//! The run in progress: its lines, its JSON, and `--watch`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::HumanCount;

use crate::cli::error::CliError;
use crate::cli::output::Stdout;
use crate::model::Timestamp;
use crate::report::clock;
use crate::store::{RunProgress, RunningWriter, running_writer};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The lines about a writer, each below 80 columns.
pub(super) fn lines(writer: &RunningWriter) -> Vec<String> {
    let pid = writer.pid.map_or_else(String::new, |pid| format!(" {pid}"));
    let Some(run) = &writer.progress else {
        return vec![format!("process{pid} is writing")];
    };
    let started = Timestamp::from_micros(run.started_at_us);
    let mut lines = vec![format!(
        "process{pid} is running {} since {}",
        run.command,
        started.to_utc().format("%H:%M:%SZ")
    )];
    if !run.unit.is_empty() {
        lines.push(format!("  {}", done(run)));
    }
    let mut counts = format!("  {} rows committed", HumanCount(run.rows_committed));
    if let Some(requests) = run.requests {
        counts += &format!(", {} requests sent", HumanCount(requests));
    }
    counts += &format!(", {} failed", HumanCount(run.failed));
    lines.push(counts);
    lines
}

/// `1,234 of 5,000 windows (24 %), 12.3 per second, 0:05:06 left`.
fn done(run: &RunProgress) -> String {
    let is_bytes = run.unit == "bytes";
    let mut text = match is_bytes {
        true => format!("{} of {}", ByteSize::b(run.done), ByteSize::b(run.total)),
        false => format!(
            "{} of {} {}",
            HumanCount(run.done),
            HumanCount(run.total),
            run.unit
        ),
    };
    if run.total > 0 {
        let percent = run.done as f64 * 100.0 / run.total as f64;
        // Not 100 % before all is done.
        text += &format!(" ({:.0} %)", percent.floor());
    }
    if run.per_second > 0.0 {
        text += &match is_bytes {
            true => format!(", {} per second", ByteSize::b(run.per_second as u64)),
            false => format!(", {:.1} per second", run.per_second),
        };
    }
    if let Some(left) = run.left() {
        text += &format!(", {} left", clock(left));
    }
    text
}

/// Prints the run in progress every second until its process has released the store. At a terminal
/// the lines replace the last ones, otherwise they are printed when they changed.
pub(super) fn watch(out: &mut Stdout, dir: &Path) -> Result<(), CliError> {
    let is_terminal = io::stdout().is_terminal();
    let mut last: Vec<String> = Vec::new();
    while let Some(writer) = running_writer(dir)? {
        let lines = lines(&writer);
        if lines != last {
            redraw(out, is_terminal, &last, &lines)?;
            last = lines;
        }
        std::thread::sleep(WATCH_EVERY);
    }
    if is_terminal {
        redraw(out, true, &last, &[])?;
    } else if !last.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn redraw(
    out: &mut impl Write,
    is_terminal: bool,
    last: &[String],
    lines: &[String],
) -> io::Result<()> {
    if is_terminal && !last.is_empty() {
        // Up to the first of the last lines, and everything from there is erased.
        write!(out, "\x1b[{}A\r\x1b[J", last.len())?;
    }
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents;
    use crate::provider::mutate::check_mutations;

    fn writer(change: impl FnOnce(&mut RunProgress)) -> RunningWriter {
        let mut run = RunProgress {
            pid: 4711,
            run: "20250102T143000Z-1a2b3c4d".to_owned(),
            command: "concurrent".to_owned(),
            started_at_us: 1_735_828_200_000_000,
            updated_at_us: 1_735_828_260_000_000,
            unit: "windows".to_owned(),
            done: 1_234,
            total: 5_000,
            per_second: 12.3,
            failed: 3,
            rows_committed: 12_345_678,
            requests: Some(1_240),
        };
        change(&mut run);
        RunningWriter {
            pid: Some(4711),
            progress: Some(run),
        }
    }

    #[test]
    fn a_run_has_three_lines() {
        assert_eq!(
            lines(&writer(|_| ())),
            [
                "process 4711 is running concurrent since 14:30:00Z",
                "  1,234 of 5,000 windows (24 %), 12.3 per second, 0:05:06 left",
                "  12,345,678 rows committed, 1,240 requests sent, 3 failed",
            ]
        );
        let none = RunningWriter {
            pid: None,
            progress: None,
        };
        assert_eq!(lines(&none), ["process is writing"]);
    }

    #[test]
    fn mutated_progress_is_printed_or_not_read() {
        let pieces = ["-", "1e400", "\\u001b[2J", "18446744073709551615", "null"];
        check_mutations("progress", &pieces, |bytes| {
            let writer = RunningWriter {
                pid: None,
                progress: Some(RunProgress::parse(bytes)?),
            };
            let lines = lines(&writer);
            assert!(lines.len() <= 3);
            assert!(!lines.concat().contains(char::is_control), "{lines:?}");
            assert!(documents::progress(&writer)["run"].is_object());
            Some(())
        });
    }

    #[test]
    fn bytes_are_in_units_and_numbers_without_meaning_are_left_out() {
        let bytes = writer(|run| {
            run.unit = "bytes".to_owned();
            run.requests = None;
            (run.done, run.total, run.per_second) = (999, 1_000, 0.0);
        });
        assert_eq!(
            lines(&bytes)[1..],
            [
                "  999 B of 1000 B (99 %)",
                "  12,345,678 rows committed, 3 failed"
            ]
        );
        for per_second in [f64::MIN_POSITIVE, -1.0, f64::MAX] {
            let odd = writer(|run| {
                run.per_second = per_second;
                run.total = u64::MAX;
            });
            assert_eq!(lines(&odd).len(), 3);
        }
        assert_eq!(lines(&writer(|run| run.total = 0)).len(), 3);
    }
}
