//! JSON lists of limited length: a longer list is refused before it fills memory.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

struct BoundedList<const MAX: usize>(Vec<String>);

impl<'de, const MAX: usize> Deserialize<'de> for BoundedList<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Items<MAX> {
            type Value = BoundedList<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() == MAX {
                        return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                    }
                    items.push(item);
                }
                Ok(BoundedList(items))
            }
        }
        deserializer.deserialize_seq(Items)
    }
}

/// Reads a list of at most `MAX` strings.
pub(super) fn bounded_list<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    BoundedList::<MAX>::deserialize(deserializer).map(|list| list.0)
}

/// Reads `null`, or a list of at most `MAX` strings.
pub(super) fn optional_bounded_list<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Option::<BoundedList<MAX>>::deserialize(deserializer)?.map(|list| list.0))
}
