//! The target of a push, as the command line and the environment name it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::context::Context;
use super::error::CliError;
use crate::advice::Hint;
use crate::push::{self, Address, Error, ErrorKind, S3Settings, S3Typed, Seen, Storage};
use crate::report::ExitStatus;
use crate::secret::SecretUrl;
use crate::store::{OpenOptions, Reader};

/// How an S3 server is reached.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// Address of the S3 server [env: AWS_ENDPOINT_URL; default: AWS]
    ///
    /// Keys are read from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else from the profile
    /// AWS_PROFILE in ~/.aws/credentials.
    ///
    /// Example: --endpoint-url https://minio.example:9000
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<SecretUrl>,

    /// Region of the bucket [env: AWS_REGION; default: us-east-1]
    ///
    /// Example: --region eu-central-1
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// Allow an http address that isn't on this machine
    ///
    /// Then bars are sent without encryption.
    #[arg(long)]
    pub allow_http: bool,
}

/// A target whose settings are checked. Nothing was sent yet.
pub struct Target {
    pub address: Address,
    settings: Option<S3Settings>,
}

/// Checks a target's address and settings.
pub fn resolve(context: &Context, url: &SecretUrl, args: &TargetArgs) -> Result<Target, CliError> {
    let address = Address::parse(url.expose()).map_err(error)?;
    let settings = match &address {
        Address::Folder(folder) => {
            context.outside_stores(folder)?;
            None
        }
        Address::S3 { .. } => {
            let typed = S3Typed {
                endpoint: args.endpoint_url.clone(),
                region: args.region.clone(),
                allow_http: args.allow_http,
            };
            let settings = S3Settings::resolve(&typed, &|name| context.env(name));
            Some(settings.map_err(error)?)
        }
    };
    Ok(Target { address, settings })
}

impl Target {
    /// Opens the storage. A missing folder is made if `create` is set, else it is `None`.
    pub fn open(&self, create: bool) -> Result<Option<Storage>, CliError> {
        push::open(&self.address, self.settings.as_ref(), create).map_err(error)
    }

    /// The address of a file of the table.
    #[must_use]
    pub fn address_of(&self, file: &str) -> String {
        match &self.address {
            Address::Folder(folder) => folder.join(file).display().to_string(),
            Address::S3 { .. } => format!("{}/{file}", self.address),
        }
    }
}

/// Records how far the table is, for `status`. If another process writes into the store, there is no
/// record.
pub fn record(context: &Context, dir: &Path, reader: Reader, label: &str, seen: &[Seen]) {
    let name = target_name(label);
    let known = reader.targets().unwrap_or_default().into_iter();
    let known = known.filter(|row| row.target == name);
    let known: HashMap<_, _> = known.map(|row| (row.series, row.base_seq)).collect();
    let is_new = |seen: &&Seen| known.get(&seen.series) != Some(&seen.base_seq);
    let rows: Vec<_> = (seen.iter().filter(is_new))
        .map(|seen| (name.clone(), &seen.series, seen.base_seq))
        .collect();
    drop(reader);
    if rows.is_empty() {
        return;
    }
    let at_once = OpenOptions {
        wait_for_readers: Duration::ZERO,
        ..OpenOptions::default()
    };
    let recorded = (context.open_store(dir, &at_once, Duration::ZERO))
        .and_then(|store| Ok(store.record_targets_seen(&rows, context.now())?));
    if let Err(error) = recorded {
        tracing::debug!("the progress of the table was not recorded: {error}");
    }
}

/// A table's name in the store.
pub fn target_name(label: &str) -> String {
    format!("delta {label}")
}

/// The error of a push that could not start.
#[allow(clippy::needless_pass_by_value)] // as map_err gives it
pub fn error(error: Error) -> CliError {
    let code = match error.kind() {
        ErrorKind::Usage => ExitStatus::Usage,
        _ => ExitStatus::Failed,
    };
    CliError::of(code, &error).maybe_hint(error.hint())
}
