//! The provider of a run: chosen by name, opened with the key and address of the environment.

use std::fmt;
use std::sync::Arc;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::advice::Advice;
use crate::cli::clock;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::model::Source;
use crate::provider::{
    Access, Credentials, ErrorKind, Provider, ProviderEntry, ProviderInfo, registry,
};
use crate::report::ExitStatus;
use crate::secret::{Secret, SecretUrl};

/// A provider by its name on the command line.
#[derive(Clone, Copy)]
pub struct ProviderChoice(&'static ProviderEntry);

/// A provider, ready to use.
pub(in crate::cli) struct Opened {
    pub provider: Arc<dyn Provider>,
    /// The key under which its requests of a day are counted.
    pub fingerprint: String,
}

/// The current time, for modules that must not read the clock.
pub(in crate::cli) fn clock() -> crate::backfill::Clock {
    Arc::new(clock::now)
}

impl ProviderChoice {
    /// Reads `--provider`.
    pub(in crate::cli) fn parser() -> impl TypedValueParser<Value = Self> {
        let names = registry::PROVIDERS.iter().map(|entry| {
            PossibleValue::new(entry.name)
                .help(entry.help)
                .hide(entry.hidden)
        });
        PossibleValuesParser::new(names)
            .map(|name| registry::find(&name).map_or_else(Self::default, Self))
    }

    /// The name.
    pub(in crate::cli) fn name(self) -> &'static str {
        self.0.name
    }

    /// The provider with one of its feeds; an error (code 2) if it has no such feed.
    pub(in crate::cli) fn with_feed(self, feed: Option<&str>) -> Result<Self, CliError> {
        let Some(typed) = feed else {
            return Ok(self);
        };
        let feeds = self.0.feeds;
        if let Some((_, entry)) = feeds.iter().find(|(name, _)| *name == typed) {
            return Ok(Self(entry));
        }
        let name = self.name();
        let names: Vec<&str> = feeds.iter().map(|(name, _)| *name).collect();
        Err(match names.is_empty() {
            true => CliError::usage(format!("--provider {name} has only one feed"))
                .hint("leave out --feed"),
            false => CliError::usage(format!("--provider {name} has no feed {typed:?}"))
                .hint(format!("its feeds are {}", names.join(" and "))),
        })
    }

    /// What it offers. Nothing is started or read.
    pub(in crate::cli) fn info(self) -> ProviderInfo {
        (self.0.info)()
    }

    /// The name under which its bars are stored.
    pub(in crate::cli) fn source(self) -> Source {
        self.info().source
    }

    /// Whether it is the simulator, whose bars go to another default store.
    pub(in crate::cli) fn is_demo(self) -> bool {
        self.source().is_demo()
    }

    /// Whether it needs a key. The demo has one of its own.
    pub(in crate::cli) fn needs_key(self) -> bool {
        !self.0.keys.is_empty() || self.is_demo()
    }

    /// Whether its base URL can be changed.
    pub(in crate::cli) fn takes_url(self) -> bool {
        self.0.base_url_env.is_some()
    }

    /// The fingerprint of its key; `None` if the key isn't set.
    pub(in crate::cli) fn fingerprint(self, context: &Context) -> Option<String> {
        let credentials = self.credentials(context).ok()?;
        Some(credentials.fingerprint(self.name()))
    }

    fn credentials(self, context: &Context) -> Result<Credentials, CliError> {
        let part = |names: &&[&str]| {
            names
                .iter()
                .find_map(|name| Secret::new(&context.env(name)?))
                .ok_or_else(|| {
                    let name = names.first().copied().unwrap_or_default();
                    CliError::failed(format!("{name} is not set")).hint(Advice::SetKey {
                        variables: Some(self.needed().into()),
                    })
                })
        };
        let parts = self.0.keys.iter().map(part).collect::<Result<_, _>>()?;
        Ok(Credentials::new(parts))
    }

    /// The variables of its key, in words.
    fn needed(self) -> String {
        let names: Vec<&str> = self
            .0
            .keys
            .iter()
            .filter_map(|names| names.first().copied())
            .collect();
        names.join(" and ")
    }

    /// The provider, ready to use.
    pub(in crate::cli) fn open(
        self,
        context: &Context,
        url: Option<&SecretUrl>,
    ) -> Result<Opened, CliError> {
        let credentials = self.credentials(context)?;
        let fingerprint = credentials.fingerprint(self.name());
        let from_env = || Some(SecretUrl::from(context.env(self.0.base_url_env?)?));
        let access = Access {
            credentials,
            base_url: url.cloned().or_else(from_env),
            clock: clock(),
        };
        let provider = (self.0.open)(access).map_err(|error| {
            let code = match error.kind() {
                ErrorKind::BaseUrl => ExitStatus::Usage,
                _ => ExitStatus::Failed,
            };
            CliError::of(code, &error).maybe_hint(error.hint())
        })?;
        Ok(Opened {
            provider,
            fingerprint,
        })
    }
}

impl Default for ProviderChoice {
    fn default() -> Self {
        Self(registry::PROVIDERS[0])
    }
}

impl PartialEq for ProviderChoice {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ProviderChoice {}

impl fmt::Debug for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Help of `--feed`, with the feeds of each provider.
pub(in crate::cli) fn feed_help() -> String {
    let feeds = of_each(|entry| {
        let names: Vec<&str> = entry.feeds.iter().map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| names.join(" or "))
    });
    format!(
        "Feed of the provider\n\nThe bars of each feed have a source of their own: {feeds}. The first is the default."
    )
}

/// One line of help per provider: its name and what `fact` returns for it.
pub(in crate::cli) fn of_each(fact: impl Fn(&ProviderEntry) -> Option<String>) -> String {
    let facts: Vec<String> = (registry::PROVIDERS.iter())
        .filter(|entry| !entry.hidden)
        .filter_map(|entry| Some(format!("{} {}", entry.name, fact(entry)?)))
        .collect();
    facts.join(", ")
}
