//! Finds the files of a run, and copies pipes among them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Error, plain};
use super::file_reader::FileReader;
use super::filename::{TEXTS, any_stem_of, stem_of, strip_end};
use super::folders::Folders;
use super::input::lean::LeanFile;
use super::input::zip::{self, Member};
use super::source::{Kind, Source, copy_of, is_nameless, is_stdin, not_a_file, open_file};
use crate::report::{Event, Observer, Stop};

/// The depth of folders searched. It ends a loop of links.
const DEPTH_MAX: usize = 64;

/// A folder with one of these files is a store, which isn't searched.
const STORE_FILES: [&str; 2] = ["staging.duckdb", "store.lock"];

/// The files to inject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// All CSV files of a folder and its subfolders.
    Folder(PathBuf),
    /// These files, `-` for standard input.
    Files(Vec<PathBuf>),
}

/// A file to inject.
#[derive(Debug)]
pub(super) struct InputFile {
    pub(super) path: PathBuf,
    content: Content,
    /// The path relative to the folder, for messages.
    pub(super) name: String,
    /// Its size on disk.
    pub(super) bytes: u64,
}

#[derive(Debug)]
enum Content {
    /// The content of the file at the path.
    File,
    /// The copy of a pipe.
    Copy(Arc<fs::File>),
    /// A member of an archive: of the file at this path, or of the copy of a pipe.
    Member(Arc<Path>, Member),
    MemberOfCopy(Arc<fs::File>, Member),
    /// It can't be read.
    Unreadable(io::Error),
}

impl InputFile {
    fn new(path: PathBuf, name: String) -> Self {
        Self {
            bytes: fs::metadata(&path).map_or(0, |metadata| metadata.len()),
            path,
            content: Content::File,
            name,
        }
    }

    #[cfg(test)]
    pub(super) fn of_size(name: &str, bytes: u64) -> Self {
        Self {
            bytes,
            ..Self::new(name.into(), name.to_owned())
        }
    }

    /// The stem of its name, without what its folders show.
    pub(super) fn name_stem(&self) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        any_stem_of(&file).0.to_owned()
    }

    /// Whether its bytes are those of its rows.
    pub(super) fn is_plain_text(&self) -> bool {
        let path = self.path.to_string_lossy();
        let is_text = |end| strip_end(&path, end).is_some();
        matches!(self.content, Content::File) && TEXTS.into_iter().any(is_text)
    }

    /// The stem of its name, and its current content.
    pub(super) fn source(&self) -> io::Result<(String, Source)> {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let is_member = matches!(
            self.content,
            Content::Member(..) | Content::MemberOfCopy(..)
        );
        let (stem, packing) = if is_nameless(&self.path) && !is_member {
            ("", None)
        } else {
            // A file named on the command line may have any ending.
            let (stem, packing) = any_stem_of(&file);
            (stem, Some(packing))
        };
        let mut source = match &self.content {
            Content::File => Source::file(&self.path, packing)?,
            Content::Copy(copy) => Source::copy(Arc::clone(copy)),
            Content::Member(archive, member) => {
                Source::file(archive, packing)?.of_member(packing, *member)
            }
            Content::MemberOfCopy(copy, member) => {
                Source::copy(Arc::clone(copy)).of_member(packing, *member)
            }
            Content::Unreadable(error) => {
                return Err(io::Error::new(error.kind(), error.to_string()));
            }
        };
        if let Some(lean) = LeanFile::of(&self.path) {
            if lean.is_quote {
                return Err(io::Error::other("it has quotes, not trades"));
            }
            let stem = format!("{}-1m", lean.ticker);
            source.lean = Some(lean);
            return Ok((stem, source));
        }
        let folders = Folders::of(&self.path);
        source.folders = folders.columns;
        let interval = folders.interval.map(|interval| format!("-{interval}"));
        Ok((stem.to_owned() + &interval.unwrap_or_default(), source))
    }

    /// Its content if it may be an archive: by its name, or as the copy of a pipe by its content.
    fn archive(&self) -> io::Result<Option<FileReader>> {
        match &self.content {
            Content::File if is_archive(&self.path) || is_document(&self.path) => {
                open_file(&self.path).map(Some)
            }
            Content::Copy(copy) => {
                let file = FileReader::new(Arc::clone(copy))?;
                let mut magic = [0; zip::MAGIC.len()];
                let is_zip = file.read_exact_at(&mut magic, 0).is_ok() && magic == zip::MAGIC;
                Ok(is_zip.then_some(file))
            }
            _ => Ok(None),
        }
    }
}

