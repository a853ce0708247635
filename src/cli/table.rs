//! Tables for people: columns two spaces apart, numbers to the right.

use std::io::{self, Write};

/// Rows that are looked at before the first is printed; longer values further down stand out of line.
const LOOKAHEAD_ROWS: usize = 1_000;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether its values stand to the right, as numbers do.
    pub right: bool,
}

impl Column {
    /// A column of texts.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            right: false,
        }
    }

    /// A column of numbers.
    #[must_use]
    pub fn number(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            right: true,
        }
    }
}

/// Prints rows as they come, however many; the first thousand settle how wide the columns are.
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

    /// Adds a row: one value a column.
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
            self.settle()?;
        }
        Ok(())
    }

    /// Prints what waits, and the headings where there was no row.
    pub fn finish(mut self) -> io::Result<()> {
        if self.widths.is_none() {
            self.settle()?;
        }
        self.out.flush()
    }

    fn settle(&mut self) -> io::Result<()> {
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
    for (place, ((column, width), value)) in columns.iter().zip(widths).zip(values).enumerate() {
        if place > 0 {
            line.push_str("  ");
        }
        if column.right {
            line.push_str(&format!("{value:>width$}"));
        } else {
            line.push_str(&format!("{value:<width$}"));
        }
    }
    writeln!(out, "{}", line.trim_end())
}

/// A whole number with commas between the thousands: `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that suits them: `12.3 MiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = number as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{number} B")
    } else {
        format!("{amount:.1} {}", UNITS[unit])
    }
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
    fn long_tables_come_whole() {
        let rows = vec![["a", "1"]; 2_500];
        assert_eq!(table(&rows).lines().count(), 2_501);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(12_900_000), "12.3 MiB");
    }
}
