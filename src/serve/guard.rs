//! What is refused before anything is read: other hosts, other methods, requests without the
//! cookie. And the headers of every response.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::token::Token;
use crate::advice::Advice;

const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Who may read.
pub(super) struct Guard {
    /// The values of `Host` that are this server's.
    hosts: Vec<String>,
    /// The token of the link, until it is used; a token of a file stays.
    link: Mutex<Option<Token>>,
    is_reusable: bool,
    cookie_name: String,
    cookie: Token,
}

impl Guard {
    /// A guard of the server at `port`. `token` is from a file; without one the link works once.
    pub fn new(port: u16, names: &[String], token: Option<Token>) -> Self {
        Self {
            hosts: names
                .iter()
                .flat_map(|name| {
                    let name = name.to_ascii_lowercase();
                    let without_port = (port == 80).then(|| name.clone());
                    std::iter::once(format!("{name}:{port}")).chain(without_port)
                })
                .collect(),
            is_reusable: token.is_some(),
            link: Mutex::new(Some(token.unwrap_or_else(Token::random))),
            cookie_name: format!("backfill-{port}"),
            cookie: Token::random(),
        }
    }

    /// What follows the address in the printed URL.
    pub fn link(&self) -> String {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let word = link.as_ref().map_or("", Token::word);
        format!("/?token={word}")
    }

    fn is_mine(&self, headers: &HeaderMap, authority: Option<&str>) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let known = |host: &str| self.hosts.contains(&host.to_ascii_lowercase());
        // One Host, and in a request to a proxy the same one.
        hosts.next().is_none() && host.is_some_and(known) && authority.is_none_or(known)
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        (cookies.flat_map(|cookies| cookies.split(';')))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == self.cookie_name && self.cookie.is(value))
    }

    /// Uses up the token of the link.
    fn admit(&self, word: &str) -> bool {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let is_valid = link.as_ref().is_some_and(|token| token.is(word));
        if is_valid && !self.is_reusable {
            *link = None;
        }
        is_valid
    }

    /// The response to the printed URL: a page that sets the cookie and continues to the page
    /// itself. A redirect would not do: a browser that came from another site would not send a
    /// strict cookie with it.
    fn entry(&self, word: &str, headers: &HeaderMap) -> Response {
        let continues = "<!doctype html><link rel=\"icon\" href=\"data:,\"><meta http-equiv=\"refresh\" content=\"0;url=/\"><title>backfill</title><a href=\"/\">continue</a>";
        if self.has_cookie(headers) {
            return html(StatusCode::OK, continues);
        }
        if !self.admit(word) {
            return html(
                StatusCode::UNAUTHORIZED,
                "<!doctype html><title>backfill</title>This link doesn't let you in: it works once. Start <code>backfill serve</code> again for a new one.",
            );
        }
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict",
            self.cookie_name,
            self.cookie.word()
        );
        let mut response = html(StatusCode::OK, continues);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Host names of the loopback interface.
pub(super) fn loopback_names() -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]"]
        .map(str::to_owned)
        .into()
}

/// The name of an address in `Host`.
pub(super) fn name_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn html(status: StatusCode, text: &'static str) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, kind, text).into_response()
}

/// An error as JSON: what the page shows.
pub(super) fn refusal(status: StatusCode, error: &str) -> Response {
    let body = json!({"error": error}).to_string();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body).into_response()
}

/// Checks a request, and sets the headers of its response.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let authority = request
        .uri()
        .authority()
        .map(axum::http::uri::Authority::as_str);
    let path = request.uri().path();
    let token = request.uri().query().and_then(|query| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| *name == "token")
            .map(|(_, word)| word.to_owned())
            .next()
    });
    let is_data = path.starts_with("/api/");
    let mut response = if !guard.is_mine(request.headers(), authority) {
        let why = format!("this host name isn't allowed; {}", Advice::AllowHost);
        refusal(StatusCode::MISDIRECTED_REQUEST, &why)
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "the server is read-only");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        response
    } else if let (Some(token), "/") = (token, path) {
        guard.entry(&token, request.headers())
    } else if is_data && !guard.has_cookie(request.headers()) {
        refusal(
            StatusCode::UNAUTHORIZED,
            &Advice::OpenPrintedLink.to_string(),
        )
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
