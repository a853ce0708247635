//! The HTTP side: one GET a window.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{DATE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::classify::{self, Judged};
use super::decode::{self, NotRows};
use crate::model::{Basis, Hours, Interval, Source};
use crate::provider::{ApiKey, Capabilities, Error, Page, Provider, Query, Reply, Zone};
use crate::secret::{SecretUrl, Secrets, is_plain, shown};

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
const SAID_BYTES: usize = 200;

/// How to reach the service.
#[derive(Clone, Debug)]
pub struct FmpOptions {
    /// The URL before `/historical-chart`.
    pub base_url: SecretUrl,
    /// The key.
    pub key: ApiKey,
    /// The name under which its bars are stored: `fmp`, or `demo` for the simulator.
    pub source: Source,
}

/// The client.
pub struct Fmp {
    base: Url,
    secrets: Secrets,
    header: HeaderValue,
    client: Client,
    capabilities: Capabilities,
}

impl Fmp {
    /// A client of the service at `options.base_url`. Sends nothing yet.
    pub fn new(options: FmpOptions) -> Result<Self, Error> {
        let base = base_url(&options.base_url)?;
        let mut header =
            HeaderValue::from_str(options.key.expose()).map_err(|_| Error::KeyCharacters)?;
        header.set_sensitive(true);
        Ok(Self {
            client: client(&base)?,
            secrets: secrets(options.key, &base),
            base,
            header,
            capabilities: capabilities(options.source),
        })
    }

    /// What one request to the service can bring, without a client for it.
    #[must_use]
    pub fn capabilities_of(source: Source) -> Capabilities {
        capabilities(source)
    }

    fn url(&self, query: &Query) -> Result<Url, Error> {
        let bad = |why| Error::BadQuery {
            window: query.to_string(),
            why,
        };
        let [ticker] = query.tickers.as_slice() else {
            return Err(bad("it takes one symbol a call"));
        };
        if query.dates.days() > i64::from(self.capabilities.window_days(query.interval)) {
            return Err(bad("the dates span more than one answer holds"));
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .push("historical-chart")
                .push(match query.interval {
                    Interval::M1 => "1min",
                    Interval::M5 => "5min",
                    Interval::M15 => "15min",
                    Interval::M30 => "30min",
                    Interval::M60 => "1hour",
                });
        }
        let mut pairs = url.query_pairs_mut();
        pairs
            .append_pair("symbol", ticker.as_str())
            .append_pair("from", &query.dates.first().to_string())
            .append_pair("to", &query.dates.last().to_string());
        if query.hours == Hours::Extended {
            pairs.append_pair("extended", "true");
        }
        if query.basis == Basis::Unadjusted {
            pairs.append_pair("nonadjusted", "true");
        }
        drop(pairs);
        Ok(url)
    }

