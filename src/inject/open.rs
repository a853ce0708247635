//! A dump opened: how it is to be read is known, and its rows come next.

use super::error::FileError;
use super::filename::FromName;
use super::plan::{Plan, Sniffer};
use super::read::Blocks;
use super::settings::Settings;
use super::source::Source;

/// A dump whose rows can be read.
pub(super) struct Opened {
    pub(super) plan: Plan,
    /// Its rows.
    pub(super) blocks: Blocks,
    /// A decision that only custom supports, and the option that settles it.
    pub(super) warning: Option<String>,
    data_at: usize,
}

impl Opened {
    /// The rows once more, from the first.
    pub(super) fn again(
        source: &Source,
        settings: &Settings,
        delimiter: u8,
        data_at: usize,
    ) -> Result<Blocks, FileError> {
        let mut blocks = Blocks::open(source, settings)?;
        blocks.head()?;
        blocks.begin(data_at, delimiter);
        Ok(blocks)
    }

    /// Where the rows begin, in bytes of the text.
    pub(super) fn data_at(&self) -> usize {
        self.data_at
    }
}

/// Opens a dump and finds out how to read it; `None` when it holds no rows. What its head leaves open is looked for in
/// all of it, which takes one more reading.
pub(super) fn open(
    sniffer: &Sniffer<'_>,
    settings: &Settings,
    source: &Source,
    name: &FromName,
    stem: &str,
    stopped: impl Fn() -> bool,
) -> Result<Option<Opened>, FileError> {
    let mut blocks = Blocks::open(source, settings)?;
    let head = blocks.head()?;
    let Some(sniffed) = sniffer.sniff(head.text, head.last, name, stem)? else {
        return Ok(None);
    };
    let (mut plan, mut evidence, data_at) = (sniffed.plan, sniffed.evidence, sniffed.data_at);
    evidence.hear(head.text.get(data_at..head.whole).unwrap_or_default());
    if !evidence.is_settled() && !head.last {
        let mut all = Opened::again(source, settings, plan.delimiter, data_at)?;
        // Where it breaks off, the reading that counts reports it.
        while !evidence.is_settled()
            && let Ok(Some(block)) = all.next()
        {
            if stopped() {
                return Err(FileError::Stopped);
            }
            evidence.hear(&block.text);
            all.give_back(block);
        }
    }
    let decided = evidence.decide(plan.weekends())?;
    plan.decided(&decided);
    blocks.begin(data_at, plan.delimiter);
    Ok(Some(Opened {
        plan,
        blocks,
        warning: decided.warning,
        data_at,
    }))
}
