//! What the operating system does to a process at its limits, made into ordinary errors.

use super::error::CliError;
use crate::report::ExitStatus;

/// Address space that the program needs on top of what it has when it begins, and for each thread. With less, DuckDB,
/// zstd or a thread can fail at any moment, and not all of them can report it: some end the process.
#[cfg(unix)]
const ROOM_MIN: u64 = 1 << 30;
#[cfg(unix)]
const ROOM_PER_THREAD: u64 = 64 << 20;

/// Changes what the system does by default. Called before any thread starts.
pub(super) fn prepare() {
    // Without memory Rust ends the process, and prints a backtrace if this variable asks for one. A faulty line can't be the
    // reason for a failure here: it is ours.
    let _ = dotenvy::from_read_override(&b"RUST_BACKTRACE=0"[..]);
    #[cfg(unix)]
    {
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;
        // A file that is as large as `ulimit -f` allows: with a handler, whatever it does, writing is an error (EFBIG) and
        // no longer ends the process. Where a handler can't be installed, the default stays.
        let _ = signal_hook::flag::register(libc::SIGXFSZ, Arc::new(AtomicBool::new(false)));
        // Rust and C++ end a process without memory by SIGABRT, after a line that says so.
        let _ = signal_hook::flag::register_conditional_shutdown(
            libc::SIGABRT,
            i32::from(ExitStatus::Failed.code()),
            Arc::new(AtomicBool::new(true)),
        );
    }
}

/// Refuses to start if `ulimit -v` leaves so little address space that the program could end without a report.
#[cfg(unix)]
pub(super) fn check_room() -> Result<(), CliError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(16) as u64);
    let needed = ROOM_MIN + ROOM_PER_THREAD * threads;
    match room() {
        Some(room) if room < needed => Err(CliError::failed(format!(
            "ulimit -v leaves the program {} MiB of address space, and it needs {} MiB",
            room >> 20,
            needed >> 20
        ))
        .hint("`ulimit -v unlimited` removes the limit; the options of a command limit what it really uses")),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) fn check_room() -> Result<(), CliError> {
    Ok(())
}

/// Bytes of address space that are left up to the limit, if there is one.
#[cfg(unix)]
pub(super) fn room() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    Some(limit.saturating_sub(address_space()?))
}

#[cfg(not(unix))]
pub(super) fn room() -> Option<u64> {
    None
}

/// Bytes of memory that this process has for itself alone, where that is known.
#[cfg(target_os = "linux")]
pub(super) fn memory_used() -> Option<u64> {
    let pages = statm()?;
    Some(pages[1].saturating_sub(pages[2]) * rustix::param::page_size() as u64)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn memory_used() -> Option<u64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as u64)
}

#[cfg(target_os = "linux")]
fn address_space() -> Option<u64> {
    Some(statm()?[0] * rustix::param::page_size() as u64)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn address_space() -> Option<u64> {
    memory_stats::memory_stats().map(|stats| stats.virtual_mem as u64)
}

/// Pages of address space, pages in memory, and pages among those that are shared with files.
#[cfg(target_os = "linux")]
fn statm() -> Option<[u64; 3]> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut fields = text.split(' ').map(|field| field.parse().ok());
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// Ends the process while other threads may be anywhere, also inside DuckDB: nothing of theirs is cleaned up.
pub(super) fn exit_now(status: ExitStatus) -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(i32::from(status.code()));
    #[cfg(not(unix))]
    std::process::exit(i32::from(status.code()))
}

/// What a panic is reported as. Libraries panic where the system lets them start no thread; any other panic is a fault.
pub(super) fn panic_text(panic: &str) -> String {
    let no_thread = ["failed to spawn thread", "ThreadPoolBuildError"];
    if no_thread.iter().any(|sign| panic.contains(sign)) {
        "the system lets the program start no more threads (ulimit -u, ulimit -v)".into()
    } else {
        format!("a fault of the program itself: {panic}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_counts_once_it_is_written_to() {
        const SIZE: usize = 64 << 20;
        let before = memory_used().unwrap();
        let written = vec![1_u8; SIZE];
        let after = memory_used().unwrap();
        assert!(after >= before + (SIZE as u64) / 2, "{before} to {after}");
        drop(written);
    }

    #[test]
    fn only_a_missing_thread_is_not_a_fault() {
        let text = "panicked at scoped.rs:206: failed to spawn thread: Os { code: 11 }";
        assert!(panic_text(text).starts_with("the system "));
        let text = "panicked at a.rs:1:1:\nindex out of bounds";
        assert_eq!(
            panic_text(text),
            format!("a fault of the program itself: {text}")
        );
    }
}
