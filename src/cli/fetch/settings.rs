//! The options after defaults are filled in and contradictions are refused.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::NaiveDate;

use super::args::{FetchArgs, ServiceArgs};
use super::source::ProviderChoice;
use super::tickers;
use crate::backfill::{RequestLimits, Since, shard};
use crate::calendar::{Calendar, Overrides, foreign_suffix};
use crate::cli::error::CliError;
use crate::cli::seal_after::SealArgs;
use crate::cli::sync_after::SyncAfterArgs;
use crate::export::OutputFile;
use crate::gaps::RequestKind;
use crate::model::{Basis, DateRange, Hours, Interval, OnConflict, Provenance, Ticker, Timestamp};
use crate::provider::ProviderInfo;
use crate::report::ExitStatus;
use crate::secret::SecretUrl;

/// The sessions of each ticker that have stored bars, in order.
pub(super) type Staged = HashMap<Ticker, Vec<NaiveDate>>;

/// The provider, the kind of bars, and how many requests.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Service {
    pub provider: ProviderChoice,
    pub info: ProviderInfo,
    pub provider_url: Option<SecretUrl>,
    pub extended_hours: bool,
    pub unadjusted: bool,
    pub include_forming: bool,
    /// Requests a minute; `None` for no limit.
    pub rate: Option<NonZeroU32>,
    pub max_requests: Option<u64>,
    pub daily_quota: Option<u64>,
}

impl Service {
    /// Fills in the defaults; an error (code 2) if the options contradict each other.
    pub(in crate::cli) fn resolve(args: ServiceArgs) -> Result<Self, CliError> {
        let name = args.provider.name();
        if args.provider_url.is_some() && !args.provider.takes_url() {
            return Err(CliError::usage(format!(
                "--provider {name} starts its own server and has no --provider-url"
            ))
            .hint("name the provider of that server with --provider"));
        }
        let provider = args.provider.with_feed(args.feed.as_deref())?;
        let info = provider.info();
        if args.extended_hours && !info.hours.contains(&Hours::Extended) {
            return Err(CliError::usage(format!(
                "--provider {name} has no bars outside the session"
            ))
            .hint("leave out --extended-hours"));
        }
        Ok(Self {
            provider,
            provider_url: args.provider_url,
            extended_hours: args.extended_hours,
            unadjusted: args.unadjusted,
            include_forming: args.include_forming,
            rate: args.rate.or(info.rate_default),
            info,
            max_requests: args.max_requests.map(Into::into),
            daily_quota: args.daily_quota.map(Into::into),
        })
    }

    pub(in crate::cli) fn is_demo(&self) -> bool {
        self.provider.is_demo()
    }

    pub(super) fn basis(&self) -> Basis {
        match self.unadjusted {
            true => Basis::Unadjusted,
            // The usual one comes first.
            false => self.info.basis.first().copied().unwrap_or(Basis::Unknown),
        }
    }

    pub(super) fn hours(&self) -> Hours {
        match self.extended_hours {
            true => Hours::Extended,
            false => Hours::Regular,
        }
    }

    /// The limits of a fill's requests of one kind.
    pub(super) fn limits_of(&self, kind: &RequestKind) -> Result<RequestLimits, CliError> {
        self.limits(kind.interval, kind.provenance.basis, kind.provenance.hours)
    }

    /// The limits of requests for such bars; an error (code 2) if the provider doesn't have them.
    pub(super) fn limits(
        &self,
        interval: Interval,
        basis: Basis,
        hours: Hours,
    ) -> Result<RequestLimits, CliError> {
        let name = self.provider.name();
        let minutes = interval.minutes();
        if self.info.window_days(interval).is_none() {
            let offered: Vec<String> = (Interval::ALL.into_iter())
                .filter(|interval| self.info.window_days(*interval).is_some())
                .map(|interval| interval.minutes().to_string())
                .collect();
            let error = CliError::usage(format!("--provider {name} has no {minutes}-minute bars"));
            return Err(error.hint(format!("it has bars of {} minutes", offered.join(", "))));
        }
        if !self.info.basis.contains(&basis) {
            let offered: Vec<String> = self.info.basis.iter().map(ToString::to_string).collect();
            let error = CliError::usage(format!("--provider {name} has no {basis} prices"));
            return Err(error.hint(format!("it has {} prices", offered.join(" and "))));
        }
        if hours == Hours::Extended && !self.info.hours.contains(&Hours::Extended) {
            let error = CliError::usage(format!(
                "--provider {name} has no bars outside the session, and stored bars have extended hours"
            ));
            return Err(error.hint("--tickers and --interval choose other bars to fill"));
        }
        RequestLimits::of(&self.info, interval, hours).ok_or_else(|| {
            let error = CliError::usage(format!(
                "the {minutes}-minute bars of --provider {name} do not start where those of a store do"
            ));
            error.hint(match hours {
                Hours::Extended => "use a shorter --interval",
                Hours::Regular | Hours::Unknown => "use a shorter --interval, or --extended-hours",
            })
        })
    }
}

