//! Simulates providers: a real HTTP server on loopback.
//!
//! ```text
//! request ─> vendor (address, parameters) ─> app (key, quota, faults) ─> vendor ─> service (calendar, holes, forming) ─> market (pure)
//!                                                     ▲                                 ▲
//!                                                     └─────── world <── control (POST /simulator) ── tests
//! ```
//!
//! A folder per provider has its addresses, forms, errors and defects (`vendor::Vendor`);
//! everything else is shared. `--provider demo`, `backfill simulate` and every fetch test use it.
//! **Bars are a pure function of (seed, symbol, minute)**, whichever provider sends them, and faults of
//! (seed, request, repeat), so a failing run can be repeated.

mod alpaca;
mod app;
mod bar_file;
mod binance;
mod config;
mod control;
mod fault;
mod fault_kind;
mod fmp;
mod instrument;
mod market;
mod massive;
mod quota;
mod reply;
mod request_log;
mod row;
mod server;
mod service;
mod spoil;
#[cfg(feature = "crash-points")]
mod toy;
mod vendor;
mod vendors;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

pub use bar_file::BarFileError;
pub use config::{Clock, Config};
pub use fault::{BadFault, FaultRule, When};
pub use fault_kind::FaultKind;
pub use quota::{Limits, Tier, UnknownTier};
pub use request_log::{Counters, LogEntry};
pub use row::Row;
pub use service::Query;
pub use vendor::FAULT_HEADER;
pub use vendors::{SimulatedProvider, UnknownProvider};
pub use world::Change;

use app::{App, limits};
use bar_file::BarFile;
use market::Market;
use request_log::RequestLog;
use world::World;

/// Why a simulator can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or not allowed.
    #[error("can't listen on 127.0.0.1:{port}: {source}")]
    Bind {
        /// The requested port.
        port: u16,
        /// The system's error.
        source: std::io::Error,
    },
    /// No thread or event loop could be started.
    #[error("the simulator's threads could not be started: {0}")]
    Threads(std::io::Error),
    /// The file of bars to serve can't be read.
    #[error(transparent)]
    BarFile(#[from] BarFileError),
}

/// Starts simulators.
pub struct Simulator;

impl Simulator {
    /// Starts a simulator on its own threads. It responds until [`Running`] is dropped.
    pub fn start(config: Config, clock: Clock) -> Result<Running, Error> {
        let file = config.bars.as_deref().map(BarFile::read).transpose()?;
        let bind = |source| Error::Bind {
            port: config.port,
            source,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let vendor = config.provider.0;
        let plan = (config.tier, limits(vendor, config.tier));
        let world = World::new(config.faults, config.late_opening, plan, config.latency);
        let app = Arc::new(App {
            vendor,
            seed: config.seed,
            clock,
            started: Instant::now(),
            world: RwLock::new(world),
            market: Market::new(config.seed, file),
            keys: config.keys,
            log: Mutex::new(RequestLog::default()),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name("simulator")
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        let listener = {
            let _inside = runtime.enter();
            wire::BreakableListener(tokio::net::TcpListener::from_std(listener).map_err(bind)?)
        };
        let service =
            server::router(app.clone()).into_make_service_with_connect_info::<wire::Wire>();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = axum::serve(listener, service) => {}
                        _ = stopped => {}
                    }
                });
                // Stalled connections are cut.
                runtime.shutdown_background();
            })
            .map_err(Error::Threads)?;
        Ok(Running {
            address,
            handle: Handle(app),
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// A running simulator; dropping it ends it.
pub struct Running {
    address: SocketAddr,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The base URL for a client, instead of the provider's own.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "http://{}{}",
            self.address,
            self.handle.0.vendor.base_path()
        )
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Access to the simulated market.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends it; open connections are cut.
    pub fn shutdown(self) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Access to a running simulator from inside the program. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<App>);

impl Handle {
    /// Makes a change.
    pub fn apply(&self, change: Change) -> Result<(), BadFault> {
        self.0.apply(change)
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.log().counters.clone()
    }

    /// The logged requests, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.0.log().entries.iter().cloned().collect()
    }

    /// All bars that the service has for a query, ascending, even those that it would leave out.
    pub fn bars(&self, query: &Query) -> Result<Vec<Row>, crate::calendar::Error> {
        self.0.truth(query)
    }
}
