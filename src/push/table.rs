//! The table during a run: its state, and commits on top of it.

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::context::RunContext;
use super::delta::action::{self, Action, Format, Metadata, Protocol};
use super::delta::commit::{self, End};
use super::delta::snapshot::{Refused, Snapshot};
use super::delta::{checkpoint, read, schema};
use super::error::{Error, ErrorKind};
use super::plan::Files;
use super::storage::Storage;
use crate::advice::PushAdvice;
use crate::report::Event;

/// Each version that is a multiple of this gets a checkpoint.
const CHECKPOINT_EVERY: u64 = 10;

/// The table during a run.
pub struct Table {
    /// `None` in a dry run whose target doesn't exist.
    pub store: Option<Storage>,
    /// `None` until there is a table.
    snapshot: Option<Snapshot>,
    files: Files,
    /// Whether this run has checked that the storage never creates an object twice.
    is_checked: bool,
}

impl Table {
    #[must_use]
    pub fn new(store: Option<Storage>, snapshot: Option<Snapshot>) -> Self {
        Self {
            store,
            files: Files::of(snapshot.as_ref()),
            snapshot,
            is_checked: false,
        }
    }

    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.snapshot.as_ref().map(|snapshot| snapshot.version)
    }

    /// Whether it has a file with this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let snapshot = self.snapshot.as_ref();
        snapshot.is_some_and(|snapshot| snapshot.live.contains_key(name))
    }

    /// Its files by partition.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The storage, to write to.
    pub fn store(&self) -> Result<&Storage, Error> {
        let missing = || Error::new(ErrorKind::Target, "the target doesn't exist");
        self.store.as_ref().ok_or_else(missing)
    }

    /// Reads what others have committed since. Returns whether there is any.
    pub async fn refresh(&mut self) -> Result<bool, Error> {
        let store = self.store()?.clone();
        let is_newer = match &mut self.snapshot {
            Some(snapshot) => {
                // What comes after it must be of the same table.
                newest_text(&store, snapshot).await?;
                read::refresh(&store, snapshot).await?
            }
            None => {
                self.snapshot = read::load(&store).await?;
                self.snapshot.is_some()
            }
        };
        if is_newer {
            self.files = Files::of(self.snapshot.as_ref());
        }
        self.snapshot.as_ref().map_or(Ok(()), accept)?;
        Ok(is_newer)
    }

    /// Commits `actions` as the next version of the state that this table has. [`End::Taken`] if another
    /// commit has that version: then the caller refreshes, and plans again.
    pub async fn commit(
        &mut self,
        context: &RunContext<'_>,
        mut actions: Vec<Action>,
    ) -> Result<End, Error> {
        let store = self.store()?.clone();
        let version = self.version().map_or(0, |version| version + 1);
        if let Some(snapshot) = &self.snapshot {
            let text = newest_text(&store, snapshot).await?;
            // Before the commit: it could replace one that another program makes now.
            if let Some(text) = text.filter(|_| !self.is_checked) {
                check_conditional(&store, snapshot.version, &text).await?;
            }
            self.is_checked = true;
        }
        let txn_id = Uuid::new_v4().to_string();
        let now_ms = context.now_ms();
        let mut all = vec![info(context, &txn_id, now_ms, version == 0)];
        if version == 0 {
            all.extend(first_actions(now_ms));
        }
        all.append(&mut actions);
        let text = Bytes::from(action::to_text(&all));
        crate::crash_point!("push.before-commit");
        if commit::create(&store, version, &text, &txn_id).await? == End::Taken {
            return Ok(End::Taken);
        }
        crate::crash_point!("push.after-commit");
        let snapshot = self.snapshot.get_or_insert_default();
        snapshot.apply(all.iter().cloned());
        snapshot.version = version;
        snapshot.text_hash = Some(xxh3_128(&text));
        self.files.follow(&all, snapshot);
        verify(context, &store, version, &text).await?;
        if version > 0 && version.is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoint(context, version, now_ms).await;
        }
        Ok(End::Committed)
    }

    /// Writes a checkpoint. The table is whole without it, so that a failure is only a warning.
    async fn checkpoint(&self, context: &RunContext<'_>, version: u64, now_ms: i64) {
        let (Some(store), Some(snapshot)) = (&self.store, &self.snapshot) else {
            return;
        };
        let actions = checkpoint::actions(snapshot, now_ms);
        let count = actions.len() as u64;
        let encoded = tokio::task::spawn_blocking(move || checkpoint::write(&actions)).await;
        let encoded = encoded
            .map_err(|error| error.to_string())
            .and_then(|bytes| bytes);
        let written = match encoded {
            Ok(bytes) => commit::put_checkpoint(store, version, bytes, count)
                .await
                .map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        if let Err(why) = written {
            let text = format!(
                "no checkpoint of version {version} was written, so reading the table is slower: {why}"
            );
            context.observer.event(&Event::Warning(&text));
        }
    }
}

