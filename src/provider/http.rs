//! The HTTP client that providers share: one GET and its whole response. It shows no secret.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::credentials::Credentials;
use super::error::{Error, ErrorKind};
use super::request::{PageToken, Reply, Request};
use crate::secret::{Secret, SecretUrl, Secrets, is_plain, shown};

/// How long to wait for a connection.
const CONNECT_SECONDS_MAX: u64 = 10;
/// How long the server may send nothing.
const IDLE_SECONDS_MAX: u64 = 15;
/// How long one request may take in all.
const REQUEST_SECONDS_MAX: u64 = 120;
/// The longest body that is read. A full window is well under a megabyte.
const BODY_BYTES_MAX: usize = 64 << 20;
/// How much of an error's body is read.
const ERROR_BODY_BYTES_MAX: usize = 64 << 10;
/// How much of a body DEBUG shows.
const DEBUG_BODY_BYTES: usize = 500;
/// How much of a body a message shows.
const DETAIL_BYTES: usize = 200;

/// The client of one provider.
pub(super) struct Http {
    base: Url,
    secrets: Secrets,
    client: Client,
}

/// A response of any status.
pub(super) struct HttpResponse {
    pub(super) status: u16,
    /// The wait that the server named.
    pub(super) retry_after: Option<Duration>,
    pub(super) headers: HeaderMap,
    pub(super) reply: Reply,
}

impl Http {
    /// A client of the server at `base_url`. The key's parts, and a password in the URL, are never
    /// shown.
    pub(super) fn new(base_url: &SecretUrl, credentials: &Credentials) -> Result<Self, Error> {
        let base = checked(base_url)?;
        Ok(Self {
            client: client(&base)?,
            secrets: secrets(credentials, &base),
            base,
        })
    }

    /// The URL of `segments` below the base URL.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The address of a further page that a server named: path and query of `typed`, if that is on
    /// the server of the base URL and below `segments`. Any other would get the key.
    pub(super) fn page(&self, typed: &str, segments: &[&str]) -> Option<String> {
        let url = Url::parse(typed).ok()?;
        let is_same = url.scheme() == self.base.scheme()
            && url.host() == self.base.host()
            && url.port_or_known_default() == self.base.port_or_known_default();
        let is_below = url.path().starts_with(self.url(segments).path());
        let query = url
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        (is_same && is_below).then(|| format!("{}{query}", url.path()))
    }

    /// The URL of a [`page`](Self::page).
    pub(super) fn url_of_page(&self, page: &str) -> Url {
        let (path, query) = page
            .split_once('?')
            .map_or((page, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// `text` without secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        self.secrets.redact(text).into_owned()
    }

    /// The start of a body, short and without secrets, for a message.
    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        self.secrets.excerpt(body, DETAIL_BYTES)
    }

    /// What is shown of a request's URL. If the server wrote the query of a further page, it may
    /// contain anything.
    fn shown(&self, request: &Request, url: &Url) -> String {
        let mut url = url.clone();
        let is_of_server = |PageToken(page): &PageToken| url == self.url_of_page(page);
        if request.page.as_ref().is_some_and(is_of_server) {
            url.set_query(Some("further-page"));
        }
        self.redact(&shown(&url))
    }

    /// Sends a GET and reads its response. Only the start of a response other than 200 is read.
    pub(super) async fn get(
        &self,
        request: &Request,
        url: Url,
        headers: HeaderMap,
    ) -> Result<HttpResponse, Error> {
        let shown = self.shown(request, &url);
        let start = Instant::now();
        let sent = self.client.get(url).headers(headers).send().await;
        let mut response = sent.map_err(|error| {
            tracing::debug!(
                "GET {shown} failed after {} ms",
                start.elapsed().as_millis()
            );
            self.transport(request, error)
        })?;
        let status = response.status().as_u16();
        let limit = if status == 200 {
            BODY_BYTES_MAX
        } else {
            ERROR_BODY_BYTES_MAX
        };
        let mut body = Vec::new();
        let read = read_body(&mut response, &mut body, limit).await;
        tracing::debug!(
            "GET {shown} status={status} bytes={} ms={}{} body: {}",
            body.len(),
            start.elapsed().as_millis(),
            if read.is_err() { " (broke off)" } else { "" },
            self.secrets.excerpt(&body, DEBUG_BODY_BYTES),
        );
        if response.status().is_redirection() {
            return Err(self.redirect(&response));
        }
        match read {
            Err(error) if status == 200 => return Err(self.transport(request, error)),
            Ok(false) if status == 200 => {
                let why = format!("the response is longer than {limit} bytes");
                return Err(Error::new(ErrorKind::Unexpected, why).in_window(request));
            }
            _ => {}
        }
        Ok(HttpResponse {
            status,
            retry_after: retry_after(&response),
            headers: std::mem::take(response.headers_mut()),
            reply: Reply {
                origin: shown,
                body,
                page: None,
            },
        })
    }
}

impl Http {
    /// The error of a request without a whole response.
    fn transport(&self, request: &Request, error: reqwest::Error) -> Error {
        let source = error.without_url();
        let (kind, message) = if is_about_certificate(&source) {
            let message = "the certificate of the provider's server is not trusted";
            (ErrorKind::Certificate, message)
        } else if is_refused(&source) {
            // The same for every request, so it names the server and not the request.
            let message = format!("no connection to the provider at {}", self.server());
            return Error::new(ErrorKind::Refused, message).with_source(source);
        } else if source.is_connect() {
            (ErrorKind::Connect, "no connection to the provider")
        } else if source.is_timeout() {
            (ErrorKind::Transient, "the provider took too long")
        } else {
            (ErrorKind::Transient, "the response broke off")
        };
        Error::new(kind, message)
            .in_window(request)
            .with_source(source)
    }

