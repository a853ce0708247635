//! The user's own calendars, which override the compiled-in ones.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::table::{Rules, Table};
use super::{Error, compiled_rules, exchanges};

/// A folder of calendar files.
///
/// `XNYS.csv` overrides that calendar, for every exchange that follows it; `NASDAQ.csv` that
/// exchange only, after `XNYS.csv`. A file with any other name must be a complete calendar. Lines
/// are applied in order, after those of the calendar that the file overrides: `closed` cancels a
/// session, `session` adds or changes one.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    files: HashMap<String, (PathBuf, Arc<str>)>,
}

impl Overrides {
    /// Reads all `.csv` files of a folder. A folder that doesn't exist overrides nothing.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let unreadable = |path: &Path, source| Error::Unreadable {
            path: path.to_owned(),
            source,
        };
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(dir, error)),
        };
        let mut loaded = Self::default();
        for entry in entries {
            let path = entry.map_err(|error| unreadable(dir, error))?.path();
            let is_csv = path
                .extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            if !is_csv {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let code = stem.to_ascii_uppercase();
            loaded.files.insert(code, (path, text.into()));
        }
        // Report a bad file now, not at the first use of its exchange.
        for code in loaded.files.keys() {
            loaded.table(code, exchanges::calendar_of(code))?;
        }
        Ok(loaded)
    }

    /// Adds the files of `over`, which replace files of the same name: those of the store first,
    /// then those of the command line.
    #[must_use]
    pub fn and(mut self, over: Self) -> Self {
        self.files.extend(over.files);
        self
    }

    /// Codes of calendars that only these files have.
    pub(super) fn own_codes(&self) -> impl Iterator<Item = String> + '_ {
        self.files
            .keys()
            .filter(|code| exchanges::calendar_of(code).is_none())
            .cloned()
    }

    /// The calendar of an exchange code that follows the compiled-in calendar `name`; `None` if no
    /// file overrides it.
    pub(super) fn table(
        &self,
        code: &str,
        name: Option<&'static str>,
    ) -> Result<Option<Arc<Table>>, Error> {
        let over_calendar = name.filter(|name| *name != code);
        let layers: Vec<&(PathBuf, Arc<str>)> = over_calendar
            .into_iter()
            .chain([code])
            .filter_map(|layer| self.files.get(layer))
            .collect();
        let Some((last, _)) = layers.last() else {
            return Ok(None);
        };
        let bad = |path: &Path, why| Error::BadFile {
            path: path.to_owned(),
            why,
        };
        let mut rules = match name {
            Some(name) => compiled_rules(name).map_err(|why| bad(last, why))?,
            None => Rules::default(),
        };
        for (path, text) in &layers {
            rules.apply(text).map_err(|why| bad(path, why))?;
        }
        let table = rules.build().map_err(|why| bad(last, why))?;
        Ok(Some(Arc::new(table)))
    }
}
