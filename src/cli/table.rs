//! Tables for people: columns two spaces apart, numbers to the right.
//!
//! Rows are printed as they come, however many; only the first thousand decide the widths.

use std::io::{self, Write};

/// Rows that decide the widths of the columns. A longer value further down shifts its line.
const LOOKAHEAD_ROWS: usize = 1_000;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// Whether the values are numbers, which are aligned to the right.
    pub is_number: bool,
}

impl Column {
    /// A column of texts.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_number: false,
        }
    }

    /// A column of numbers.
    #[must_use]
    pub fn number(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_number: true,
        }
    }
}

/// Prints rows as they come.
pub struct Table<W: Write> {
    out: W,
    columns: Vec<Column>,
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl<W: Write> Table<W> {
    /// A table with its headings.
    pub fn new(out: W, columns: Vec<Column>) -> Self {
        Self {
            out,
            columns,
            waiting: Vec::new(),
            widths: None,
        }
    }

    /// Adds a row, one value per column.
    pub fn row(&mut self, mut values: Vec<String>) -> io::Result<()> {
        for value in &mut values {
            if value.contains(char::is_control) {
                *value = value.escape_debug().to_string();
            }
        }
        if let Some(widths) = &self.widths {
            return print(&mut self.out, &self.columns, widths, &values);
        }
        self.waiting.push(values);
        if self.waiting.len() >= LOOKAHEAD_ROWS {
            self.print_waiting()?;
        }
        Ok(())
    }

    /// Prints the rest. A table without rows still has its headings.
    pub fn finish(mut self) -> io::Result<()> {
        if self.widths.is_none() {
            self.print_waiting()?;
        }
        self.out.flush()
    }

    fn print_waiting(&mut self) -> io::Result<()> {
        let headings: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                std::iter::once(&headings)
                    .chain(&self.waiting)
                    .map(|row| row.get(column).map_or(0, |value| value.chars().count()))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        print(&mut self.out, &self.columns, &widths, &headings)?;
        for row in std::mem::take(&mut self.waiting) {
            print(&mut self.out, &self.columns, &widths, &row)?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

fn print(
    out: &mut impl Write,
    columns: &[Column],
    widths: &[usize],
    values: &[String],
) -> io::Result<()> {
    let mut line = String::new();
    for (index, ((column, width), value)) in columns.iter().zip(widths).zip(values).enumerate() {
        if index > 0 {
            line.push_str("  ");
        }
        if column.is_number {
            line.push_str(&format!("{value:>width$}"));
        } else {
            line.push_str(&format!("{value:<width$}"));
        }
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[&str; 2]]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, vec![Column::text("name"), Column::number("n")]);
        for row in rows {
            table.row(row.map(str::to_owned).to_vec()).unwrap();
        }
        table.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        assert_eq!(
            table(&[["Å", "1"], ["abcdef", "1000"], ["x\ny", ""]]),
            "name       n\nÅ          1\nabcdef  1000\nx\\ny\n"
        );
        assert_eq!(table(&[]), "name  n\n");
    }

    #[test]
    fn long_tables_are_printed_whole() {
        let rows = vec![["a", "1"]; 2_500];
        assert_eq!(table(&rows).lines().count(), 2_501);
    }
}