/// The settings of a fetch.
pub(super) struct Settings {
    pub tickers: Vec<Ticker>,
    pub calendar: Calendar,
    /// The user's calendars.
    pub calendars: Overrides,
    pub start: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
    pub since_last: bool,
    pub overlap: usize,
    pub interval: Interval,
    pub service: Service,
    pub resume: bool,
    pub plan: bool,
    pub gap_fill: bool,
    /// How long to wait for another writer.
    pub wait: Duration,
    pub on_conflict: OnConflict,
    pub dry_run: bool,
    pub output: Option<OutputFile>,
    pub seal: SealArgs,
    pub sync_after: SyncAfterArgs,
}

impl Settings {
    /// Fills in the defaults; an error (code 2) if the options contradict each other.
    pub(super) fn resolve(
        args: FetchArgs,
        calendars: Overrides,
        output: Option<OutputFile>,
    ) -> Result<Self, CliError> {
        let (start, end) = (args.start.map(|date| date.0), args.end.map(|date| date.0));
        if let (Some(start), Some(end)) = (start, end) {
            DateRange::new(start, end)?;
        }
        let service = Service::resolve(args.service)?;
        let exchange = args.exchange.as_deref().unwrap_or(service.info.exchange);
        let calendar = Calendar::for_exchange_with(exchange, &calendars)
            .map_err(|error| CliError::of(ExitStatus::Usage, &error))?;
        let mut tickers = tickers::resolve(&args.tickers, args.tickers_file.as_deref())?;
        for ticker in &tickers {
            if let Some(other) = foreign_suffix(ticker.as_str(), calendar.exchange()) {
                let exchange = calendar.exchange();
                return Err(CliError::usage(format!(
                    "{ticker} is traded at {other}, but its times would be read as those of {exchange}"
                ))
                .hint(format!("request it in another run with --exchange {other}")));
            }
        }
        if let Some(part) = args.shard {
            tickers = shard(tickers, part.index, part.count);
        }
        if let Some(file) = &output {
            file.format()?;
        }
        Ok(Self {
            tickers,
            calendar,
            calendars,
            start,
            end,
            since_last: args.since_last,
            overlap: args.overlap.unwrap_or(usize::from(args.since_last)),
            interval: args.interval.0,
            service,
            resume: args.resume,
            plan: args.plan,
            gap_fill: args.gap_fill,
            wait: args.wait.duration(),
            on_conflict: args.on_conflict,
            dry_run: args.dry_run,
            output,
            seal: args.seal,
            sync_after: args.sync_after,
        })
    }

    /// The dates to request, given the stored sessions. `first_partial` is a ticker's first date
    /// with only a partial answer: `--since-last` requests it again, however old it is.
    pub(super) fn dates(
        &self,
        staged: &Staged,
        first_partial: impl Fn(&Ticker) -> Option<NaiveDate>,
        now: Timestamp,
    ) -> Result<DateRange, CliError> {
        let end = self.end.unwrap_or_else(|| self.calendar.session_date(now));
        let mut start = self.start;
        if self.since_last {
            for ticker in &self.tickers {
                let first = match staged.get(ticker).map(Vec::as_slice) {
                    Some(sessions @ [.., last]) => {
                        let at = sessions.len().saturating_sub(self.overlap);
                        let first = *sessions.get(at).unwrap_or(last);
                        first_partial(ticker).map_or(first, |partial| first.min(partial))
                    }
                    _ if self.start.is_some() => continue,
                    _ => {
                        return Err(CliError::usage(format!(
                            "no session of {ticker} up to today is stored"
                        ))
                        .hint("give --start too: it applies to tickers without stored bars"));
                    }
                };
                start = Some(start.map_or(first, |start| start.min(first)));
            }
        }
        // If the last stored session is also the latest one, the range is empty.
        Ok(DateRange::new(start.unwrap_or(end).min(end), end)?)
    }

    /// Whether a plan needs the stored sessions.
    pub(super) fn needs_sessions(&self) -> bool {
        self.since_last || self.overlap > 0
    }

    pub(super) fn since(&self) -> Option<Since> {
        self.since_last.then_some(match self.start {
            Some(start) => Since::LastAndBefore(start),
            None => Since::Last,
        })
    }

    pub(super) fn is_demo(&self) -> bool {
        self.service.is_demo()
    }

    /// Exchange, price basis and hours of the bars.
    pub(super) fn provenance(&self) -> Provenance {
        Provenance {
            exchange: self.calendar.exchange().to_owned(),
            basis: self.service.basis(),
            hours: self.service.hours(),
        }
    }
}
