//! What a query prints: its rows, or the lines of a plan.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::names;
use super::statement::Statement;
use crate::cli::rows::{Out, RowFormat, RowWriter};

/// Rows that are counted after the last one that is printed.
const COUNTED_MAX: u64 = 1_000_000;

/// How many rows a query has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    total: u64,
    printed: u64,
    /// Whether the count stopped at `total`, so that there may be more.
    is_more: bool,
}

impl Count {
    /// What to report if rows were left out.
    pub fn note(self) -> Option<String> {
        let Self { total, printed, .. } = self;
        let more = if self.is_more { "at least " } else { "" };
        let note =
            || format!("note: {printed} of {more}{total} rows; --limit 0 prints all of them");
        (printed < total).then(note)
    }
}

/// Prints the batches of a query.
pub(super) struct Printer {
    out: Option<Form>,
    schema: SchemaRef,
    rows_max: u64,
    count: Count,
}

enum Form {
    Rows(RowWriter),
    /// The lines of EXPLAIN.
    Plan(Out),
}

impl Printer {
    pub fn new(
        statement: &Statement,
        format: RowFormat,
        schema: &SchemaRef,
        out: Out,
        rows_max: Option<u64>,
    ) -> io::Result<Self> {
        let fields = schema.fields().iter();
        let found: Vec<&str> = fields.clone().map(|field| field.name().as_str()).collect();
        let names = names::of_columns(&found, &statement.aliases);
        let fields = fields.zip(names).map(|(field, name)| {
            Field::new(name, field.data_type().clone(), field.is_nullable())
                .with_metadata(field.metadata().clone())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let out = if statement.is_explain && format == RowFormat::Table {
            Form::Plan(out)
        } else {
            Form::Rows(RowWriter::new(format, &schema, out)?)
        };
        Ok(Self {
            out: Some(out),
            schema,
            rows_max: rows_max.unwrap_or(u64::MAX),
            count: Count::default(),
        })
    }

    /// Prints a batch. Returns whether more batches are wanted.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<bool> {
        let rows = batch.num_rows();
        let left = usize::try_from(self.rows_max - self.count.printed).unwrap_or(usize::MAX);
        let printed = rows.min(left);
        self.count.total += rows as u64;
        self.count.printed += printed as u64;
        let batch = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())
            .map_err(io::Error::other)?
            .slice(0, printed);
        match &mut self.out {
            Some(Form::Rows(writer)) if printed > 0 => writer.write(&batch)?,
            Some(Form::Plan(out)) => print_plan(out, &batch)?,
            _ => {}
        }
        if printed == rows {
            return Ok(true);
        }
        // What is printed is shown while the rest is counted.
        self.end()?;
        self.count.is_more = self.count.total - self.count.printed >= COUNTED_MAX;
        Ok(!self.count.is_more)
    }

    /// Prints the rest.
    pub fn finish(mut self) -> io::Result<Count> {
        self.end()?;
        Ok(self.count)
    }

    fn end(&mut self) -> io::Result<()> {
        match self.out.take() {
            Some(Form::Rows(writer)) => writer.finish(),
            Some(Form::Plan(mut out)) => out.flush(),
            None => Ok(()),
        }
    }
}

/// Prints the last column: the plan, of many lines.
fn print_plan(out: &mut Out, batch: &RecordBatch) -> io::Result<()> {
    let Some(plans) = (batch.columns().last()).and_then(|column| column.as_string_opt::<i32>())
    else {
        return Err(io::Error::other("EXPLAIN returned no text"));
    };
    for line in plans.iter().flatten().flat_map(str::lines) {
        let line = line.trim_end();
        if line.contains(char::is_control) {
            writeln!(out, "{}", line.escape_debug())?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow::array::Int64Array;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Prints batches of this many rows. Returns the lines, the note, and the batches read.
    fn printed(batches: &[usize], rows_max: Option<u64>) -> (usize, Option<String>, usize) {
        let statement = Statement {
            sql: String::new(),
            is_explain: false,
            tables: Vec::new(),
            aliases: Vec::new(),
        };
        let array = |rows: usize| Arc::new(Int64Array::from(vec![7; rows])) as _;
        let batch = |rows| RecordBatch::try_from_iter([("n", array(rows))]).unwrap();
        let out = Shared::default();
        let mut printer = Printer::new(
            &statement,
            RowFormat::Csv,
            &batch(0).schema(),
            Box::new(out.clone()),
            rows_max,
        )
        .unwrap();
        let more = batches
            .iter()
            .take_while(|rows| printer.write(&batch(**rows)).unwrap());
        let read = more.count();
        let note = printer.finish().unwrap().note();
        let lines = out.0.lock().unwrap().split(|byte| *byte == b'\n').count() - 2;
        (lines, note, read)
    }

    #[test]
    fn rows_beyond_the_limit_are_counted() {
        let note = |text: &str| Some(format!("note: {text}; --limit 0 prints all of them"));
        assert_eq!(printed(&[3, 3], None), (6, None, 2));
        assert_eq!(printed(&[3, 3], Some(6)), (6, None, 2));
        assert_eq!(printed(&[3, 3], Some(5)), (5, note("5 of 6 rows"), 2));
        assert_eq!(printed(&[3, 3, 3], Some(2)), (2, note("2 of 9 rows"), 3));
        assert_eq!(printed(&[3, 3], Some(3)), (3, note("3 of 6 rows"), 2));
        assert_eq!(printed(&[0], Some(3)), (0, None, 1));
        assert_eq!(
            printed(&[600_000; 5], Some(3)),
            (3, note("3 of at least 1200000 rows"), 1)
        );
    }
}
