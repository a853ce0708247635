//! Enums whose variants are words on the command line, in files and in the catalog.

/// The typed or stored word isn't one of a closed list.
#[derive(Debug, thiserror::Error)]
#[error("{word:?} isn't a {what}; use {}", known.join(", "))]
pub struct UnknownWord {
    /// The word that was read.
    pub word: String,
    /// What it was read as.
    pub what: &'static str,
    /// The words that exist.
    pub known: Vec<&'static str>,
}

/// Implements `ALL`, `as_str`, `Display` and `FromStr` for an enum. Case makes no difference.
macro_rules! words {
    ($type:ident, $what:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// All variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it on the command line and in files.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::model::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let mut all = Self::ALL.iter().copied();
                all.find(|known| known.as_str().eq_ignore_ascii_case(word))
                    .ok_or_else(|| $crate::model::UnknownWord {
                        word: word.to_owned(),
                        what: $what,
                        known: Self::ALL.iter().map(|known| known.as_str()).collect(),
                    })
            }
        }
    };
}

pub(crate) use words;
