//! The layouts of CSV files: what is special about each vendor's.
//!
//! Most files need no entry here: the header, or the kinds of values in the first row, show the
//! columns, and the values show how times are written. To add a layout, add an entry to
//! `vendors.rs` and a small file to the corpus of the tests. An entry says by what a file is
//! recognised, and what of it a file doesn't show: zone, label, exchange, names of columns and
//! files.

mod columns;
mod excerpt;
mod file_name;
mod layout;
mod names;
mod rows;
mod vendors;

pub(super) use columns::{Columns, columns_by_content, columns_by_header};
pub(super) use excerpt::Excerpt;
pub(super) use file_name::FileName;
pub(super) use layout::{DEFAULT_EXCHANGE, Layout, PLAIN};

/// The exchanges of all layouts.
pub(super) fn exchanges() -> impl Iterator<Item = &'static str> {
    vendors::all()
        .map(|layout| layout.exchange)
        .chain([PLAIN.exchange])
}
