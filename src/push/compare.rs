//! A partition whose file in the table has rows of other writers: reads that file, and decides by
//! the rows.

use bytes::Bytes;
use uuid::Uuid;

use super::delta::action::Add;
use super::delta::{names, read};
use super::error::{Error, ErrorKind};
use super::identity::{self, Contribution, Contributions};
use super::source::Local;
use super::storage::Storage;
use super::upload;
use crate::advice::{Advice, PushAdvice};
use crate::model::OnConflict;
use crate::store::lake::guard::PARTITION_BYTES_MAX;
use crate::store::{BadTableFile, MergedFile, TableMerge, TableTally};

/// The most files of one partition that are merged.
const FILES_MAX: usize = 64;

/// What happens to a partition, by its rows.
pub enum Compared {
    /// The table has the rows, and its entry shows that.
    Unchanged(TableTally),
    /// The table's file has all rows that it should get. Only its entry changes, to show that.
    Adopt(Contributions, TableTally),
    /// The store's partition becomes the file. `keeps`: it has all rows of the table's files.
    Own { keeps: bool },
    /// This file becomes the partition's. It has the rows of these stores.
    Merged(MergedFile, Contributions, TableTally),
    /// The policy is `fail`, and the rows differ.
    Refused(TableTally),
}

/// How files are compared.
#[derive(Clone, Copy)]
pub struct Rules {
    pub store_id: Uuid,
    pub on_conflict: OnConflict,
    /// A missing or damaged file of this store is replaced.
    pub full: bool,
}

/// Compares a partition with its files in the table.
pub async fn compare(
    store: &Storage,
    local: &Local,
    files: &[Add],
    rules: Rules,
) -> Result<Compared, Error> {
    let mut contributions = Contributions::new();
    for add in files {
        contributions.extend(identity::contributions(add));
    }
    let writers = contributions.iter().filter(|(_, part)| part.wrote);
    let is_own = writers.map(|(id, _)| id).eq([&rules.store_id]);
    let repairs = rules.full && is_own && files.len() == 1;
    let own = upload::read(&local.file).await?;
    let mut theirs = Vec::with_capacity(files.len());
    if files.len() > FILES_MAX {
        let message = format!("the table has {} files of {}", files.len(), local.file.key);
        return Err(Error::new(ErrorKind::File, message).with_hint(PushAdvice::Compact));
    }
    for add in files {
        match download(store, add).await {
            Ok(bytes) => theirs.push(bytes),
            Err(error) if repairs && error.kind() == ErrorKind::File => {
                return Ok(Compared::Own { keeps: false });
            }
            Err(error) => return Err(error),
        }
    }
    let key = local.file.key.clone();
    let compared = tokio::task::spawn_blocking(move || TableMerge::new(&key, own, theirs)).await;
    let compared = compared.map_err(|error| Error::new(ErrorKind::File, error.to_string()))?;
    let merge = match compared {
        Ok(merge) => merge,
        Err(BadTableFile::Theirs(..)) if repairs => {
            return Ok(Compared::Own { keeps: false });
        }
        Err(bad) => return Err(bad_file(local, files, bad)),
    };
    let tally = merge.tally();
    if is_own && files.len() == 1 {
        let keeps = tally.restated + tally.theirs == 0;
        // Equal bars can have another source, or a value that the table's bars lack: then the hash
        // differs.
        let has_hash = contributions.get(&rules.store_id);
        let has_hash = has_hash.is_some_and(|own| own.row_hash == local.file.row_hash);
        return Ok(match keeps && tally.new == 0 && has_hash {
            true => Compared::Unchanged(tally),
            false => Compared::Own { keeps },
        });
    }
    let adds = match rules.on_conflict {
        OnConflict::Fail if tally.new + tally.restated + tally.repeated > 0 => {
            return Ok(Compared::Refused(tally));
        }
        OnConflict::Fail => 0,
        OnConflict::Ignore => tally.new,
        OnConflict::Update => tally.new + tally.restated,
    };
    let contribution = identity::own(&local.file);
    let before = contributions.insert(rules.store_id, contribution.clone());
    if adds + tally.repeated == 0 && files.len() == 1 {
        let contribution = Contribution {
            wrote: before.as_ref().is_some_and(|before| before.wrote),
            ..contribution
        };
        contributions.insert(rules.store_id, contribution.clone());
        return Ok(match before == Some(contribution) {
            true => Compared::Unchanged(tally),
            false => Compared::Adopt(contributions, tally),
        });
    }
    let key = local.file.key.clone();
    let merged = tokio::task::spawn_blocking(move || merge.merged(rules.on_conflict)).await;
    let merged = merged
        .map_err(|error| error.to_string())
        .and_then(|merged| merged);
    let merged = merged.map_err(|why| {
        Error::new(
            ErrorKind::File,
            format!("{key} can't be merged with the table's bars: {why}"),
        )
    })?;
    Ok(Compared::Merged(merged, contributions, tally))
}

/// The bytes of a file of the table.
async fn download(store: &Storage, add: &Add) -> Result<Bytes, Error> {
    let bad = |why: &str| file_error(add, why);
    let name = names::decode(&add.path).ok_or_else(|| bad("is outside the table's folder"))?;
    let bytes = read::get(store, &name, PARTITION_BYTES_MAX).await?;
    let bytes = bytes.ok_or_else(|| bad("is missing"))?;
    match bytes.len() as i64 == add.size {
        true => Ok(bytes),
        false => Err(bad("hasn't the size that the log has")),
    }
}

fn file_error(add: &Add, why: &str) -> Error {
    let message = format!("the table's file {} {why}", add.path);
    Error::new(ErrorKind::File, message).with_hint(PushAdvice::Full)
}

fn bad_file(local: &Local, files: &[Add], bad: BadTableFile) -> Error {
    match bad {
        BadTableFile::Own(why) => {
            let message = format!(
                "the partition {} is damaged: {why}",
                local.file.path.display()
            );
            Error::new(ErrorKind::Damaged, message).with_hint(Advice::VerifyStore)
        }
        BadTableFile::Theirs(index, why) => {
            file_error(&files[index], &format!("can't be merged: {why}"))
        }
        BadTableFile::OtherProvenance(_, theirs) => {
            other_provenance(local, &identity::provenance_text(&theirs))
        }
    }
}

/// The table has the series with another exchange, price basis or hours.
pub fn other_provenance(local: &Local, theirs: &str) -> Error {
    let own = identity::provenance_text(&local.provenance);
    let series = &local.file.key.series;
    let message = format!("the table has {series} as {theirs}, and the store has it as {own}");
    Error::new(ErrorKind::Table, message).with_hint(PushAdvice::OtherTable)
}
