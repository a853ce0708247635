//! Standard output, for data alone.
//!
//! A reader who went away (`| head`) is remembered here; the frame then ends the program quietly, whatever error the
//! command made of it. Any other failure is remembered too, so that `> /dev/full` cannot look like success.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What went wrong while writing, shared by all writers of one run.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<io::Error>>>);

impl Trouble {
    fn remember(&self, error: &io::Error) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(io::Error::new(error.kind(), error.to_string()));
        }
    }

    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A buffered writer to standard output. Dropping it writes out what is buffered.
pub struct Stdout(BufWriter<Raw>);

impl Stdout {
    pub(super) fn open(trouble: &Trouble) -> io::Result<Self> {
        let raw = Raw {
            sink: sink()?,
            trouble: trouble.clone(),
        };
        Ok(Self(BufWriter::with_capacity(1 << 16, raw)))
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

struct Raw {
    sink: Box<dyn Write + Send>,
    trouble: Trouble,
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink
            .write(bytes)
            .inspect_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => {}
                _ => self.trouble.remember(error),
            })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink
            .flush()
            .inspect_err(|error| self.trouble.remember(error))
    }
}

/// The bare descriptor: std's own handle would flush at every line.
#[cfg(unix)]
fn sink() -> io::Result<Box<dyn Write + Send>> {
    use std::os::fd::AsFd;
    let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(Box::new(std::fs::File::from(descriptor)))
}

#[cfg(not(unix))]
fn sink() -> io::Result<Box<dyn Write + Send>> {
    Ok(Box::new(io::stdout()))
}
