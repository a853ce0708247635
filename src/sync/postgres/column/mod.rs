//! The table's columns: how each type stores a value, and whether it has it already.

mod clock;
mod field;
mod misfit;
mod numeric;

use tokio_postgres::types::Type;

pub(super) use self::clock::{
    ColumnClock, Repeated, get as get_time, literal as time_literal, put as put_time,
    text as time_text,
};
pub(super) use self::field::{put_eight, put_null};
pub(super) use self::misfit::Misfit;
use self::numeric::Scale;

/// The type of a column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberType {
    /// `double precision`.
    Float8,
    /// `real`.
    Float4,
    /// `numeric`, plain or with precision and scale.
    Numeric(Option<Scale>),
    /// `bigint`.
    Int8,
    /// `integer`.
    Int4,
}

impl NumberType {
    /// The type with this oid in the server's catalog; `None` if it isn't supported.
    pub(super) fn from_catalog(oid: u32, typmod: i32) -> Option<Self> {
        Some(match Type::from_oid(oid)? {
            Type::FLOAT8 => Self::Float8,
            Type::FLOAT4 => Self::Float4,
            Type::NUMERIC => Self::Numeric(Scale::from_typmod(typmod)),
            Type::INT8 => Self::Int8,
            Type::INT4 => Self::Int4,
            _ => return None,
        })
    }

    /// Appends `value` as a COPY field: length and bytes. `round` rounds fractions for integers.
    pub(super) fn put(self, value: f64, round: bool, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match self {
            Self::Float8 => put_eight(value.to_be_bytes(), out),
            Self::Float4 => {
                out.extend_from_slice(&4i32.to_be_bytes());
                out.extend_from_slice(&to_f32(value)?.to_be_bytes());
            }
            Self::Numeric(scale) => numeric::put(value, scale, out)?,
            Self::Int8 => put_eight(to_i64(value, round)?.to_be_bytes(), out),
            Self::Int4 => {
                let whole = to_i32(to_i64(value, round)?)?;
                out.extend_from_slice(&4i32.to_be_bytes());
                out.extend_from_slice(&whole.to_be_bytes());
            }
        }
        Ok(())
    }

    /// As [`put`](Self::put), for a whole number.
    pub(super) fn put_whole(self, value: i64, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match self {
            Self::Int8 => {
                put_eight(value.to_be_bytes(), out);
                Ok(())
            }
            other => other.put(value as f64, false, out),
        }
    }

    /// Whether the column's bytes `stored` are `value` as the column would store it.
    pub(super) fn agrees(self, stored: &[u8], value: f64, round: bool) -> Result<bool, Misfit> {
        Ok(match self {
            Self::Float8 => stored
                .try_into()
                .is_ok_and(|bytes| f64::from_be_bytes(bytes) == value),
            Self::Float4 => {
                let ours = to_f32(value)?;
                stored
                    .try_into()
                    .is_ok_and(|bytes| f32::from_be_bytes(bytes) == ours)
            }
            Self::Numeric(scale) => numeric::agrees(stored, value, scale)?,
            Self::Int8 => {
                let ours = to_i64(value, round)?;
                stored
                    .try_into()
                    .is_ok_and(|bytes| i64::from_be_bytes(bytes) == ours)
            }
            Self::Int4 => {
                let ours = to_i32(to_i64(value, round)?)?;
                stored
                    .try_into()
                    .is_ok_and(|bytes| i32::from_be_bytes(bytes) == ours)
            }
        })
    }

    /// The value as text, which the server casts to the column's type without loss.
    pub(super) fn text(self, value: f64, round: bool) -> Result<String, Misfit> {
        Ok(match self {
            Self::Float8 => value.to_string(),
            Self::Float4 => to_f32(value)?.to_string(),
            Self::Numeric(scale) => numeric::text(value, scale)?,
            Self::Int8 => to_i64(value, round)?.to_string(),
            Self::Int4 => to_i32(to_i64(value, round)?)?.to_string(),
        })
    }

    /// SQL for the bytes of `expression` that go into a checksum. Equal values have equal bytes:
    /// the sign of zero and trailing zeros don't count.
    pub(super) fn canonical_sql(self, expression: &str) -> String {
        match self {
            Self::Float8 => format!("float8send({expression} + 0::float8)"),
            Self::Float4 => format!("float4send({expression} + 0::float4)"),
            Self::Numeric(_) => format!("numeric_send(trim_scale({expression}))"),
            Self::Int8 => format!("int8send({expression})"),
            Self::Int4 => format!("int4send({expression})"),
        }
    }

    /// Appends the bytes that the server computes for `value` by
    /// [`canonical_sql`](Self::canonical_sql).
    pub(super) fn put_canonical(
        self,
        value: f64,
        round: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let start = out.len();
        self.put(value + 0.0, round, out)?;
        out.drain(start..start + 4);
        if let Self::Numeric(_) = self {
            numeric::trim_scale(&mut out[start..]);
        }
        Ok(())
    }
}

fn to_f32(value: f64) -> Result<f32, Misfit> {
    let single = value as f32;
    if single.is_infinite() || (single == 0.0 && value != 0.0) {
        return Err(Misfit::Overflow);
    }
    Ok(single)
}

fn to_i64(value: f64, round: bool) -> Result<i64, Misfit> {
    let whole = if value.fract() == 0.0 {
        value
    } else if round {
        value.round()
    } else {
        return Err(Misfit::Fraction);
    };
    // 2^63 itself is a double; i64::MAX is not.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole) {
        Ok(whole as i64)
    } else {
        Err(Misfit::Overflow)
    }
}

fn to_i32(value: i64) -> Result<i32, Misfit> {
    value.try_into().map_err(|_| Misfit::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_refuse_fractions_unless_they_are_rounded() {
        let mut out = Vec::new();
        assert_eq!(
            NumberType::Int8.put(1.5, false, &mut out),
            Err(Misfit::Fraction)
        );
        NumberType::Int8.put(1.5, true, &mut out).unwrap();
        assert_eq!(out[4..], 2i64.to_be_bytes());
        assert_eq!(
            NumberType::Int4.put(3e9, false, &mut out),
            Err(Misfit::Overflow)
        );
        assert_eq!(
            NumberType::Int8.put(1e19, false, &mut out),
            Err(Misfit::Overflow)
        );
        assert!(
            NumberType::Int8
                .agrees(&2i64.to_be_bytes(), 1.5, true)
                .unwrap()
        );
    }

    #[test]
    fn singles_compare_as_singles() {
        assert!(
            NumberType::Float4
                .agrees(&0.1f32.to_be_bytes(), 0.1, false)
                .unwrap()
        );
        assert_eq!(
            NumberType::Float4.agrees(&[0; 4], 1e300, false),
            Err(Misfit::Overflow)
        );
        assert_eq!(
            NumberType::Float4.agrees(&[0; 4], 1e-300, false),
            Err(Misfit::Overflow)
        );
    }
}
