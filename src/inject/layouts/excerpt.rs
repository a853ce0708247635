//! The start of a file, by which layouts are recognised.

use crate::inject::filename::words;
use crate::inject::sample::{FieldKind, Fields};

/// The start of a file, and its name.
pub(in crate::inject) struct Excerpt<'e> {
    /// The normalised names of the header; empty without a header.
    pub(in crate::inject) names: &'e [String],
    /// The lines above the header.
    pub(in crate::inject) above: &'e [Fields<'e>],
    /// The first rows.
    pub(in crate::inject) rows: &'e [Fields<'e>],
    /// The kinds of the first row's fields.
    pub(in crate::inject) kinds: &'e [FieldKind],
    pub(in crate::inject) delimiter: u8,
    /// The file's name without its ending.
    pub(in crate::inject) stem: &'e str,
    /// Whether the header has several lines, as yfinance writes them.
    pub(in crate::inject) is_yfinance: bool,
}

impl Excerpt<'_> {
    /// Whether the header has all of these names.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        let mut names = names.iter();
        !self.names.is_empty() && names.all(|name| self.names.iter().any(|known| known == name))
    }

    /// Whether the header has exactly these names, in this order. They are separated by blanks.
    pub(super) fn is(&self, names: &str) -> bool {
        !self.names.is_empty() && names.split(' ').eq(self.names.iter().map(String::as_str))
    }

    /// Whether there is no header, and the first fields of the first row have these forms: `d` is a
    /// digit, any other character is itself. Numbers follow, as many as `numbers` allows.
    pub(super) fn row_is(&self, forms: &[&str], numbers: std::ops::RangeInclusive<usize>) -> bool {
        let Some(row) = self.rows.first().filter(|_| self.names.is_empty()) else {
            return false;
        };
        let rest = self.kinds.get(forms.len()..).unwrap_or_default();
        numbers.contains(&rest.len())
            && rest.iter().all(|kind| kind.is_number())
            && row
                .iter()
                .zip(forms)
                .all(|(field, form)| has_form(field, form))
    }

    /// Whether a field of the first row has this form.
    pub(super) fn has_field(&self, form: &str) -> bool {
        let mut fields = self.rows.first().into_iter().flatten();
        fields.any(|field| has_form(field, form))
    }

    /// Whether a line above the header has this text, which is in lower case.
    pub(super) fn has_above(&self, text: &str) -> bool {
        let mut fields = self.above.iter().flatten();
        fields.any(|field| {
            String::from_utf8_lossy(field)
                .to_ascii_lowercase()
                .contains(text)
        })
    }

    /// Whether the name has one of these words, in any case.
    pub(super) fn is_named(&self, known: &[&str]) -> bool {
        words(self.stem).any(|word| known.iter().any(|known| word.eq_ignore_ascii_case(known)))
    }
}

fn has_form(field: &[u8], form: &str) -> bool {
    let field = field.trim_ascii();
    field.len() == form.len()
        && field
            .iter()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                mark => *byte == mark,
            })
}
