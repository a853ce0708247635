//! The servers of an address, tried one after the other, each with its own time limit.
//!
//! The client library's limit covers only the TCP connection: without this, a server that accepts
//! the connection and stays silent would keep the others from being tried.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_postgres::config::{self, Host};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{AddressError, ConnectError};
use super::passfile;
use super::tls::SslMode;

/// Folders where servers create their sockets.
const SOCKET_DIRS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];
const PORT_DEFAULT: u16 = 5432;

/// Hosts as the user wrote them: lists with commas.
pub(super) struct Hosts<'a> {
    pub host: Option<&'a str>,
    pub hostaddr: Option<&'a str>,
    pub port: Option<&'a str>,
}

/// The user, the database, and the password or the file that has it.
pub(super) struct Login<'a> {
    pub user: Option<&'a str>,
    pub dbname: Option<&'a str>,
    pub password: Option<&'a str>,
    pub passfile: Option<&'a Path>,
}

/// One server.
#[derive(Clone)]
pub(super) struct Server {
    /// Host and port for messages; without a port if the user named none.
    pub name: String,
    config: Config,
}

/// The servers of `hosts`, each with the settings of `common`.
pub(super) fn servers(
    common: &Config,
    hosts: &Hosts<'_>,
    login: &Login<'_>,
) -> Result<Vec<Server>, AddressError> {
    let list = |text: Option<&str>| -> Vec<String> {
        text.map_or_else(Vec::new, |text| {
            text.split(',').map(str::to_owned).collect()
        })
    };
    let (ports, addrs) = (list(hosts.port), list(hosts.hostaddr));
    let mut names = list(hosts.host.or(hosts.hostaddr));
    if names.is_empty() {
        names.push(String::new());
    }
    if ports.len() > 1 && ports.len() != names.len() {
        return Err(AddressError::Value("port"));
    }
    if !addrs.is_empty() && addrs.len() != names.len() {
        return Err(AddressError::Value("hostaddr"));
    }
    let mut servers = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let written = ports.get(index).or(ports.first());
        let written = written.map(String::as_str).filter(|port| !port.is_empty());
        let port = match written {
            Some(port) => port.parse().map_err(|_| AddressError::Value("port"))?,
            None => PORT_DEFAULT,
        };
        let host = if name.is_empty() {
            default_host(port)
        } else if !is_host(name) {
            return Err(AddressError::Value("host"));
        } else {
            name
        };
        let mut config = common.clone();
        config.host(host).port(port);
        if let Some(addr) = addrs.get(index) {
            config.hostaddr(addr.parse().map_err(|_| AddressError::Value("hostaddr"))?);
        }
        if let Some(password) = login.password {
            config.password(password);
        } else if let (Some(path), Some(user), Some(dbname)) =
            (login.passfile, login.user, login.dbname)
            && let Some(password) = passfile::password(path, host, &port.to_string(), dbname, user)
        {
            config.password(password);
        }
        let shown = if host.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        servers.push(Server {
            name: written.map_or_else(|| shown.clone(), |port| format!("{shown}:{port}")),
            config,
        });
    }
    Ok(servers)
}

/// The folder of a server's socket on this machine, or this machine by TCP if there is none.
fn default_host(port: u16) -> &'static str {
    SOCKET_DIRS
        .into_iter()
        .find(|dir| Path::new(dir).join(format!(".s.PGSQL.{port}")).exists())
        .unwrap_or("localhost")
}

/// Whether this is a socket's folder, an IPv6 address, or a name without characters that host
/// names don't have: those mean that a part of a password was read as a host.
pub(super) fn is_host(text: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = text.split('%').next().unwrap_or(text);
    text.starts_with(['/', '@'])
        || text.chars().all(in_name)
        || address.parse::<std::net::Ipv6Addr>().is_ok()
}

impl Server {
    /// Whether it is reached through a socket of this machine.
    pub(super) fn is_socket(&self) -> bool {
        !matches!(self.config.get_hosts(), [Host::Tcp(_)])
    }

    /// Sets how its connections are protected. As in libpq, a socket of this machine needs no TLS.
    pub(super) fn set_tls(&mut self, mode: SslMode) {
        self.config.ssl_mode(match mode {
            _ if self.is_socket() => config::SslMode::Disable,
            SslMode::Disable => config::SslMode::Disable,
            SslMode::Prefer => config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => config::SslMode::Require,
        });
    }

    /// The configuration for the client library.
    #[cfg(test)]
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// A connection to the first of its addresses that accepts one within `limit`. Its background
    /// task ends with the client.
    pub(super) async fn connect(
        &self,
        connector: &MakeRustlsConnect,
        limit: Duration,
        label: &str,
    ) -> Result<Client, ConnectError> {
        let mut last = None;
        for address in self.addresses(limit, label).await? {
            let mut config = self.config.clone();
            if let Some(address) = address {
                config.hostaddr(address);
            }
            match timeout(limit, connect(&config, connector)).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(cause)) => {
                    last = Some(ConnectError::Failed {
                        label: label.to_owned(),
                        cause,
                    });
                }
                Err(_) => last = Some(timed_out(limit, label)),
            }
        }
        Err(last.unwrap_or_else(|| ConnectError::Unresolved {
            label: label.to_owned(),
            why: "it has no address".to_owned(),
        }))
    }

    /// The addresses of its name; `None` for a server that needs no look-up.
    async fn addresses(
        &self,
        limit: Duration,
        label: &str,
    ) -> Result<Vec<Option<IpAddr>>, ConnectError> {
        let (Some(Host::Tcp(name)), []) =
            (self.config.get_hosts().first(), self.config.get_hostaddrs())
        else {
            return Ok(vec![None]);
        };
        let found = timeout(limit, lookup_host((name.as_str(), 0)))
            .await
            .map_err(|_| timed_out(limit, label))?
            .map_err(|error| ConnectError::Unresolved {
                label: label.to_owned(),
                why: error.to_string(),
            })?;
        Ok(found.map(|address| Some(address.ip())).collect())
    }
}

fn timed_out(limit: Duration, label: &str) -> ConnectError {
    ConnectError::TimedOut {
        label: label.to_owned(),
        seconds: limit.as_secs(),
    }
}

async fn connect(
    config: &Config,
    connector: &MakeRustlsConnect,
) -> Result<Client, tokio_postgres::Error> {
    if config.get_ssl_mode() == config::SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let (client, connection) = config.connect(connector.clone()).await?;
    tokio::spawn(connection);
    Ok(client)
}
