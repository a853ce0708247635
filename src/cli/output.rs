//! Standard output, for data alone.
//!
//! A reader that closed the pipe (`| head`) is remembered here, and the program then ends quietly,
//! even if the command made an error of it. Any other failure is remembered too, so that
//! `> /dev/full` can't look like success.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The first error of writing to standard output, shared by all writers of one command.
#[derive(Clone, Default)]
pub(super) struct OutputError(Arc<Mutex<Option<io::Error>>>);

impl OutputError {
    fn remember(&self, error: &io::Error) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
    }

    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A buffered writer to standard output. Dropping it writes out what is buffered.
pub struct Stdout(BufWriter<Watched>);

impl Stdout {
    pub(super) fn open(error: &OutputError) -> io::Result<Self> {
        Ok(Self::to(descriptor()?, error))
    }

    /// Writes to a file that is standard output, as `/dev/stdout` is.
    pub(super) fn to(file: File, error: &OutputError) -> Self {
        let error = error.clone();
        Self(BufWriter::with_capacity(1 << 16, Watched { file, error }))
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Remembers the first error of the file.
struct Watched {
    file: File,
    error: OutputError,
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        written.inspect_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => {}
            _ => self.error.remember(error),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bare descriptor: std's own handle would flush at every line.
#[cfg(unix)]
fn descriptor() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn descriptor() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}
