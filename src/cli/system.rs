//! Turns what the operating system does to a process at its limits into ordinary errors.

use super::error::CliError;
use crate::report::ExitStatus;

/// Address space that the program needs in addition to what it has when it starts, and per thread.
/// With less, DuckDB, zstd or a thread can fail at any moment, and some of them end the process
/// without a report.
#[cfg(unix)]
const ROOM_MIN: u64 = 1 << 30;
#[cfg(unix)]
const ROOM_PER_THREAD: u64 = 64 << 20;

/// Changes what the system does by default. Call it before any thread starts.
pub(super) fn prepare() {
    // When memory is used up, Rust ends the process, with a backtrace if this variable is set to 1.
    // This can't fail: the line is valid.
    let _ = dotenvy::from_read_override(&b"RUST_BACKTRACE=0"[..]);
    #[cfg(unix)]
    {
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;
        // A file has reached the size that `ulimit -f` allows. With any handler, writing is an
        // error (EFBIG) and doesn't end the process. If no handler can be installed, the default
        // stays.
        let _ = signal_hook::flag::register(libc::SIGXFSZ, Arc::new(AtomicBool::new(false)));
        // When memory is used up, Rust and C++ end the process by SIGABRT, after a message.
        let _ = signal_hook::flag::register_conditional_shutdown(
            libc::SIGABRT,
            i32::from(ExitStatus::Failed.code()),
            Arc::new(AtomicBool::new(true)),
        );
    }
}

/// Refuses to start if `ulimit -v` leaves so little address space that the program could end
/// without a report.
#[cfg(unix)]
pub(super) fn check_room() -> Result<(), CliError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(16) as u64);
    let needed = ROOM_MIN + ROOM_PER_THREAD * threads;
    match room() {
        Some(room) if room < needed => Err(CliError::failed(format!(
            "ulimit -v leaves the program {} MiB of address space, but it needs {} MiB",
            room >> 20,
            needed >> 20
        ))
        .hint("`ulimit -v unlimited` removes the limit; commands have options for the memory that they use")),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) fn check_room() -> Result<(), CliError> {
    Ok(())
}

/// The bytes of address space left, if there is a limit.
#[cfg(unix)]
pub(super) fn room() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    Some(limit.saturating_sub(address_space()?))
}

#[cfg(not(unix))]
pub(super) fn room() -> Option<u64> {
    None
}

/// The bytes of memory that this process doesn't share, if known.
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

/// Pages of address space, pages in memory, and those of them that are shared with files.
#[cfg(target_os = "linux")]
fn statm() -> Option<[u64; 3]> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut fields = text.split(' ').map(|field| field.parse().ok());
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// Ends the process at once, even while other threads are inside DuckDB. Nothing is cleaned up.
pub(super) fn exit_now(status: ExitStatus) -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(i32::from(status.code()));
    #[cfg(not(unix))]
    std::process::exit(i32::from(status.code()))
}

/// The message for a panic. Libraries panic if the system allows no more threads; any other panic
/// is an error in this program.
pub(super) fn panic_text(panic: &str) -> String {
    let no_thread = ["failed to spawn thread", "ThreadPoolBuildError"];
    if no_thread.iter().any(|sign| panic.contains(sign)) {
        "the system allows the program no more threads (ulimit -u, ulimit -v)".into()
    } else {
        format!("internal error: {panic}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_counts_when_it_is_written_to() {
        const SIZE: usize = 64 << 20;
        let before = memory_used().unwrap();
        let written = vec![1_u8; SIZE];
        let after = memory_used().unwrap();
        assert!(after >= before + (SIZE as u64) / 2, "{before} to {after}");
        drop(written);
    }

    #[test]
    fn every_panic_but_a_missing_thread_is_an_internal_error() {
        let text = "panicked at scoped.rs:206: failed to spawn thread: Os { code: 11 }";
        assert!(panic_text(text).starts_with("the system "));
        let text = "panicked at a.rs:1:1:\nindex out of bounds";
        assert_eq!(panic_text(text), format!("internal error: {text}"));
    }
}
