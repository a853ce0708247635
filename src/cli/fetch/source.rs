//! Who is asked: the real service, or the simulator started for this run.

use std::sync::Arc;

use super::args::ProviderName;
use crate::cli::clock;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::model::Source;
use crate::provider::fmp::{BASE_URL, Fmp, FmpOptions};
use crate::provider::{ApiKey, Capabilities};
use crate::report::ExitStatus;
use crate::secret::SecretUrl;
use crate::simulator::{Config, Running, Simulator};

/// The key that the simulator of a demo run is asked with.
const DEMO_KEY: &str = "backfill-demo-run";

/// A provider, and the simulator behind it, where there is one.
pub(in crate::cli) struct Opened {
    pub fmp: Fmp,
    pub fingerprint: String,
    pub simulator: Option<Running>,
}

/// The time of day, for those who must not read the clock themselves.
pub(in crate::cli) fn clock() -> crate::backfill::Clock {
    Arc::new(clock::now)
}

/// The name under which the provider's bars are stored.
pub(in crate::cli) fn source(name: ProviderName) -> Source {
    match name {
        ProviderName::Fmp => Source::new("fmp"),
        ProviderName::Demo => Source::demo(),
    }
}

/// What the provider offers; nothing is started or read for it.
pub(in crate::cli) fn capabilities(name: ProviderName) -> Capabilities {
    Fmp::capabilities_of(source(name))
}

/// The fingerprint of the key that the provider would be asked with, if there is one.
pub(in crate::cli) fn fingerprint(context: &Context, name: ProviderName) -> Option<String> {
    let key = match name {
        ProviderName::Fmp => context.env("FMP_API_KEY")?,
        ProviderName::Demo => DEMO_KEY.to_owned(),
    };
    ApiKey::new(&key).map(|key| key.fingerprint())
}

/// The provider, ready to be asked.
pub(in crate::cli) fn open(
    context: &Context,
    name: ProviderName,
    url: Option<&SecretUrl>,
) -> Result<Opened, CliError> {
    let (key, base_url, simulator) = match name {
        ProviderName::Fmp => {
            let key = (context.env("FMP_API_KEY").as_deref())
                .and_then(ApiKey::new)
                .ok_or_else(|| {
                    CliError::failed("FMP_API_KEY is not set").hint(
                    "set FMP_API_KEY in the environment or in .env; `--provider demo` needs none",
                )
                })?;
            let set = || context.env("FMP_BASE_URL").map(SecretUrl::from);
            let url = url.cloned().or_else(set);
            (key, url.unwrap_or_else(|| BASE_URL.into()), None)
        }
        ProviderName::Demo => {
            let running = Simulator::start(Config::default(), clock())
                .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
            let key =
                ApiKey::new(DEMO_KEY).ok_or_else(|| CliError::failed("the demo has no key"))?;
            (key, running.url().into(), Some(running))
        }
    };
    let fingerprint = key.fingerprint();
    let options = FmpOptions {
        base_url,
        key,
        source: source(name),
    };
    let fmp = Fmp::new(options).map_err(|error| {
        let code = match error {
            crate::provider::Error::BaseUrl { .. } => ExitStatus::Usage,
            _ => ExitStatus::Failed,
        };
        CliError::of(code, &error).maybe_hint(error.hint().map(str::to_owned))
    })?;
    Ok(Opened {
        fmp,
        fingerprint,
        simulator,
    })
}
