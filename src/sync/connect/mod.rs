//! Reaching the server: what an address means, and one connection to it.
//!
//! An address comes from a URL or a `key=value` string, and what it leaves open from libpq's variables. **Nothing here
//! ever puts a password into a message**: whatever is shown is put together from host, port, user and database.

mod error;
mod parse;
mod passfile;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::error::{AddressError, ConnectError};
use self::parse::Settings;
pub use self::tls::SslMode;
use self::tls::TlsOptions;
use crate::secret::SecretUrl;

/// How long reaching the server may take where the address does not say.
const CONNECT_SECONDS_DEFAULT: u64 = 10;
/// After so long without an answer from the machine at the other end, sent data counts as lost.
const TCP_USER_TIMEOUT_SECONDS: u64 = 60;
/// Where servers put their sockets.
const SOCKET_DIRS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// Where to connect to, and how: everything but the connection.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: TlsOptions,
    connector: MakeRustlsConnect,
    timeout: Duration,
    label: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.label).finish()
    }
}

impl Address {
    /// The address of `url`, if there is one, with the gaps filled from libpq's variables (`PGHOST`, `PGPASSWORD`, …),
    /// which `variable` looks up.
    pub fn resolve(
        url: Option<&SecretUrl>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AddressError> {
        let mut settings = match url {
            Some(url) => parse::parse(url.expose())?,
            None => Settings::new(),
        };
        fill_from_variables(&mut settings, variable);
        let names_database = ["host", "hostaddr", "dbname", "user"]
            .iter()
            .any(|key| settings.contains_key(*key));
        if url.is_none() && !names_database {
            return Err(AddressError::Unnamed);
        }
        let home = variable("HOME").map(PathBuf::from);
        Self::from_settings(&settings, home.as_deref())
    }

    fn from_settings(settings: &Settings, home: Option<&Path>) -> Result<Self, AddressError> {
        let get = |key: &str| {
            settings
                .get(key)
                .map(String::as_str)
                .filter(|v| !v.is_empty())
        };
        let mut config = Config::new();
        let port = get("port").unwrap_or("5432");
        for one in port.split(',') {
            let one = if one.is_empty() { "5432" } else { one };
            config.port(one.parse().map_err(|_| AddressError::Value("port"))?);
        }
        let default_host = default_host(port);
        let host = get("host")
            .or_else(|| get("hostaddr"))
            .unwrap_or(&default_host);
        for one in host.split(',') {
            if !is_host(one) {
                return Err(AddressError::Value("host"));
            }
            config.host(if one.is_empty() { &default_host } else { one });
        }
        for one in get("hostaddr").into_iter().flat_map(|all| all.split(',')) {
            config.hostaddr(one.parse().map_err(|_| AddressError::Value("hostaddr"))?);
        }
        let user = get("user");
        if let Some(user) = user {
            config.user(user);
        }
        let dbname = get("dbname").or(user);
        if dbname.is_some_and(|name| name.contains("://") || name.contains("password=")) {
            // An address in the place of a name: the server would repeat it in its errors.
            return Err(AddressError::Value("dbname"));
        }
        if let Some(dbname) = dbname {
            config.dbname(dbname);
        }
        let passfile = get("passfile")
            .map(PathBuf::from)
            .or_else(|| home.map(|home| home.join(".pgpass")));
        if let Some(password) = get("password") {
            config.password(password);
        } else if let (Some(path), Some(user), Some(dbname)) = (passfile, user, dbname)
            && let Some(password) = passfile::password(&path, host, port, dbname, user)
        {
            config.password(password);
        }
        if let Some(options) = get("options") {
            config.options(options);
        }
        config.application_name(
            get("application_name")
                .or_else(|| get("fallback_application_name"))
                .unwrap_or("backfill"),
        );
        let number = |key: &'static str| -> Result<Option<u64>, AddressError> {
            get(key)
                .map(|text| text.parse().map_err(|_| AddressError::Value(key)))
                .transpose()
        };
        let seconds = number("connect_timeout")?.filter(|seconds| *seconds > 0);
        let timeout = Duration::from_secs(seconds.unwrap_or(CONNECT_SECONDS_DEFAULT));
        config.connect_timeout(timeout);
        let user_timeout = number("tcp_user_timeout")?.map(Duration::from_millis);
        config.tcp_user_timeout(
            user_timeout.unwrap_or(Duration::from_secs(TCP_USER_TIMEOUT_SECONDS)),
        );
        config.keepalives(number("keepalives")? != Some(0));
        config.keepalives_idle(Duration::from_secs(
            number("keepalives_idle")?.unwrap_or(30),
        ));
        let interval = number("keepalives_interval")?.unwrap_or(10);
        config.keepalives_interval(Duration::from_secs(interval));
        config.keepalives_retries(number("keepalives_count")?.unwrap_or(3) as u32);
        if let Some("read-write" | "primary") = get("target_session_attrs") {
            config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        }
        match get("channel_binding") {
            Some("require") => {
                config.channel_binding(tokio_postgres::config::ChannelBinding::Require);
            }
            Some("disable") => {
                config.channel_binding(tokio_postgres::config::ChannelBinding::Disable);
            }
            None | Some(_) => {}
        }
        let tls = tls_options(&config, &get)?;
        config.ssl_mode(match tls.mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                tokio_postgres::config::SslMode::Require
            }
        });
        Ok(Self {
            label: label(host, get("port"), user, dbname),
            connector: tls.connector()?,
            config,
            tls,
            timeout,
        })
    }

    /// Where it leads, without a password: `postgresql://me@db:5432/bars`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The mode of TLS.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        self.tls.mode
    }

    /// A connection. Its background task ends with the client.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        tokio::time::timeout(self.timeout, self.connect_unlimited())
            .await
            .map_err(|_| ConnectError::TimedOut {
                label: self.label.clone(),
                seconds: self.timeout.as_secs(),
            })?
    }

    async fn connect_unlimited(&self) -> Result<Client, ConnectError> {
        let failed = |source| ConnectError::Failed {
            label: self.label.clone(),
            source,
        };
        let client = if self.tls.mode == SslMode::Disable {
            let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(connection);
            client
        } else {
            let (client, connection) = self
                .config
                .connect(self.connector.clone())
                .await
                .map_err(failed)?;
            tokio::spawn(connection);
            client
        };
        // A client that vanishes without a word must not hold its locks for hours: the server looks after it, and ends
        // transactions that stand still. Whoever has no right to say so (a pooler) goes on without.
        let _ = client
            .batch_execute(
                "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; \
                 SET idle_in_transaction_session_timeout = '120s'",
            )
            .await;
        Ok(client)
    }
}