    async fn get(&self, query: &Query) -> Result<Reply, Error> {
        let url = self.url(query)?;
        let shown = shown(&url);
        let start = Instant::now();
        let sent = (self.client.get(url))
            .header(HeaderName::from_static("apikey"), self.header.clone())
            .send()
            .await;
        let mut response = sent.map_err(|error| {
            tracing::debug!(
                "GET {shown} failed after {} ms",
                start.elapsed().as_millis()
            );
            transport(query, error)
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
        if status != 200 {
            // Whatever was read of an error's body is enough to judge it by.
            return Err(self.refusal(query, &response, &body));
        }
        match read {
            Ok(true) => Ok(Reply {
                origin: shown,
                body,
            }),
            Ok(false) => Err(Error::TooLong {
                window: query.to_string(),
                limit_bytes: limit,
            }),
            Err(error) => Err(transport(query, error)),
        }
    }

    fn refusal(&self, query: &Query, response: &Response, body: &[u8]) -> Error {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let retry_after =
            header(RETRY_AFTER).and_then(|value| classify::retry_after(value, header(DATE)));
        let message = classify::error_message(body);
        let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        classify::of_status(
            query,
            Judged {
                status: response.status().as_u16(),
                retry_after,
                text: &text,
                said: self.secrets.excerpt(text.as_bytes(), SAID_BYTES),
            },
        )
    }
}

impl Provider for Fmp {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>> {
        self.get(query).boxed()
    }

    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error> {
        let said = || self.secrets.excerpt(&reply.body, SAID_BYTES);
        match decode::rows(&reply.body, query, &reply.origin) {
            Ok(mut rows) => {
                for row in &mut rows.rejects {
                    row.reject.raw = self.secrets.redact(&row.reject.raw).into_owned();
                }
                let ticker = query.tickers[0].clone();
                Ok(Page {
                    series: vec![(ticker, rows)],
                    next: None,
                })
            }
            Err(NotRows::NotJson(source)) => Err(Error::NotJson {
                window: query.to_string(),
                said: said(),
                source,
            }),
            Err(NotRows::OtherJson) => Err(classify::error_message(&reply.body)
                .and_then(|text| {
                    let said = self.secrets.excerpt(text.as_bytes(), SAID_BYTES);
                    classify::of_message(&text, &said)
                })
                .unwrap_or_else(|| Error::NotBars {
                    window: query.to_string(),
                    said: said(),
                })),
        }
    }
}

/// What clients of the live service measured.
fn capabilities(source: Source) -> Capabilities {
    Capabilities {
        source,
        tickers_per_request: 1,
        window_days: [3, 6, 29, 28, 85],
        requests_per_minute: 300,
        basis: &[Basis::SplitAdjusted, Basis::Unadjusted],
        hours: &[Hours::Regular, Hours::Extended],
        zone: Zone::Exchange,
        settles_after: Duration::from_secs(300),
    }
}

/// The base address, where it can be read in one way alone.
fn base_url(typed: &SecretUrl) -> Result<Url, Error> {
    let bad = |why| Error::BaseUrl { why };
    let url = Url::parse(typed.expose().trim()).map_err(|_| bad("it cannot be read as a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it does not begin with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it ends before any ? or #"));
    }
    if !is_plain(&url) {
        return Err(bad("there is an @ in its path"));
    }
    Ok(url)
}

/// What a server could repeat: the key, and the password of the base address.
fn secrets(key: ApiKey, base: &Url) -> Secrets {
    let password = base.password().and_then(|password| {
        let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
        ApiKey::new(&decoded)
    });
    Secrets::of([key].into_iter().chain(password))
}

fn client(base: &Url) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("backfill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .read_timeout(Duration::from_secs(IDLE_SECONDS_MAX))
        .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
        // A redirect would carry the key to wherever it points; and each request is counted by us alone.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tls_backend_preconfigured(tls(base)?);
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    (builder.build()).map_err(|error| Error::Client(error.without_url()))
}

/// The ring provider, and the machine's own certificates. A plain http URL needs none, and loading them takes longer
/// than the rest of the program's start.
fn tls(base: &Url) -> Result<rustls::ClientConfig, Error> {
    let mut roots = rustls::RootCertStore::empty();
    if base.scheme() == "https" {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!("a certificate of this machine cannot be read: {error}");
        }
        roots.add_parsable_certificates(found.certs);
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// Reads a body up to `limit`; whether it ended there.
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

fn transport(query: &Query, error: reqwest::Error) -> Error {
    let window = query.to_string();
    let source = error.without_url();
    if is_about_certificate(&source) {
        Error::Certificate { window, source }
    } else if source.is_connect() {
        Error::Connect { window, source }
    } else if source.is_timeout() {
        Error::Timeout { window, source }
    } else {
        Error::Broken { window, source }
    }
}

/// Whether the server's certificate is why there is no connection.
fn is_about_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    // An I/O error hides the one that it was made from among its own causes.
    let inside = (error.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| is_about_certificate(inner));
    inside || error.source().is_some_and(is_about_certificate)
}
