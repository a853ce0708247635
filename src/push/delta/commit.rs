//! Makes a commit: creates the object of the next version.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use uuid::Uuid;

use super::action;
use super::names;
use super::read::commit_text;
use crate::push::error::{Error, ErrorKind};
use crate::push::storage::Storage;

/// Attempts to create one version, or to find out whether it was created.
const ATTEMPTS_MAX: u32 = 6;
const WAIT_MS_MIN: u64 = 50;
const WAIT_MS_MAX: u64 = 5_000;

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Committed,
    /// Another commit has the version.
    Taken,
}

/// Creates version `version` with `text`, which has the transaction id `txn_id`.
///
/// If the response is lost, or reports that the version exists, the version is read: it may be this
/// commit. So an error means that the commit was refused, or that nothing is known because the
/// target can't be read either.
pub async fn create(
    store: &Storage,
    version: u64,
    text: &Bytes,
    txn_id: &str,
) -> Result<End, Error> {
    use object_store::Error as E;
    let name = names::commit(version);
    let path = Path::from(name.as_str());
    let mut attempt = 0;
    loop {
        attempt += 1;
        let put = store.put_opts(&path, text.clone().into(), PutMode::Create.into());
        let error = match put.await {
            Ok(_) => return Ok(End::Committed),
            Err(error) => error,
        };
        let refused = matches!(
            error,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } | E::NotImplemented { .. }
        );
        if refused {
            return Err(store.failed(&format!("writing {name}"), &error));
        }
        match holder(store, version, txn_id).await {
            Ok(Some(end)) => return Ok(end),
            // S3 also returns "conflict" while another attempt is undecided. The same number is
            // free.
            Ok(None) if attempt < ATTEMPTS_MAX => wait(attempt).await,
            Ok(None) => return Err(store.failed(&format!("writing {name}"), &error)),
            Err(unread) => {
                let error = store.failed(&format!("writing {name}"), &error);
                let message = format!("{error}; whether it was committed isn't known: {unread}");
                return Err(Error::new(ErrorKind::Target, message));
            }
        }
    }
}

/// Which commit has a version: this one or another; `None` if the version is free.
async fn holder(store: &Storage, version: u64, txn_id: &str) -> Result<Option<End>, Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match commit_text(store, version).await {
            Ok(text) => {
                return Ok(text.map(|text| match action::txn_id(&text) {
                    Some(found) if found == txn_id => End::Committed,
                    _ => End::Taken,
                }));
            }
            Err(error) if attempt == ATTEMPTS_MAX => return Err(error),
            Err(_) => wait(attempt).await,
        }
    }
}

/// Whether the target keeps an object that exists when a request would create it again. Without
/// that, two writers could replace each other's commits. The same bytes are offered, so that
/// nothing is lost if it doesn't.
pub async fn keeps_existing(store: &Storage, version: u64, text: &Bytes) -> Result<bool, Error> {
    use object_store::Error as E;
    let path = Path::from(names::commit(version));
    let options = PutOptions::from(PutMode::Create);
    match store.put_opts(&path, text.clone().into(), options).await {
        Ok(_) => Ok(false),
        Err(E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. }) => Ok(true),
        Err(error) => Err(store.failed("checking conditional writes", &error)),
    }
}

/// Waits before attempt `attempt + 1`: longer each time, and by chance, so that writers that met don't
/// meet again.
pub async fn wait(attempt: u32) {
    let most = (WAIT_MS_MIN << attempt.min(10)).min(WAIT_MS_MAX);
    let chance = Uuid::new_v4().as_u128() as u64 % most;
    tokio::time::sleep(Duration::from_millis(most / 4 + chance)).await;
}

/// Writes the checkpoint of a version, then the object that names it.
pub async fn put_checkpoint(
    store: &Storage,
    version: u64,
    bytes: Vec<u8>,
    actions: u64,
) -> Result<(), Error> {
    let failed = |error| store.failed("writing a checkpoint", &error);
    let size = bytes.len();
    let path = Path::from(names::checkpoint(version, 1, 1));
    store.put(&path, bytes.into()).await.map_err(failed)?;
    crate::crash_point!("push.between-checkpoint-and-its-name");
    let last = serde_json::json!({"version": version, "size": actions, "sizeInBytes": size});
    let path = Path::from(names::LAST_CHECKPOINT);
    let text = last.to_string().into_bytes();
    store.put(&path, text.into()).await.map_err(failed)?;
    Ok(())
}
