//! Connection strings: URLs and `key=value` lists, into settings by name.
//!
//! The client library's own parser isn't used: it doesn't know `verify-full` and `sslrootcert`,
//! reads `tcp_user_timeout` in another unit than libpq, and its messages may quote a password.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use percent_encoding::percent_decode_str;

use super::error::AddressError;

/// Settings by libpq's names: `host`, `port`, `user`, `password`, `dbname`, `sslmode`, …
pub(super) type Settings = BTreeMap<String, String>;

/// Reads `postgres://…`, `postgresql://…` (also with a driver, as `postgresql+psycopg2://…`) or
/// `host=… dbname=…`.
pub(super) fn parse(text: &str) -> Result<Settings, AddressError> {
    let text = text.trim();
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let scheme = scheme.split('+').next().unwrap_or(scheme);
            if scheme != "postgres" && scheme != "postgresql" {
                return Err(AddressError::NotPostgres);
            }
            parse_url(rest)
        }
        None => parse_pairs(text),
    }
}

fn parse_url(rest: &str) -> Result<Settings, AddressError> {
    let mut settings = Settings::new();
    // A password may have an unencoded slash, question mark or at sign, so the last `@` ends the
    // user part, except an `@` inside a query. A `?` starts a query if an `@` or a slash is before
    // it, because a query follows a host.
    let query_at = rest.find('?').unwrap_or(rest.len());
    let is_query = rest[..query_at].contains(['@', '/']);
    let user_end = match is_query {
        true => rest[..query_at].rfind('@'),
        false => rest.rfind('@'),
    };
    let (user_part, rest) = match user_end {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    if let Some(user_part) = user_part {
        let (user, password) = match user_part.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_part, None),
        };
        insert_decoded(&mut settings, "user", user)?;
        if let Some(password) = password {
            insert_decoded(&mut settings, "password", password)?;
        }
    }
    let (hosts, dbname) = match rest.split_once('/') {
        Some((hosts, dbname)) => (hosts, dbname),
        None => (rest, ""),
    };
    insert_decoded(&mut settings, "dbname", dbname)?;
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
        let (name, port) = split_port(host)?;
        names.push(decode(name, "host")?);
        ports.push(port.to_owned());
    }
    if names.iter().any(|name| !name.is_empty()) {
        settings.insert("host".into(), names.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        settings.insert("port".into(), ports.join(","));
    }
    for pair in query.unwrap_or("").split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(AddressError::Query)?;
        let key = known_key(&decode(key, "query")?)?;
        if key == "ssl" {
            // As JDBC and Heroku write it.
            if value == "true" {
                settings.insert("sslmode".into(), "require".into());
            }
            continue;
        }
        let value = decode(value, &key)?;
        settings.insert(key, value);
    }
    Ok(settings)
}

/// `name`, `name:port`, `[::1]`, `[::1]:port`.
fn split_port(host: &str) -> Result<(&str, &str), AddressError> {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, after) = rest.split_once(']').ok_or(AddressError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((name, port)),
            None if after.is_empty() => Ok((name, "")),
            None => Err(AddressError::Host),
        };
    }
    Ok(host.split_once(':').unwrap_or((host, "")))
}

fn insert_decoded(settings: &mut Settings, key: &str, value: &str) -> Result<(), AddressError> {
    if !value.is_empty() {
        settings.insert(key.into(), decode(value, key)?);
    }
    Ok(())
}

fn decode(text: &str, what: &str) -> Result<String, AddressError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| AddressError::NotUtf8(what.to_owned()))
}