/// Compares a committed version with what was written. If it can't be read now, that is only a warning,
/// because it is committed.
async fn verify(
    context: &RunContext<'_>,
    store: &Storage,
    version: u64,
    text: &Bytes,
) -> Result<(), Error> {
    let warn = |error: Error| {
        let text = format!("version {version} is committed, and wasn't read again: {error}");
        context.observer.event(&Event::Warning(&text));
    };
    if version == 0 {
        match check_conditional(store, version, text).await {
            Err(error) if error.kind() == ErrorKind::Target => warn(error),
            checked => checked?,
        }
    }
    match read::commit_text(store, version).await {
        Ok(found) if found.as_ref() == Some(text) => Ok(()),
        Ok(_) => {
            let message = format!("version {version} of the table isn't what was written");
            Err(Error::new(ErrorKind::Target, message))
        }
        Err(error) => {
            warn(error);
            Ok(())
        }
    }
}

/// Checks that the storage refuses to create a version again: else writers could replace each
/// other's commits. [`ErrorKind::Table`] if it doesn't.
pub async fn check_conditional(store: &Storage, version: u64, text: &Bytes) -> Result<(), Error> {
    if commit::keeps_existing(store, version, text).await? {
        return Ok(());
    }
    let message = "the target replaces objects that were to be created only if they don't exist";
    Err(Error::new(ErrorKind::Table, message).with_hint(PushAdvice::ConditionalWrites))
}

/// The text of the newest version that was read; `None` if only its checkpoint is there. An error if it isn't
/// what was read: a commit on top of it would be one of another table.
async fn newest_text(store: &Storage, snapshot: &Snapshot) -> Result<Option<Bytes>, Error> {
    let version = snapshot.version;
    let text = read::commit_text(store, version).await?;
    if text.as_deref().map(xxh3_128) == snapshot.text_hash {
        return Ok(text);
    }
    let message = format!(
        "the table was deleted or replaced during the push: its version {version} isn't the one that was read"
    );
    Err(Error::new(ErrorKind::Table, message))
}

/// Checks that a table can take bars.
pub fn accept(snapshot: &Snapshot) -> Result<(), Error> {
    let message = match snapshot.check() {
        Ok(()) => return Ok(()),
        Err(Refused::Protocol { reader, writer }) => format!(
            "the table needs Delta reader {reader} and writer {writer}, and this program knows 1 and 2"
        ),
        Err(Refused::Table(why)) => format!("the table can't take bars: {why}"),
    };
    Err(Error::new(ErrorKind::Table, message).with_hint(PushAdvice::OtherTable))
}

/// What a commit records about itself.
fn info(context: &RunContext<'_>, txn_id: &str, now_ms: i64, is_first: bool) -> Action {
    let operation = if is_first {
        "CREATE TABLE AS SELECT"
    } else {
        "MERGE"
    };
    let info = json!({
        "timestamp": now_ms,
        "operation": operation,
        "operationParameters": {"store": context.reader.store_id().to_string()},
        "isBlindAppend": false,
        "engineInfo": concat!("backfill/", env!("CARGO_PKG_VERSION")),
        "txnId": txn_id,
    });
    Action {
        commit_info: Some(info),
        ..Action::default()
    }
}

/// The actions that create a table.
fn first_actions(now_ms: i64) -> [Action; 2] {
    let protocol = Protocol {
        min_reader_version: 1,
        min_writer_version: 2,
    };
    let metadata = Metadata {
        id: Uuid::new_v4().to_string(),
        name: Some("bars".to_owned()),
        description: None,
        format: Format {
            provider: "parquet".to_owned(),
            options: Default::default(),
        },
        schema_string: schema::schema_string(),
        partition_columns: schema::PARTITION_COLUMNS.map(str::to_owned).to_vec(),
        configuration: Default::default(),
        created_time: Some(now_ms),
    };
    [
        Action {
            protocol: Some(protocol),
            ..Action::default()
        },
        Action {
            metadata: Some(metadata),
            ..Action::default()
        },
    ]
}