    /// The error of a redirect. It is the same for every request, and none follows it.
    fn redirect(&self, response: &Response) -> Error {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|url| response.url().join(url.to_str().ok()?).ok());
        let to = location.map_or_else(String::new, |url| {
            format!(" to {}://{}", url.scheme(), host_and_port(&url))
        });
        let status = response.status().as_u16();
        let from = self.server();
        let message = format!("the provider's server {from} redirects{to} (status {status})");
        Error::new(ErrorKind::BaseUrl, self.redact(&message))
            .with_hint("set the base URL to the address that the provider documents")
    }

    /// Host and port of the base URL.
    fn server(&self) -> String {
        host_and_port(&self.base)
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default();
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A header whose value is never shown.
pub(super) fn secret_header(secret: &Secret) -> Result<HeaderValue, Error> {
    hidden_header(secret.expose())
}

/// The value of `Authorization` for a key, never shown.
pub(super) fn bearer_header(secret: &Secret) -> Result<HeaderValue, Error> {
    hidden_header(&format!("Bearer {}", secret.expose()))
}

fn hidden_header(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let why = "the key contains a character that isn't allowed in an HTTP header";
        Error::new(ErrorKind::Key, why)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The base URL, if it can be read in one way only.
fn checked(typed: &SecretUrl) -> Result<Url, Error> {
    // The URL itself may hold a password that can't be found in it.
    let bad = |why: &str| {
        let message = format!("the base URL of the provider can't be used: {why}");
        Error::new(ErrorKind::BaseUrl, message)
    };
    let url = Url::parse(typed.expose().trim()).map_err(|_| bad("it can't be read as a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it does not begin with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must end before any ? or #"));
    }
    if !is_plain(&url) {
        return Err(bad("there is an @ in its path"));
    }
    Ok(url)
}

/// What a server could send back: the key, and the password of the base URL.
fn secrets(credentials: &Credentials, base: &Url) -> Secrets {
    let password = base.password().and_then(|password| {
        let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
        Secret::new(&decoded)
    });
    Secrets::of(credentials.parts().iter().cloned().chain(password))
}

fn client(base: &Url) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("backfill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .read_timeout(Duration::from_secs(IDLE_SECONDS_MAX))
        .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
        // A redirect would carry the key elsewhere, and the gate counts each request.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tls_backend_preconfigured(tls(base)?);
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Client, "the HTTP client could not be set up")
            .with_source(error.without_url())
    })
}

/// TLS by the library `ring`, with the machine's own certificates. A plain http URL needs none, and
/// loading them is slower than the rest of the program's start.
fn tls(base: &Url) -> Result<rustls::ClientConfig, Error> {
    let mut roots = rustls::RootCertStore::empty();
    if base.scheme() == "https" {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!("a certificate of this machine can't be read: {error}");
        }
        roots.add_parsable_certificates(found.certs);
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::new(ErrorKind::Client, "TLS could not be set up").with_source(error)
        })?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// Reads a body up to `limit`, and returns whether it ended there.
async fn read_body(
    response: &mut Response,
    body: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, reqwest::Error> {
    if let Some(length) = response.content_length() {
        body.reserve(usize::try_from(length).unwrap_or(limit).min(limit));
    }
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(false);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(true)
}

/// Whether the connection failed because of the server's certificate.
fn is_about_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    // An I/O error hides the error inside it from its own causes.
    let inside = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| is_about_certificate(inner));
    inside || error.source().is_some_and(is_about_certificate)
}

/// Whether the server's machine, or that of a proxy, refused the connection.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_refused = (error.downcast_ref::<std::io::Error>())
        .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    is_refused || error.source().is_some_and(self::is_refused)
}

/// The wait that `Retry-After` names: seconds, or an instant by the server's own clock in `Date`.
fn retry_after(response: &Response) -> Option<Duration> {
    let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
    wait_of(header(RETRY_AFTER)?, header(DATE))
}

fn wait_of(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let now = chrono::DateTime::parse_from_rfc2822(date?.trim()).ok()?;
    Some((at - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Some("Thu, 02 Jan 2025 14:30:00 GMT");
        assert_eq!(wait_of(" 7 ", now), Some(Duration::from_secs(7)));
        let date = "Thu, 02 Jan 2025 14:30:09 GMT";
        assert_eq!(wait_of(date, now), Some(Duration::from_secs(9)));
        let past = "Thu, 02 Jan 2025 14:29:00 GMT";
        assert_eq!(wait_of(past, now), Some(Duration::ZERO));
        assert_eq!(wait_of("soon", now), None);
        assert_eq!(wait_of(date, None), None);
    }
}
