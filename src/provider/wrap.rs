//! Providers around a provider, for tests: slower, faultier, or watched.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Capabilities, Error, Page, Provider, Query, Reply};

/// Answers after `latency`.
pub(crate) struct Throttled<P> {
    pub(crate) inner: P,
    pub(crate) latency: Duration,
}

impl<P: Provider> Provider for Throttled<P> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>> {
        async move {
            tokio::time::sleep(self.latency).await;
            self.inner.ask(query).await
        }
        .boxed()
    }

    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error> {
        self.inner.read(query, reply)
    }
}

/// Fails where `fault` says so; `fault` sees which call it is, from 0.
pub(crate) struct Faulty<P, F> {
    inner: P,
    fault: F,
    calls: AtomicUsize,
}

impl<P, F> Faulty<P, F>
where
    F: Fn(usize, &Query) -> Option<Error>,
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
    F: Fn(usize, &Query) -> Option<Error> + Send + Sync + 'static,
{
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match (self.fault)(call, query) {
            Some(error) => std::future::ready(Err(error)).boxed(),
            None => self.inner.ask(query),
        }
    }

    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error> {
        self.inner.read(query, reply)
    }
}

/// Remembers what was asked.
pub(crate) struct Recording<P> {
    inner: P,
    asked: Mutex<Vec<Query>>,
}

impl<P> Recording<P> {
    pub(crate) fn new(inner: P) -> Self {
        Self {
            inner,
            asked: Mutex::new(Vec::new()),
        }
    }

    /// The questions so far, in the order in which they were asked.
    pub(crate) fn asked(&self) -> Vec<Query> {
        self.asked.lock().unwrap().clone()
    }
}

impl<P: Provider> Provider for Recording<P> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>> {
        self.asked.lock().unwrap().push(query.clone());
        self.inner.ask(query)
    }

    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error> {
        self.inner.read(query, reply)
    }
}

impl<P: Provider> Provider for std::sync::Arc<P> {
    fn capabilities(&self) -> &Capabilities {
        (**self).capabilities()
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>> {
        (**self).ask(query)
    }

    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error> {
        (**self).read(query, reply)
    }
}
