//! Opens a file: decides how to read it, up to its first row.

use super::error::FileError;
use super::layouts::FileName;
use super::plan::Plan;
use super::planner::Planner;
use super::read::Blocks;
use super::settings::Settings;
use super::source::Source;

/// A file whose rows can be read.
pub(super) struct Opened {
    pub(super) plan: Plan,
    pub(super) blocks: Blocks,
    /// What the user should check.
    pub(super) warnings: Vec<String>,
    /// Where the rows begin, in bytes of the text.
    pub(super) data_at: usize,
}

impl Opened {
    /// Reads the rows again, from the first.
    pub(super) fn again(
        source: &Source,
        settings: &Settings,
        delimiter: u8,
        data_at: usize,
    ) -> Result<Blocks, FileError> {
        let mut blocks = Blocks::open(source, settings)?;
        blocks.head()?;
        blocks.start(data_at, delimiter);
        Ok(blocks)
    }
}

/// Opens a file and decides how to read it; `None` if it has no rows. What its head doesn't decide
/// takes one more reading of the file.
pub(super) fn open(
    planner: &Planner<'_>,
    settings: &Settings,
    source: &Source,
    name: &FileName,
    stem: &str,
    stopped: impl Fn() -> bool,
) -> Result<Option<Opened>, FileError> {
    let mut blocks = Blocks::open(source, settings)?;
    let head = blocks.head()?;
    let form = head.form;
    // Other forms have no lines above their rows.
    let skip_lines = match form {
        Some(_) => 0,
        None => settings.skip_lines,
    };
    let draft = match planner.draft(head.text, head.last, skip_lines, name, stem) {
        Ok(Some(draft)) => draft,
        // What could be read of the file isn't enough.
        unknown @ (Ok(None) | Err(FileError::Unrecognised)) => {
            return match blocks.rest().failure {
                Some(error) => Err(error.into()),
                None => unknown.map(|_| None),
            };
        }
        Err(error) => return Err(error),
    };
    let (mut plan, mut evidence, data_at) = (draft.plan, draft.evidence, draft.data_at);
    let layout = draft.layout;
    evidence.observe(head.text.get(data_at..head.whole).unwrap_or_default());
    if !evidence.is_decided() && !head.last {
        let mut all = Opened::again(source, settings, plan.delimiter, data_at)?;
        // If the file ends early, the reading that follows reports it.
        while !evidence.is_decided()
            && let Ok(Some(block)) = all.next()
        {
            if stopped() {
                return Err(FileError::Stopped);
            }
            evidence.observe(&block.text);
            all.give_back(block);
        }
    }
    let decided = evidence.decide(plan.has_weekends())?;
    planner.complete(&mut plan, layout, &decided);
    if let Some(form) = form {
        planner.set_form(&mut plan, form);
    }
    let mut warnings = draft.warnings;
    warnings.extend(decided.warning);
    blocks.start(data_at, plan.delimiter);
    Ok(Some(Opened {
        plan,
        blocks,
        warnings,
        data_at,
    }))
}
