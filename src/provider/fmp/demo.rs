//! `--provider demo`: the same client, against a simulator that it starts.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::client::{self, Fmp};
use crate::model::Source;
use crate::provider::ProviderEntry;
use crate::provider::{
    Access, Credentials, Error, ErrorKind, Page, Provider, ProviderInfo, Reply, Request,
};
use crate::secret::Secret;
use crate::simulator::{Config, Running, Simulator};

/// The key sent to the simulator, which accepts any.
const KEY: &str = "backfill-demo-run";

/// The simulator. It needs no key.
pub const ENTRY: ProviderEntry = ProviderEntry {
    name: "demo",
    help: "the built-in simulator; its bars go to data/demo",
    hidden: false,
    keys: &[],
    base_url_env: None,
    feeds: &[],
    info,
    open: |access| Ok(Arc::new(Demo::start(access)?)),
};

/// What the service offers, without its rate limit: the simulator has none.
fn info() -> ProviderInfo {
    ProviderInfo {
        rate_default: None,
        ..client::info(Source::demo())
    }
}

struct Demo {
    client: Fmp,
    info: ProviderInfo,
    _simulator: Running,
}

impl Demo {
    fn start(access: Access) -> Result<Self, Error> {
        let simulator = Simulator::start(Config::default(), access.clock.clone())
            .map_err(|error| Error::new(ErrorKind::Client, error.to_string()))?;
        let access = Access {
            credentials: Credentials::new(Secret::new(KEY).into_iter().collect()),
            base_url: Some(simulator.url().into()),
            ..access
        };
        Ok(Self {
            client: Fmp::new(&access, Source::demo())?,
            info: info(),
            _simulator: simulator,
        })
    }
}

impl Provider for Demo {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.client.fetch(request)
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        self.client.parse(request, reply)
    }
}
