//! Lists of texts that cannot be made long to fill memory.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Texts, no more than `MAX`: a list that was made long to fill memory is not read to its end.
struct Few<const MAX: usize>(Vec<String>);

impl<'de, const MAX: usize> Deserialize<'de> for Few<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Texts<MAX> {
            type Value = Few<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of {MAX} texts at most")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    if texts.len() == MAX {
                        return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                    }
                    texts.push(text);
                }
                Ok(Few(texts))
            }
        }
        deserializer.deserialize_seq(Texts)
    }
}

/// Reads a list.
pub(super) fn a_few<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Few::<MAX>::deserialize(deserializer).map(|few| few.0)
}

/// Reads a list, or none.
pub(super) fn few<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Option::<Few<MAX>>::deserialize(deserializer)?.map(|few| few.0))
}