/// The files of a run; pipes among them are copied.
#[derive(Debug, Default)]
pub struct InputFiles(pub(super) Found);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In path order.
    pub(super) files: Vec<InputFile>,
    /// Names of other files in the folder.
    pub(super) others: Vec<String>,
    /// Names of pipes, sockets and devices in the folder.
    pub(super) specials: Vec<String>,
    /// Names of folders that are stores.
    pub(super) stores: Vec<String>,
    /// Names of subfolders that can't be listed.
    pub(super) unreadable: Vec<(String, io::Error)>,
}

/// Lists the files of `input`, and copies pipes among them until `stop` is set. Call it before the
/// store is opened: a pipe can take any time.
pub fn collect(input: &Input, observer: &dyn Observer, stop: &Stop) -> Result<InputFiles, Error> {
    let mut found = find(input)?;
    for file in &mut found.files {
        let kind = if is_stdin(&file.path) {
            Kind::Pipe
        } else if let Ok(metadata) = fs::metadata(&file.path) {
            Kind::of(&metadata)
        } else {
            continue;
        };
        file.content = match kind {
            Kind::File | Kind::Folder => continue,
            Kind::Other => Content::Unreadable(not_a_file()),
            Kind::Pipe => {
                observer.event(&Event::Note(&format!(
                    "[{}] isn't a file: copying it to a temporary file first",
                    file.name
                )));
                match copy_of(&file.path, stop) {
                    Ok(copy) => {
                        file.bytes = copy.metadata().map_or(0, |metadata| metadata.len());
                        Content::Copy(Arc::new(copy))
                    }
                    Err(error) => Content::Unreadable(io::Error::new(
                        error.kind(),
                        format!(
                            "copying it to a temporary file (in TMPDIR) failed: {}",
                            plain(&error)
                        ),
                    )),
                }
            }
        };
    }
    let is_named = matches!(input, Input::Files(_));
    let files = std::mem::take(&mut found.files);
    for file in files {
        match file.archive() {
            Ok(None) => found.files.push(file),
            Ok(Some(archive)) => found.add_members(file, &archive, is_named),
            Err(error) => found.files.push(InputFile {
                content: Content::Unreadable(error),
                ..file
            }),
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(InputFiles(found))
}

/// Whether a file is an archive by its name.
fn is_archive(path: &Path) -> bool {
    has_extension(path, &["zip"])
}

/// Whether a file's name is that of a document which is a zip archive, such as a workbook.
fn is_document(path: &Path) -> bool {
    has_extension(path, &["xlsx", "xlsm", "ods", "npz"])
}

fn has_extension(path: &Path, names: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default();
    names
        .iter()
        .any(|name| extension.eq_ignore_ascii_case(name))
}

impl Found {
    /// Adds the members of an archive, each as a file of its own. If it has none, or can't be read,
    /// the archive fails; in a folder it may be about something else, and is only named.
    fn add_members(&mut self, file: InputFile, archive: &FileReader, is_named: bool) {
        let entries = match zip::list(archive) {
            Ok(entries) => entries,
            Err(why) => {
                self.files.push(InputFile {
                    content: Content::Unreadable(io::Error::other(why)),
                    ..file
                });
                return;
            }
        };
        let names: HashSet<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        let (bars, others): (Vec<_>, Vec<_>) = entries
            .iter()
            .partition(|(name, _)| is_member_of_bars(name, &names));
        if bars.is_empty() && is_named {
            self.files.push(InputFile {
                content: Content::Unreadable(io::Error::other("it has no file of bars")),
                ..file
            });
            return;
        }
        let full_name = |name: &str| format!("{}/{name}", file.name);
        self.others
            .extend(others.iter().map(|(name, _)| full_name(name)));
        let path: Arc<Path> = file.path.as_path().into();
        for (name, member) in bars {
            let content = match (member, &file.content) {
                (Err(why), _) => Content::Unreadable(io::Error::other(why.as_str())),
                (Ok(member), Content::Copy(copy)) => {
                    Content::MemberOfCopy(Arc::clone(copy), *member)
                }
                (Ok(member), _) => Content::Member(Arc::clone(&path), *member),
            };
            self.files.push(InputFile {
                path: file.path.join(name.trim_start_matches('/')),
                name: full_name(name),
                bytes: member.as_ref().map_or(0, |member| member.packed),
                content,
            });
        }
    }
}

/// Whether a member of an archive may have bars. A text with the name of a CSV file is a report on
/// it, as in the archives of HistData.
fn is_member_of_bars(name: &str, names: &HashSet<&str>) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    if name.starts_with("__MACOSX/") || stem_of(file).is_none() {
        return false;
    }
    let Some(stem) = strip_end(name, ".txt") else {
        return true;
    };
    let is_about = ["readme", "license", "licence", "changelog"]
        .iter()
        .any(|word| file[..file.len() - 4].eq_ignore_ascii_case(word));
    !is_about && !names.contains(format!("{stem}.csv").as_str())
}

fn find(input: &Input) -> Result<Found, Error> {
    let mut found = Found::default();
    match input {
        Input::Folder(root) => {
            let listed = list_root(root)?;
            if is_store(&listed) {
                found.stores.push(root.display().to_string());
            } else {
                let mut visited = HashSet::new();
                visited.extend(fs::canonicalize(root));
                descend(root, listed, &mut visited, 0, &mut found);
            }
        }
        Input::Files(paths) => {
            for path in paths {
                let name = path.display().to_string();
                found.files.push(InputFile::new(path.clone(), name));
            }
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.files.dedup_by(|a, b| a.path == b.path);
    for names in [&mut found.others, &mut found.specials, &mut found.stores] {
        names.sort();
    }
    Ok(found)
}

/// Checks that a folder exists and can be listed.
pub(super) fn check(input: &Input) -> Result<(), Error> {
    match input {
        Input::Folder(root) => list_root(root).map(|_| ()),
        Input::Files(_) => Ok(()),
    }
}

fn list_root(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = |source| Error::Folder {
        path: root.to_path_buf(),
        source,
    };
    if !fs::metadata(root).map_err(folder)?.is_dir() {
        return Err(Error::NotAFolder {
            path: root.to_path_buf(),
        });
    }
    list(root).map_err(folder)
}

fn is_store(entries: &[PathBuf]) -> bool {
    entries.iter().any(|path| {
        path.file_name()
            .is_some_and(|name| STORE_FILES.iter().any(|file| name == *file))
    })
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

fn descend(
    root: &Path,
    entries: Vec<PathBuf>,
    visited: &mut HashSet<PathBuf>,
    depth: usize,
    found: &mut Found,
) {
    for path in entries {
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        // Without metadata it counts as a file; reading it reports the reason.
        let kind = fs::metadata(&path).map_or(Kind::File, |metadata| Kind::of(&metadata));
        if kind == Kind::Folder {
            let new = fs::canonicalize(&path).is_ok_and(|real| visited.insert(real));
            if depth == DEPTH_MAX || !new {
                continue;
            }
            match list(&path) {
                Ok(entries) if is_store(&entries) => found.stores.push(name),
                Ok(entries) => descend(root, entries, visited, depth + 1, found),
                Err(error) => found.unreadable.push((name, error)),
            }
        } else if kind != Kind::File {
            found.specials.push(name);
        } else if path
            .file_name()
            .is_some_and(|file| stem_of(&file.to_string_lossy()).is_some())
            || is_archive(&path)
        {
            found.files.push(InputFile::new(path, name));
        } else {
            found.others.push(name);
        }
    }
}
