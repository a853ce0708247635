//! The server: addresses, connections, the end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::api::{Api, router};
use super::guard::{self, Guard};
use super::source::{ServedStore, Source};
use super::token::Token;
use crate::model::Timestamp;
use crate::report::Stop;
use crate::store;

/// The most connections at once. More wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may take for the head of a request, and be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What to serve, and to whom.
pub struct Config {
    pub store: ServedStore,
    /// A second store, whose bars can be laid over those of the first.
    pub compared: Option<ServedStore>,
    /// The port; 0 for a free one.
    pub port: u16,
    /// Another address than the loopback ones, with the token of its users.
    pub listen: Option<(IpAddr, Token)>,
    /// More names of this server in `Host`.
    pub allow_hosts: Vec<String>,
    /// The time of day.
    pub clock: fn() -> Timestamp,
}

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't listen on {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("can't start the server: {0}")]
    Runtime(io::Error),
}

/// A server that listens.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listeners: Vec<TcpListener>,
    guard: Arc<Guard>,
    api: Arc<Api>,
    host: String,
}

impl Server {
    /// Opens the stores once, so that an error is shown now, and listens.
    pub fn start(config: Config) -> Result<Self, Error> {
        let source = Source::new(config.store);
        source.seen()?;
        let compared = config.compared.map(Source::new);
        compared.as_ref().map(Source::seen).transpose()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let (addresses, mut names, token) = match config.listen {
            Some((address, token)) => (vec![address], vec![guard::name_of(address)], Some(token)),
            None => (
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                guard::loopback_names(),
                None,
            ),
        };
        let host = names
            .iter()
            .find(|name| token.is_some() || *name == "127.0.0.1")
            .cloned()
            .unwrap_or_default();
        names.extend(config.allow_hosts);
        let mut port = config.port;
        let mut listeners = Vec::new();
        for (index, address) in addresses.into_iter().enumerate() {
            let address = SocketAddr::new(address, port);
            match runtime.block_on(TcpListener::bind(address)) {
                Ok(listener) => {
                    port = listener.local_addr().map_or(port, |bound| bound.port());
                    listeners.push(listener);
                }
                // A machine without IPv6.
                Err(_) if index > 0 => {}
                Err(source) => return Err(Error::Bind { address, source }),
            }
        }
        Ok(Self {
            runtime,
            listeners,
            guard: Arc::new(Guard::new(port, &names, token)),
            api: Arc::new(Api::new(source, compared, config.clock)),
            host: format!("{host}:{port}"),
        })
    }

    /// The URL that lets a browser in.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.host, self.guard.link())
    }

    /// Serves until `stop`.
    pub fn run(self, stop: &Stop) {
        let guard = Arc::clone(&self.guard);
        let app = router(self.api).layer(middleware::from_fn_with_state(guard, guard::check));
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for listener in self.listeners {
            let (app, connections) = (app.clone(), Arc::clone(&connections));
            self.runtime.spawn(async move {
                loop {
                    let Ok(turn) = Arc::clone(&connections).acquire_owned().await else {
                        return;
                    };
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            let app = app.clone();
                            tokio::spawn(async move {
                                serve(stream, app).await;
                                drop(turn);
                            });
                        }
                        // Too many open files, or a connection that was reset.
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            });
        }
        self.runtime.block_on(stop.wait());
        // A document that is being made isn't waited for.
        self.runtime.shutdown_background();
    }
}

async fn serve(stream: TcpStream, app: axum::Router) {
    let service = TowerToHyperService::new(app);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A client that sends garbage or goes away isn't an error of this server.
    let _ = connection.await;
}
