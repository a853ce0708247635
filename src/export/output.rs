//! Where a command may write: every output file and folder is checked here.
//!
//! [`AtomicFile`](super::AtomicFile) and the exports accept an [`OutputFile`] or an
//! [`OutputFolder`], which only a [`Guard`] makes: **nothing can write to an unchecked path.** A
//! link is followed: the file that it points to is replaced, and the link stays.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::links::{Followed, Id, follow, id, id_of, ids_of, links};
use super::{BadOutput, Error, Format};
use crate::store::is_store;

/// The files and folders that the outputs of a command must not touch.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Folders of the stores that the command may open; they need not exist. Any other folder that
    /// looks like a store is protected too.
    pub stores: Vec<PathBuf>,
    /// Files and folders that the command reads.
    pub inputs: Vec<PathBuf>,
    /// Whether the command reads files of this name from an input folder.
    pub is_read: fn(&str) -> bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            stores: Vec::new(),
            inputs: Vec::new(),
            is_read: |_| true,
        }
    }
}

/// A file that may be written: outside every store, and not an input of the command.
#[derive(Clone, Debug)]
pub struct OutputFile {
    typed: PathBuf,
    /// Links followed.
    real: PathBuf,
    /// Whether it is this process's standard output by another name, as `/dev/stdout` is.
    is_stdout: bool,
    special: Option<Arc<Special>>,
}

/// A pipe, a device or a descriptor: it is open already, and is written to directly.
#[derive(Debug)]
struct Special {
    file: File,
    is_closed: AtomicBool,
}

/// Writes to a special file, and remembers whether its reader closed it.
pub(super) struct SpecialWriter(Arc<Special>);

impl Write for SpecialWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&self.0.file).write(bytes);
        written.inspect_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.0.is_closed.store(true, Ordering::Relaxed);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder that may be filled.
#[derive(Clone, Debug)]
pub struct OutputFolder {
    typed: PathBuf,
    real: PathBuf,
    guard: Arc<Guard>,
}

impl OutputFile {
    /// The path as typed.
    #[must_use]
    pub fn typed(&self) -> &Path {
        &self.typed
    }

    /// The path with links followed.
    #[must_use]
    pub fn real(&self) -> &Path {
        &self.real
    }

    /// The open file, if the path is not one that can be replaced.
    #[must_use]
    pub fn special(&self) -> Option<&File> {
        self.special.as_deref().map(|special| &special.file)
    }

    /// Whether it is this process's standard output by another name, as `/dev/stdout` is.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Whether the reader of the pipe closed it while it was written.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let special = self.special.as_ref();
        special.is_some_and(|special| special.is_closed.load(Ordering::Relaxed))
    }

    pub(super) fn special_writer(&self) -> Option<SpecialWriter> {
        self.special.clone().map(SpecialWriter)
    }

    /// The format by the extension; CSV for a pipe or a device without a known one.
    pub fn format(&self) -> Result<Format, Error> {
        match Format::of(&self.typed) {
            Err(_) if self.special.is_some() => Ok(Format::Csv),
            format => format,
        }
    }
}

impl OutputFolder {
    /// The path as typed.
    #[must_use]
    pub fn typed(&self) -> &Path {
        &self.typed
    }

    /// The path with links followed.
    pub(super) fn real(&self) -> &Path {
        &self.real
    }

    /// A file in the folder. Checks for links and stores inside the folder.
    pub fn file(&self, relative: &Path) -> Result<OutputFile, BadOutput> {
        let typed = self.typed.join(relative);
        let direct = self.real.join(relative);
        let folders = relative.ancestors().skip(1).filter(|a| *a != Path::new(""));
        if let Some(folder) = folders.into_iter().find(|at| is_store(&self.real.join(at))) {
            return Err(BadOutput::HoldsStore {
                store: self.typed.join(folder),
            });
        }
        if follow(&direct).is_ok_and(|followed| followed.real == direct) {
            return Ok(OutputFile {
                typed,
                real: direct,
                is_stdout: false,
                special: None,
            });
        }
        self.guard.file(&typed)
    }
}

impl Guard {
    /// A file that may be written. One that can't be replaced (a pipe, a device, `/dev/stdout`) is
    /// opened now, which waits for the reader of a pipe.
    pub fn file(&self, typed: &Path) -> Result<OutputFile, BadOutput> {
        let (followed, metadata) = self.check_file(typed)?;
        let is_special = metadata.is_some_and(|metadata| !metadata.is_file());
        let special = if followed.is_descriptor || is_special {
            // Appending keeps the content for `>> file`; for a pipe or a device it makes no
            // difference.
            let file = OpenOptions::new().append(true).open(typed);
            Some(Arc::new(Special {
                file: file.map_err(|source| io_error(typed, source))?,
                is_closed: AtomicBool::new(false),
            }))
        } else {
            None
        };
        Ok(OutputFile {
            typed: typed.to_owned(),
            real: followed.real,
            is_stdout: followed.is_stdout,
            special,
        })
    }

