//! The old catalog: what can be read of it, with its intents finished.

use crate::store::catalog::{Catalog, Opened};
use crate::store::error::{Damage, Error};
use crate::store::layout::Layout;
use crate::store::options::OpenOptions;
use crate::store::publish::{self, Pending};
use crate::store::recover::{self, Place};

use super::report::Repaired;

const ALL_BUT_THE_LAKE: &str = "bars that were not sealed yet, coverage, conflicts and runs: the catalog was gone or unreadable";

/// The old catalog, if DuckDB can open and read it; without its log, if only the log prevents that.
/// Otherwise the old one is moved to quarantine and a new one is made.
pub(super) fn open_or_replace(
    layout: &Layout,
    options: &OpenOptions,
    acknowledged: u64,
    out: &mut Repaired,
) -> Result<Catalog, Error> {
    if !layout.database().exists() {
        out.lost.push(ALL_BUT_THE_LAKE.to_owned());
    }
    for (away, loss) in [
        (Vec::new(), None),
        (
            layout.database_logs().to_vec(),
            Some("what was in the catalog's log, which doesn't fit its database"),
        ),
    ] {
        let mut moved = false;
        for path in away.iter().filter(|path| path.exists()) {
            out.quarantine(layout, path)?;
            moved = true;
        }
        if loss.is_some() && !moved {
            break;
        }
        match open_whole(layout, options) {
            Ok(opened) => {
                out.lost.extend(loss.map(str::to_owned));
                if let Some(log) = opened.log {
                    if log.broke_off && acknowledged <= opened.catalog.max_commit_seq()? {
                        log.forget();
                    } else {
                        let cut_at = log.cut_at;
                        let lost = format!("what the catalog's log held after byte {cut_at}");
                        out.lost.push(lost);
                        out.quarantined.extend(log.copies);
                    }
                }
                return Ok(opened.catalog);
            }
            Err(error @ (Error::Newer { .. } | Error::Io { .. })) => return Err(error),
            Err(_) => {}
        }
    }
    out.quarantine(layout, &layout.database())?;
    for path in layout.database_logs().iter().filter(|path| path.exists()) {
        out.quarantine(layout, path)?;
    }
    out.lost.push(ALL_BUT_THE_LAKE.to_owned());
    Catalog::open(layout, options.memory_limit_mib, options.threads).map(|opened| opened.catalog)
}

/// Opens the catalog and reads all of it: a damaged block shows only when it is read.
fn open_whole(layout: &Layout, options: &OpenOptions) -> Result<Opened, Error> {
    let opened = Catalog::open(layout, options.memory_limit_mib, options.threads)?;
    opened.catalog.read_whole()?;
    opened.catalog.series()?;
    Ok(opened)
}

/// Applies the intents that can be applied, and drops the others: their partitions are then checked
/// as they are in the lake.
pub(super) fn finish_intents(
    layout: &Layout,
    catalog: &Catalog,
    out: &mut Repaired,
) -> Result<(), Error> {
    let (mut settle, mut forget) = (Vec::new(), Vec::new());
    for (one, place) in recover::recorded(layout, catalog)? {
        match place {
            Place::Nowhere => {
                if !one.intent.is_seal {
                    out.lost.push(Damage::IntentLost(one.key).to_string());
                }
                forget.push(one.intent);
            }
            _ => settle.push(one),
        }
    }
    let renames: Vec<Pending> = settle
        .iter()
        .filter(|one| one.intent.is_removal() || layout.tmp().join(&one.intent.temporary).is_file())
        .map(|one| Pending {
            key: one.key.clone(),
            intent: one.intent.clone(),
        })
        .collect();
    publish::rename_all(layout, &renames)?;
    publish::flush_renamed(layout, &settle)?;
    catalog.transaction(|catalog| {
        let settled: Vec<_> = settle.into_iter().map(|one| one.intent).collect();
        catalog.settle_intents(&settled)?;
        forget
            .iter()
            .try_for_each(|intent| catalog.drop_intent(intent))
    })
}
