//! What all jobs of one command share: the provider, its gate and quota, and the threads.

use std::sync::Arc;

use super::settings::Service;
use super::source::{self, Opened};
use crate::backfill::{Clock, Job, Spending, WindowFetcher};
use crate::calendar::Calendar;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::progress::RequestCount;
use crate::model::{Interval, Provenance};
use crate::provider::{Daily, Gate, GateOptions, RetryOptions, RetryingClient};
use crate::report::RunReport;
use crate::store::{Reader, Store};

/// How many requests a run keeps in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// One ticker at a time, one request at a time.
    One,
    /// At most this many requests, over as many tickers.
    Many(usize),
}

impl Concurrency {
    pub(super) fn requests(self) -> usize {
        match self {
            Self::One => 1,
            Self::Many(count) => count.max(1),
        }
    }
}

/// A provider that is in use by a command.
pub(super) struct FetchSession {
    client: RetryingClient,
    clock: Clock,
    fingerprint: String,
    include_forming: bool,
    pub concurrency: Concurrency,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FetchSession {
    /// Starts to use a provider. `left` is what is left of the day's quota, if there is one.
    pub(super) fn new(
        opened: Opened,
        service: &Service,
        concurrency: Concurrency,
        left: Option<u64>,
    ) -> Result<Self, CliError> {
        let clock = source::clock();
        let daily = service
            .daily_quota
            .zip(left)
            .map(|(quota, left)| Daily { quota, left });
        let gate = Gate::new(GateOptions {
            in_flight: concurrency.requests(),
            per_minute: service.rate,
            requests_max: service.max_requests,
            daily,
            quota_after: opened.provider.info().limit_lasts,
            ..GateOptions::default()
        });
        let client = RetryingClient::new(opened.provider, Arc::new(gate), RetryOptions::default());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // Two responses are parsed at a time. More threads would each keep their own memory.
            .max_blocking_threads(2)
            .thread_name("fetch")
            .enable_all()
            .build()
            .map_err(|error| CliError::failed(format!("no threads to fetch with: {error}")))?;
        Ok(Self {
            client,
            clock,
            fingerprint: opened.fingerprint,
            include_forming: service.include_forming,
            concurrency,
            runtime: Some(runtime),
        })
    }

    /// Fetches bars of one kind.
    pub(super) fn fetcher(
        &self,
        calendar: Calendar,
        interval: Interval,
        provenance: &Provenance,
    ) -> WindowFetcher {
        WindowFetcher {
            client: self.client.clone(),
            calendar,
            interval,
            basis: provenance.basis,
            hours: provenance.hours,
            include_forming: self.include_forming,
            clock: self.clock.clone(),
        }
    }

    /// Counts the requests sent so far.
    pub(super) fn request_count(&self) -> RequestCount {
        let gate = Arc::clone(self.client.gate());
        Box::new(move || gate.sent())
    }

    /// Records the requests of the next job.
    pub(super) fn spending(&self, store: &Arc<Store>) -> Spending {
        let sent = self.client.gate().sent();
        Spending::new(
            store.clone(),
            self.fingerprint.clone(),
            self.clock.clone(),
            sent,
        )
    }

    /// Runs a job.
    pub(super) fn run(&self, context: &Context, job: Job) -> RunReport {
        let stop = context.stop();
        match &self.runtime {
            Some(runtime) => runtime.block_on(job.run(&stop)),
            None => RunReport::default(),
        }
    }
}

impl Drop for FetchSession {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Responses that are still being parsed are not waited for.
            runtime.shutdown_background();
        }
    }
}

/// What is left of the day's quota, if there is one. Requests are counted under the key's
/// fingerprint.
pub(super) fn quota_left(
    context: &Context,
    service: &Service,
    known: Option<&Reader>,
) -> Result<Option<u64>, CliError> {
    let Some(quota) = service.daily_quota else {
        return Ok(None);
    };
    let spent = match known.zip(service.provider.fingerprint(context)) {
        Some((reader, fingerprint)) => {
            reader.requests_spent(&fingerprint, context.now().to_utc().date_naive())?
        }
        None => 0,
    };
    Ok(Some(quota.saturating_sub(spent)))
}
