//! Wrappers around a provider, for tests: slower, failing, or recording.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Error, Page, Provider, ProviderInfo, Reply, Request};

/// Responds after `latency`.
pub(crate) struct Throttled<P> {
    pub(crate) inner: P,
    pub(crate) latency: Duration,
}

impl<P: Provider> Provider for Throttled<P> {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        async move {
            tokio::time::sleep(self.latency).await;
            self.inner.fetch(request).await
        }
        .boxed()
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        self.inner.parse(request, reply)
    }
}

/// Fails if `fault` returns an error; its first argument is the number of the call, from 0.
pub(crate) struct Faulty<P, F> {
    inner: P,
    fault: F,
    calls: AtomicUsize,
}

impl<P, F> Faulty<P, F>
where
    F: Fn(usize, &Request) -> Option<Error>,
{
    pub(crate) fn new(inner: P, fault: F) -> Self {
        Self {
            inner,
            fault,
            calls: AtomicUsize::new(0),
        }
    }
}

impl<P, F> Provider for Faulty<P, F>
where
    P: Provider,
    F: Fn(usize, &Request) -> Option<Error> + Send + Sync + 'static,
{
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match (self.fault)(call, request) {
            Some(error) => std::future::ready(Err(error)).boxed(),
            None => self.inner.fetch(request),
        }
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        self.inner.parse(request, reply)
    }
}

/// Remembers the requests.
pub(crate) struct Recording<P> {
    inner: P,
    requests: Mutex<Vec<Request>>,
}

impl<P> Recording<P> {
    pub(crate) fn new(inner: P) -> Self {
        Self {
            inner,
            requests: Mutex::new(Vec::new()),
        }
    }

    /// The requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl<P: Provider> Provider for Recording<P> {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.requests.lock().unwrap().push(request.clone());
        self.inner.fetch(request)
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        self.inner.parse(request, reply)
    }
}

impl<P: Provider> Provider for std::sync::Arc<P> {
    fn info(&self) -> &ProviderInfo {
        (**self).info()
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        (**self).fetch(request)
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        (**self).parse(request, reply)
    }
}
