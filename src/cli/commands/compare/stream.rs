//! Rows that are written while the comparison runs: sessions, or bars.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;

use crate::cli::rows::{Out, RowFormat, RowWriter};
use crate::compare::Compared;
use crate::documents;

/// Writes rows as they come. As JSON they are a list in the document of the comparison, before its
/// series, which are complete only after them.
pub(super) struct Stream {
    rows: RowWriter,
    /// Of a JSON document.
    document: Option<Shared>,
}

impl Stream {
    /// Rows with the columns of `sample`; `list` is the name of their list in JSON.
    pub fn new(out: Out, format: RowFormat, list: &str, sample: &RecordBatch) -> io::Result<Self> {
        if format != RowFormat::Json {
            return Ok(Self {
                rows: RowWriter::new(format, &sample.schema(), out)?,
                document: None,
            });
        }
        let mut shared = Shared(Arc::new(Mutex::new(out)));
        write!(shared, "{{\"{list}\": ")?;
        Ok(Self {
            rows: RowWriter::new(format, &sample.schema(), Box::new(shared.clone()))?,
            document: Some(shared),
        })
    }

    pub fn write(&mut self, rows: &RecordBatch) -> io::Result<()> {
        match rows.num_rows() {
            0 => Ok(()),
            _ => self.rows.write(rows),
        }
    }

    /// Writes the rest, and as JSON the series.
    pub fn finish(self, compared: &Compared) -> io::Result<()> {
        self.rows.finish()?;
        let Some(mut out) = self.document else {
            return Ok(());
        };
        let document = serde_json::to_string_pretty(&documents::comparison(compared))?;
        // The fields of the document continue the object that the list has begun.
        writeln!(out, ",{}", document.trim_start_matches('{'))?;
        out.flush()
    }
}

/// One output for the rows and for what is around them.
#[derive(Clone)]
struct Shared(Arc<Mutex<Out>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.flush()
    }
}