fn fill_from_variables(settings: &mut Settings, variable: &dyn Fn(&str) -> Option<String>) {
    const VARIABLES: [(&str, &str); 14] = [
        ("PGHOST", "host"),
        ("PGHOSTADDR", "hostaddr"),
        ("PGPORT", "port"),
        ("PGUSER", "user"),
        ("PGPASSWORD", "password"),
        ("PGPASSFILE", "passfile"),
        ("PGDATABASE", "dbname"),
        ("PGOPTIONS", "options"),
        ("PGAPPNAME", "application_name"),
        ("PGSSLMODE", "sslmode"),
        ("PGSSLROOTCERT", "sslrootcert"),
        ("PGSSLCERT", "sslcert"),
        ("PGSSLKEY", "sslkey"),
        ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ];
    for (name, key) in VARIABLES {
        // A host that was named is not to be sought at the variable's address.
        if settings.contains_key(key) || (key == "hostaddr" && settings.contains_key("host")) {
            continue;
        }
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            settings.insert(key.to_owned(), value);
        }
    }
    if !settings.contains_key("user")
        && let Some(user) = variable("USER").filter(|user| !user.is_empty())
        && !settings.is_empty()
    {
        settings.insert("user".to_owned(), user);
    }
}

fn tls_options<'a>(
    config: &Config,
    get: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<TlsOptions, AddressError> {
    let mut mode = get("sslmode").map(SslMode::parse).transpose()?;
    let root_cert = match get("sslrootcert") {
        Some("system") => {
            mode = Some(mode.unwrap_or(SslMode::VerifyFull));
            None
        }
        other => other.map(PathBuf::from),
    };
    let mut mode = mode.unwrap_or(SslMode::Prefer);
    let all_sockets = config
        .get_hosts()
        .iter()
        .all(|host| !matches!(host, Host::Tcp(_)));
    if all_sockets {
        // As libpq does: a socket of this machine needs no TLS, and servers offer none there.
        mode = SslMode::Disable;
    }
    Ok(TlsOptions {
        mode,
        root_cert,
        client_cert: get("sslcert")
            .zip(get("sslkey"))
            .map(|(cert, key)| (cert.into(), key.into())),
    })
}

/// The folder of a server's socket on this machine, else this machine by TCP.
fn default_host(port: &str) -> String {
    let port = port.split(',').next().unwrap_or(port);
    SOCKET_DIRS
        .into_iter()
        .find(|dir| Path::new(dir).join(format!(".s.PGSQL.{port}")).exists())
        .unwrap_or("localhost")
        .to_owned()
}

/// Whether this is a socket's folder, an IPv6 address, or a name without a character that no host's
/// name has: those show that a password was taken for a host.
fn is_host(text: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = text.split('%').next().unwrap_or(text);
    text.starts_with(['/', '@'])
        || text.chars().all(in_name)
        || address.parse::<std::net::Ipv6Addr>().is_ok()
}