/// `key=value key='quoted \' value'`.
fn parse_pairs(text: &str) -> Result<Settings, AddressError> {
    let mut settings = Settings::new();
    let mut chars = text.chars().peekable();
    loop {
        skip_blanks(&mut chars);
        if chars.peek().is_none() {
            return Ok(settings);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        skip_blanks(&mut chars);
        if chars.next() != Some('=') {
            return Err(AddressError::Unreadable);
        }
        skip_blanks(&mut chars);
        let mut value = String::new();
        if chars.next_if_eq(&'\'').is_some() {
            loop {
                match chars.next() {
                    Some('\'') => break,
                    Some('\\') => value.extend(chars.next()),
                    Some(c) => value.push(c),
                    None => return Err(AddressError::Unreadable),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                if c == '\\' {
                    value.extend(chars.next());
                } else {
                    value.push(c);
                }
            }
        }
        settings.insert(known_key(&key)?, value);
    }
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

/// The key, if it is a known one. Messages don't quote an unknown key: it could be part of a
/// password.
fn known_key(key: &str) -> Result<String, AddressError> {
    const KNOWN: [&str; 25] = [
        "host",
        "hostaddr",
        "port",
        "user",
        "password",
        "dbname",
        "passfile",
        "options",
        "application_name",
        "fallback_application_name",
        "sslmode",
        "ssl",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslnegotiation",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "target_session_attrs",
        "channel_binding",
        "client_encoding",
    ];
    // libpq knows these, and they would change something.
    const UNSUPPORTED: [&str; 6] = [
        "service",
        "sslpassword",
        "sslcertmode",
        "require_auth",
        "requirepeer",
        "gsslib",
    ];
    // libpq knows these, and they change nothing here.
    const IGNORED: [&str; 7] = [
        "gssencmode",
        "krbsrvname",
        "sslcompression",
        "sslsni",
        "sslcrl",
        "load_balance_hosts",
        "pgbouncer",
    ];
    let key = match key {
        "user" | "username" => "user",
        "dbname" | "database" => "dbname",
        other => other,
    };
    if KNOWN.contains(&key) || IGNORED.contains(&key) {
        Ok(key.to_owned())
    } else if let Some(known) = UNSUPPORTED.into_iter().find(|known| *known == key) {
        Err(AddressError::Unsupported(known))
    } else if !key.is_empty()
        && key.len() <= 32
        && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    {
        Err(AddressError::UnknownKey)
    } else {
        Err(AddressError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut owned: Vec<_> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        owned.sort();
        owned
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("postgres://", &[]),
            (
                "postgresql://me:s3%40cret@db:5433/bars?sslmode=verify-full&sslrootcert=/ca%20x.pem",
                &[
                    ("user", "me"),
                    ("password", "s3@cret"),
                    ("host", "db"),
                    ("port", "5433"),
                    ("dbname", "bars"),
                    ("sslmode", "verify-full"),
                    ("sslrootcert", "/ca x.pem"),
                ],
            ),
            (
                "postgresql+psycopg2://me:p@ss/w@db/bars",
                &[
                    ("user", "me"),
                    ("password", "p@ss/w"),
                    ("host", "db"),
                    ("dbname", "bars"),
                ],
            ),
            (
                "postgres://me:hun?ter2@db:5433/bars?sslmode=disable",
                &[
                    ("user", "me"),
                    ("password", "hun?ter2"),
                    ("host", "db"),
                    ("port", "5433"),
                    ("dbname", "bars"),
                    ("sslmode", "disable"),
                ],
            ),
            (
                "postgres://me:12?3@db",
                &[("user", "me"), ("password", "12?3"), ("host", "db")],
            ),
            (
                "postgres://db/bars?user=me@corp",
                &[("host", "db"), ("dbname", "bars"), ("user", "me@corp")],
            ),
            (
                "postgres://me:x@db?application_name=a@b",
                &[
                    ("user", "me"),
                    ("password", "x"),
                    ("host", "db"),
                    ("application_name", "a@b"),
                ],
            ),
            (
                "postgres://%2Fvar%2Frun/bars",
                &[("host", "/var/run"), ("dbname", "bars")],
            ),
            (
                "postgres:///bars?host=/tmp&port=5555",
                &[("dbname", "bars"), ("host", "/tmp"), ("port", "5555")],
            ),
            ("postgres://[::1]:77/", &[("host", "::1"), ("port", "77")]),
            (
                "postgres://a:1,b,c:3/x",
                &[("host", "a,b,c"), ("port", "1,,3"), ("dbname", "x")],
            ),
            (
                "host=db password='a \\' b' user = me",
                &[("host", "db"), ("password", "a ' b"), ("user", "me")],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(pairs(text), owned(expected), "{text}");
        }
    }

    #[test]
    fn no_message_quotes_a_password() {
        for text in [
            "postgres//me:hunter2@db/bars",
            "postgres//me:hunter2@db/bars?sslmode=disable",
            "mysql://me:hunter2@db/bars",
            "postgres://me:hunter2@db/bars?hunter2",
            "postgres://me:hunter2@db/bars?HUNTER2=x",
            "password=hunter2 '",
            "hunter2 x",
            "password='hunter2",
            "postgres://me:hunter2%ff@db",
            "postgres://me@db/bars?hunter=2",
            "password=my hunter=2 dbname=bars",
            "service=hunter2",
        ] {
            let message = parse(text).unwrap_err().to_string().to_lowercase();
            assert!(!message.contains("hunter"), "{text}: {message}");
        }
    }
}
