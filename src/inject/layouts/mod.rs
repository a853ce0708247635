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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::vendors;
    use crate::inject::settings::Label;

    /// The rows of the table of layouts in `docs/csv.md`, by name: zone, label and exchange.
    fn documented() -> BTreeMap<&'static str, [&'static str; 3]> {
        let text = include_str!("../../../docs/csv.md");
        let (_, table) = text.split_once("| layout |").unwrap();
        let mut found = BTreeMap::new();
        for row in table.lines().skip(2).take_while(|row| !row.is_empty()) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, names, _, zone, label, exchange, _] = cells[..] else {
                panic!("{row}");
            };
            for name in names.split(", ") {
                let is_new = found.insert(name, [zone, label, exchange]).is_none();
                assert!(is_new, "{name} is there twice");
            }
        }
        found
    }

    #[test]
    fn the_document_lists_all_layouts() {
        let documented = documented();
        let layouts: BTreeMap<&str, _> = vendors::all().map(|one| (one.name, one)).collect();
        let names: Vec<_> = documented.keys().collect();
        assert_eq!(names, layouts.keys().collect::<Vec<_>>());
        for (name, [zone, label, exchange]) in documented {
            let layout = layouts[name];
            assert_eq!(zone.is_empty(), layout.zone.is_none(), "{name}: {zone}");
            assert_eq!(label == "close", layout.label == Label::Close, "{name}");
            let shown = match exchange {
                "" => super::DEFAULT_EXCHANGE,
                code => code,
            };
            assert_eq!(shown, layout.exchange, "{name}");
        }
    }
}
