//! Opens the storage of a table.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::address::Address;
use super::credentials::S3Settings;
use super::error::{Error, ErrorKind};
use super::storage::Storage;
use crate::store::{create_dirs, sync_dir};

/// How long one request may take. A part of an upload has 8 MiB.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request is repeated. A conditional write is never repeated by the client.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 6;

/// Opens a folder, which is made if it is missing and `create` is set.
///
/// Files and folders are flushed before a write counts: a table must not list a file that a power
/// failure can lose. `None` if the folder is missing.
pub fn open_folder(folder: &Path, create: bool) -> Result<Option<Storage>, Error> {
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the folder {} can't be used: {error}", folder.display());
        Error::new(ErrorKind::Target, message)
    };
    if folder.exists() && !folder.is_dir() {
        return Err(failed(&"it isn't a folder"));
    }
    if !folder.exists() {
        if !create {
            return Ok(None);
        }
        let make = || {
            let absolute = std::path::absolute(folder)?;
            let root = Path::new(std::path::MAIN_SEPARATOR_STR);
            for changed in create_dirs(root, &absolute)? {
                sync_dir(&changed)?;
            }
            std::io::Result::Ok(())
        };
        make().map_err(|error| failed(&error))?;
    }
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
    let store = Arc::new(store.with_fsync(true));
    Ok(Some(Storage::in_folder(store, folder)))
}

/// Opens a bucket. Nothing is sent yet.
pub fn open_s3(
    bucket: &str,
    prefix: &object_store::path::Path,
    settings: &S3Settings,
) -> Result<Storage, Error> {
    // The client's library takes the process's TLS provider. Another bucket may have set it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(
            settings
                .endpoint
                .as_ref()
                .is_some_and(|url| url.starts_with("http://")),
        );
    let retry = RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_access_key_id(settings.key_id.expose())
        .with_secret_access_key(settings.key.expose())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(client)
        .with_retry(retry);
    if let Some(token) = &settings.token {
        builder = builder.with_token(token.expose());
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let store = builder.build().map_err(|error| {
        let text = error.to_string();
        let shown = settings.secrets().redact(&text).into_owned();
        Error::new(
            ErrorKind::Usage,
            format!("the bucket can't be used: {shown}"),
        )
    })?;
    let store: Arc<dyn ObjectStore> = match prefix.as_ref().is_empty() {
        true => Arc::new(store),
        false => Arc::new(PrefixStore::new(store, prefix.clone())),
    };
    Ok(Storage::with_secrets(store, settings.secrets()))
}

/// Opens the storage at `address`. A missing folder is made if `create` is set, else it is `None`.
pub fn open(
    address: &Address,
    settings: Option<&S3Settings>,
    create: bool,
) -> Result<Option<Storage>, Error> {
    match (address, settings) {
        (Address::Folder(folder), _) => open_folder(folder, create),
        (Address::S3 { bucket, prefix }, Some(settings)) => {
            open_s3(bucket, prefix, settings).map(Some)
        }
        (Address::S3 { .. }, None) => Err(Error::new(
            ErrorKind::Usage,
            "no keys are set for the bucket",
        )),
    }
}