    /// A folder that may be filled.
    pub fn folder(&self, typed: &Path) -> Result<OutputFolder, BadOutput> {
        let followed = follow(typed).map_err(|source| io_error(typed, source))?;
        self.check_outside_stores(typed, &followed.real)?;
        if fs::metadata(&followed.real).is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(BadOutput::NotAFolder {
                path: typed.to_owned(),
            });
        }
        Ok(OutputFolder {
            typed: typed.to_owned(),
            real: followed.real,
            guard: Arc::new(self.clone()),
        })
    }

    /// Checks that a path, links followed, is outside every store.
    pub fn outside_stores(&self, typed: &Path) -> Result<(), BadOutput> {
        let followed = follow(typed).map_err(|source| io_error(typed, source))?;
        self.check_outside_stores(typed, &followed.real)?;
        match fs::metadata(typed) {
            Ok(metadata) if links(&metadata) > 1 => self.check_links(typed, &metadata),
            _ => Ok(()),
        }
    }

    fn check_file(&self, typed: &Path) -> Result<(Followed, Option<Metadata>), BadOutput> {
        let followed = follow(typed).map_err(|source| io_error(typed, source))?;
        self.check_outside_stores(typed, &followed.real)?;
        for store in &self.stores {
            if follow(store).is_ok_and(|store| store.real.starts_with(&followed.real)) {
                return Err(BadOutput::AboveStore {
                    path: typed.to_owned(),
                    store: store.clone(),
                });
            }
        }
        let metadata = fs::metadata(typed).ok();
        let text = typed.to_string_lossy();
        if metadata.as_ref().is_some_and(Metadata::is_dir)
            || text.ends_with(std::path::is_separator)
        {
            return Err(BadOutput::Folder {
                path: typed.to_owned(),
            });
        }
        let file = metadata.as_ref().filter(|metadata| metadata.is_file());
        if let Some(file) = file.filter(|file| links(file) > 1 || followed.is_descriptor) {
            self.check_links(typed, file)?;
        }
        if metadata.as_ref().is_none_or(Metadata::is_file) {
            self.check_inputs(typed, &followed.real, metadata.as_ref())?;
        }
        Ok((followed, metadata))
    }

    /// Checks that a path is outside every store.
    fn check_outside_stores(&self, typed: &Path, real: &Path) -> Result<(), BadOutput> {
        let inside = |store: &Path| BadOutput::InsideStore {
            path: typed.to_owned(),
            store: store.to_owned(),
        };
        for store in &self.stores {
            if follow(store).is_ok_and(|store| real.starts_with(store.real)) {
                return Err(inside(store));
            }
            // Finds other spellings of the same folder, and parts of the store that are links.
            let ids = ids_of(store);
            if real
                .ancestors()
                .any(|dir| id_of(dir).is_some_and(|id| ids.contains(&id)))
            {
                return Err(inside(store));
            }
        }
        match real.ancestors().find(|dir| is_store(dir)) {
            Some(store) => Err(inside(store)),
            None => Ok(()),
        }
    }

    /// Checks that a file with several names, or an open one, isn't a file of a store.
    fn check_links(&self, typed: &Path, metadata: &Metadata) -> Result<(), BadOutput> {
        fn find(dir: &Path, wanted: Option<Id>) -> Option<PathBuf> {
            fs::read_dir(dir).ok()?.flatten().find_map(|entry| {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => find(&path, wanted),
                    _ => (id_of(&path) == wanted).then_some(path),
                }
            })
        }
        let wanted = id(metadata);
        let mut stores = self.stores.iter();
        match stores.find_map(|store| wanted.and_then(|_| find(store, wanted))) {
            Some(file) => Err(BadOutput::StoreFile {
                path: typed.to_owned(),
                file,
            }),
            None => Ok(()),
        }
    }

    /// Checks that the command doesn't read the file.
    fn check_inputs(
        &self,
        typed: &Path,
        real: &Path,
        metadata: Option<&Metadata>,
    ) -> Result<(), BadOutput> {
        let own = metadata.and_then(id);
        for input in &self.inputs {
            let Ok(followed) = follow(input) else {
                continue;
            };
            let is_same = own.is_some_and(|own| id_of(input) == Some(own));
            if is_same || followed.real == real {
                return Err(BadOutput::Input {
                    path: typed.to_owned(),
                });
            }
            let name = real.file_name().unwrap_or_default().to_string_lossy();
            if followed.real.is_dir() && real.starts_with(&followed.real) && (self.is_read)(&name) {
                return Err(BadOutput::InsideInput {
                    path: typed.to_owned(),
                    folder: input.clone(),
                });
            }
        }
        Ok(())
    }
}

fn io_error(typed: &Path, source: io::Error) -> BadOutput {
    BadOutput::Io {
        path: typed.to_owned(),
        source,
    }
}
