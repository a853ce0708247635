//! The part of Thrift's compact protocol that is needed to check a Parquet file before it is
//! decoded.
//!
//! A decoder allocates memory for as many elements as a list declares, and recurses as deep as a
//! schema nests. Untrusted files are walked here first: every length must be within the bytes,
//! lists must be short, and nothing may nest deep.

/// The most elements in a list. A partition's longest list is the columns of a row group.
const LIST_ELEMENTS_MAX: u64 = 1_024;
/// The most elements in a list of any program's file: row groups, or columns of a row group.
const ANY_LIST_ELEMENTS_MAX: u64 = 65_536;
/// The deepest nesting of structs and lists.
const DEPTH_MAX: u32 = 12;

/// A walk over the bytes of one struct.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
    list_max: u64,
}

/// The type of a field or an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Byte,
    Int,
    Double,
    Binary,
    List,
    Struct,
}

/// Why the bytes are refused.
pub(super) type Refused = &'static str;

impl Kind {
    /// Parquet uses no sets and no maps.
    fn of(nibble: u8) -> Result<Self, Refused> {
        Ok(match nibble {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 => Self::List,
            12 => Self::Struct,
            _ => return Err("a field of an unknown type"),
        })
    }
}

impl<'a> Thrift<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            list_max: LIST_ELEMENTS_MAX,
        }
    }

    /// A walk over a struct of any program's file.
    pub fn of_any(bytes: &'a [u8]) -> Self {
        Self {
            list_max: ANY_LIST_ELEMENTS_MAX,
            ..Self::new(bytes)
        }
    }

    /// Number of bytes read so far.
    pub fn walked(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        let byte = *self.bytes.get(self.at).ok_or("it ends inside a value")?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Refused> {
        let mut value = 0_u64;
        for index in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                // The tenth byte holds one bit only.
                return if index == 9 && byte > 1 {
                    Err("a number that is too long")
                } else {
                    Ok(value)
                };
            }
        }
        Err("a number that is too long")
    }

    /// A number of 16 to 64 bits.
    pub fn int(&mut self) -> Result<i64, Refused> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn skip_bytes(&mut self, bytes: u64) -> Result<(), Refused> {
        let left = (self.bytes.len() - self.at) as u64;
        if bytes > left {
            return Err("a text or number that extends beyond the end");
        }
        self.at += bytes as usize;
        Ok(())
    }

    /// The next field of a struct; `None` at its end. `last` is the number of the previous field, 0
    /// at the start.
    pub fn field(&mut self, last: &mut i16) -> Result<Option<(i16, Kind)>, Refused> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let step = i16::from(byte >> 4);
        *last = if step == 0 {
            i16::try_from(self.int()?).map_err(|_| "a field's number that is too large")?
        } else {
            last.checked_add(step)
                .ok_or("a field's number that is too large")?
        };
        Ok(Some((*last, Kind::of(byte & 0x0f)?)))
    }

    /// The head of a list: the number of its elements, and their type.
    pub fn list(&mut self) -> Result<(u64, Kind), Refused> {
        let byte = self.byte()?;
        let elements = match byte >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        // Some programs write an empty list without a type.
        let kind = match elements {
            0 if self.list_max == ANY_LIST_ELEMENTS_MAX => Kind::Byte,
            _ => Kind::of(byte & 0x0f)?,
        };
        // Decoders disagree on the length of a list of Booleans; a partition has no such list.
        if elements > self.list_max || kind == Kind::Bool {
            return Err("a list that no partition has");
        }
        Ok((elements, kind))
    }

    /// Skips a value.
    pub fn skip(&mut self, kind: Kind) -> Result<(), Refused> {
        self.skip_at(kind, 0)
    }

    fn skip_at(&mut self, kind: Kind, depth: u32) -> Result<(), Refused> {
        if depth == DEPTH_MAX {
            return Err("values nested too deep");
        }
        match kind {
            Kind::Bool => Ok(()),
            Kind::Byte => self.skip_bytes(1),
            Kind::Int => self.varint().map(drop),
            Kind::Double => self.skip_bytes(8),
            Kind::Binary => {
                let bytes = self.varint()?;
                self.skip_bytes(bytes)
            }
            Kind::List => {
                let (elements, kind) = self.list()?;
                (0..elements).try_for_each(|_| self.skip_at(kind, depth + 1))
            }
            Kind::Struct => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_at(kind, depth + 1)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_the_end_long_lists_and_deep_nesting_are_refused() {
        let walk = |bytes: &[u8]| Thrift::new(bytes).skip(Kind::Struct);
        assert_eq!(walk(&[0]), Ok(()));
        // Field 1, a number; field 2, a text of two bytes.
        assert_eq!(walk(&[0x15, 0x02, 0x18, 2, b'a', b'b', 0]), Ok(()));
        assert!(walk(&[0x15]).is_err());
        assert!(walk(&[0x18, 0xff, 0xff, 0xff, 0x7f, b'a', 0]).is_err());
        assert!(walk(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]).is_err());
        assert!(walk(&[0x19, 0x21, 1, 1, 0]).is_err());
        assert!(walk(&[0x1c; 100]).is_err());
        assert!(
            walk(&[
                0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0
            ])
            .is_err()
        );
        assert!(walk(&[0x1b, 0, 0]).is_err());
    }
}
