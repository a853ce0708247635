//! Reads addresses of databases, and connects to them.
//!
//! An address comes from a URL or a `key=value` string, and what it doesn't set comes from libpq's
//! variables. **No message here has a password in it**: messages are made of host, port, user and
//! database.

mod error;
mod hosts;
mod parse;
mod passfile;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::{CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::error::{AddressError, ConnectError};
use self::hosts::{Login, Server};
use self::parse::Settings;
pub use self::tls::SslMode;
use self::tls::TlsOptions;
use crate::secret::SecretUrl;

/// How long connecting may take if the address doesn't set it.
const CONNECT_SECONDS_DEFAULT: u64 = 10;
/// Sent data counts as lost after this time without a response from the other machine.
const TCP_USER_TIMEOUT_SECONDS: u64 = 60;

/// Where and how to connect.
#[derive(Clone)]
pub struct Address {
    servers: Vec<Server>,
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
    /// The address of `url`, if there is one. What it doesn't set comes from libpq's variables
    /// (`PGHOST`, `PGPASSWORD`, …), which `variable` looks up.
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
        let user = get("user");
        if let Some(user) = user {
            config.user(user);
        }
        let dbname = get("dbname").or(user);
        if dbname.is_some_and(|name| name.contains("://") || name.contains("password=")) {
            // An address instead of a name: the server would repeat it in its errors.
            return Err(AddressError::Value("dbname"));
        }
        if let Some(dbname) = dbname {
            config.dbname(dbname);
        }
        let passfile = get("passfile")
            .map(PathBuf::from)
            .or_else(|| home.map(|home| home.join(".pgpass")));
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
        let hosts = hosts::Hosts {
            host: get("host"),
            hostaddr: get("hostaddr"),
            port: get("port"),
        };
        let login = Login {
            user,
            dbname,
            password: get("password"),
            passfile: passfile.as_deref(),
        };
        let mut servers = hosts::servers(&config, &hosts, &login)?;
        let tls = TlsOptions::new(servers.iter().all(Server::is_socket), &get)?;
        for server in &mut servers {
            server.set_tls(tls.mode);
        }
        let names: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
        Ok(Self {
            label: label(&names.join(","), user, dbname),
            connector: tls.connector()?,
            servers,
            tls,
            timeout,
        })
    }

    /// The address without a password, for messages: `postgresql://me@db:5432/bars`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it names only sockets of this machine.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.servers.iter().all(Server::is_socket)
    }

    /// A connection to the first server that accepts one. Each has its own time limit, which
    /// includes TLS and the password.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        if let [server] = self.servers.as_slice() {
            return server
                .connect(&self.connector, self.timeout, &self.label)
                .await;
        }
        let mut each = Vec::new();
        for server in &self.servers {
            let connected = server.connect(&self.connector, self.timeout, &server.name);
            match connected.await {
                Ok(client) => return Ok(client),
                Err(error) => each.push(error),
            }
        }
        Err(ConnectError::None {
            label: self.label.clone(),
            each,
        })
    }

    /// Requests that the server cancel the current statement of a connection.
    pub(in crate::sync::postgres) async fn cancel(
        &self,
        token: &CancelToken,
    ) -> Result<(), tokio_postgres::Error> {
        if self.tls.mode == SslMode::Disable {
            token.cancel_query(NoTls).await
        } else {
            token.cancel_query(self.connector.clone()).await
        }
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
        // The variable's address isn't that of a host that the user named.
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

fn label(servers: &str, user: Option<&str>, dbname: Option<&str>) -> String {
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    format!("postgresql://{user}{servers}/{}", dbname.unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::hosts::is_host;
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
        assert_eq!(
            address.servers[0].config().get_password(),
            Some(&b"hunter2"[..])
        );
    }

    #[test]
    fn a_password_that_was_read_as_a_host_or_database_is_not_shown() {
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
        use crate::advice::Hint;
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
    fn variables_add_what_a_url_does_not_say() {
        let address = resolve(
            Some("postgres:///bars"),
            &[("PGHOST", "/run/pg"), ("PGPORT", "5500"), ("PGUSER", "me")],
        )
        .unwrap();
        assert_eq!(address.label(), "postgresql://me@/run/pg:5500/bars");
        assert_eq!(address.tls.mode, SslMode::Disable);
        let other = resolve(
            Some("postgres://db2/bars"),
            &[("PGHOST", "db1"), ("PGHOSTADDR", "10.0.0.1")],
        )
        .unwrap();
        assert_eq!(other.label(), "postgresql://db2/bars");
        assert!(other.servers[0].config().get_hostaddrs().is_empty());
    }

    #[test]
    fn an_address_needs_a_host_a_database_or_a_user() {
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