fn label(host: &str, port: Option<&str>, user: Option<&str>, dbname: Option<&str>) -> String {
    let mut label = String::from("postgresql://");
    if let Some(user) = user {
        label.push_str(user);
        label.push('@');
    }
    label.push_str(host);
    if let Some(port) = port {
        label.push(':');
        label.push_str(port);
    }
    label.push('/');
    label.push_str(dbname.unwrap_or(""));
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, variables: &[(&str, &str)]) -> Result<Address, AddressError> {
        Address::resolve(url.map(SecretUrl::from).as_ref(), &|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_label_has_no_password() {
        let address = resolve(Some("postgres://me:hunter2@db:5433/bars"), &[]).unwrap();
        assert_eq!(address.label(), "postgresql://me@db:5433/bars");
        assert!(!format!("{address:?}").contains("hunter2"));
        let address = resolve(
            None,
            &[
                ("PGHOST", "db"),
                ("PGUSER", "me"),
                ("PGPASSWORD", "hunter2"),
            ],
        )
        .unwrap();
        assert_eq!(address.label(), "postgresql://me@db/me");
        assert_eq!(address.config.get_password(), Some(&b"hunter2"[..]));
    }

    #[test]
    fn what_was_taken_for_a_host_or_a_database_is_not_shown() {
        for (url, variables) in [
            (Some("postgres://me:47?hunter2@db/bars"), &[][..]),
            (Some("host=me:hunter2@db"), &[]),
            (None, &[("PGHOST", "me:hunter2@db")]),
            (None, &[("PGDATABASE", "postgres://me:hunter2@db/bars")]),
            (None, &[("PGDATABASE", "host=db password=hunter2")]),
            (Some("dbname='host=db password=hunter2'"), &[]),
        ] {
            match resolve(url, variables) {
                Ok(address) => assert_eq!(address.label(), "postgresql://me@db/bars"),
                Err(error) => assert!(!error.to_string().contains("hunter2"), "{error}"),
            }
        }
        for host in [
            "db",
            "a.b-c_d",
            "::1",
            "fe80::1%eth0",
            "/run/pg",
            "10.0.0.1",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in ["a@b", "a:b", "a b", "a/b", "a?b", "a=b"] {
            assert!(!is_host(host), "{host}");
        }
    }

    mod properties {
        use super::*;
        use crate::secret::tests::{holds_part, password};
        use proptest::prelude::*;

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2_000))]

            #[test]
            fn no_part_of_a_password_is_in_a_label_or_an_error(
                password in password(),
                form in 0..9_usize,
            ) {
                let encoded =
                    percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
                let typed = [
                    format!("postgres://me:{password}@db/bars"),
                    format!("postgres://me:{password}@db:5432/bars?sslmode=disable"),
                    format!("postgresql://me:{password}@db?application_name=a"),
                    format!("me:{password}@db/bars"),
                    format!("postgres//me:{password}@db/bars"),
                    format!("host=db user=me password={password} dbname=bars"),
                    format!("host=db password='{password}'"),
                    format!("postgres://me:{encoded}@db/bars"),
                    format!("postgres://db/bars?user=me&password={password}"),
                ];
                let typed = typed[form].as_str();
                let shown = match resolve(Some(typed), &[]) {
                    Ok(address) => format!("{} {address:?}", address.label()),
                    Err(error) => format!("{error} {error:?} {:?}", error.hint()),
                };
                prop_assert!(!holds_part(&shown), "{typed} -> {shown}");
            }
        }
    }

    #[test]
    fn variables_fill_what_a_url_leaves_open() {
        let address = resolve(
            Some("postgres:///bars"),
            &[("PGHOST", "/run/pg"), ("PGPORT", "5500"), ("PGUSER", "me")],
        )
        .unwrap();
        assert_eq!(address.label(), "postgresql://me@/run/pg:5500/bars");
        assert_eq!(address.ssl_mode(), SslMode::Disable);
        let other = resolve(
            Some("postgres://db2/bars"),
            &[("PGHOST", "db1"), ("PGHOSTADDR", "10.0.0.1")],
        )
        .unwrap();
        assert_eq!(other.label(), "postgresql://db2/bars");
        assert!(other.config.get_hostaddrs().is_empty());
    }

    #[test]
    fn without_a_name_there_is_no_address() {
        assert!(matches!(
            resolve(None, &[("USER", "me")]),
            Err(AddressError::Unnamed)
        ));
        assert!(matches!(
            resolve(Some("postgres://db?sslmode=maybe"), &[]),
            Err(AddressError::SslMode)
        ));
        assert!(matches!(
            resolve(
                Some("postgres://db?sslmode=verify-ca&sslrootcert=/none.pem"),
                &[]
            ),
            Err(AddressError::Pem { .. })
        ));
    }
}
