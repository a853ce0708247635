//! Ctrl-C: the first stops a run cleanly, the second ends the program at once.

use std::sync::Arc;

use super::system;
use super::terminal::Terminal;
use crate::report::{ExitStatus, Stop};

/// Sets `stop` at the first SIGINT or SIGTERM, and exits at the second.
///
/// Returns when it listens. If it can't listen, signals keep their usual effect.
pub(super) fn listen(stop: Stop, terminal: Arc<Terminal>) {
    let (ready, listening) = std::sync::mpsc::channel::<()>();
    let listener = std::thread::Builder::new().name("signals".into());
    let _ = listener.spawn(move || {
        #[cfg(unix)]
        if spare_handles().is_err() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let Ok(mut signals) = Signals::new() else {
                return;
            };
            drop(ready);
            signals.next().await;
            stop.set();
            tracing::warn!("stopping after the current work; Ctrl-C again ends at once");
            signals.next().await;
            terminal.clear();
            system::exit_now(ExitStatus::Interrupted);
        });
    });
    // Returns when the sender is dropped: the thread listens, or it failed.
    let _ = listening.recv();
}

/// Opens as many file handles as tokio needs, and closes them: tokio panics if there are too few.
#[cfg(unix)]
fn spare_handles() -> std::io::Result<()> {
    let (one, other) = std::os::unix::net::UnixStream::pair()?;
    let copies = [&one, &other, &one].map(std::os::unix::net::UnixStream::try_clone);
    copies.into_iter().collect::<std::io::Result<Vec<_>>>()?;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
