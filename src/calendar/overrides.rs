//! Calendars of the user's own, laid over the compiled-in ones.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::table::{Rules, Table};
use super::{Error, compiled_rules, exchanges};

/// A folder of calendar files, read.
///
/// A file's name says what it is laid over: `XNYS.csv` over that calendar, for every exchange that follows it; `NASDAQ.csv`
/// for that exchange alone, over `XNYS.csv`. A file of any other name is a calendar of its own and has to be whole. Lines
/// are applied in their order, after those of the file below: `closed` cancels a session, `session` makes or changes one.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    files: HashMap<String, (PathBuf, Arc<str>)>,
}

impl Overrides {
    /// Reads every `.csv` file of a folder. A folder that does not exist overrides nothing.
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
        // A bad file is told now, not when its exchange is first asked for.
        for code in loaded.files.keys() {
            loaded.table(code, exchanges::calendar_of(code))?;
        }
        Ok(loaded)
    }

    /// Lays the files of `over` over these: a store's own folder, then the one named on the command line. A file of the
    /// same name takes the other's place.
    #[must_use]
    pub fn and(mut self, over: Self) -> Self {
        self.files.extend(over.files);
        self
    }

    /// Codes that only these files know.
    pub(super) fn own_codes(&self) -> impl Iterator<Item = String> + '_ {
        self.files
            .keys()
            .filter(|code| exchanges::calendar_of(code).is_none())
            .cloned()
    }

    /// The days of an exchange code that follows the calendar `name`; `None` where no file concerns it.
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
            rules.lay_over(text).map_err(|why| bad(path, why))?;
        }
        let table = rules.build().map_err(|why| bad(last, why))?;
        Ok(Some(Arc::new(table)))
    }
}
