//! One bar as Massive and Alpaca write it: an object with the members `t`, `o`, `h`, `l`, `c`, `v`,
//! `vw` and `n`.
//!
//! A flat object of numbers and plain strings is read in one pass over its bytes. Any other object
//! is read as JSON in general.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json_number::{number, whole};
use crate::model::{Bar, Reason, Timestamp};

/// The members as they are written; those that are null or missing are `None`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct BarObject<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub t: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    o: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    h: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    l: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    c: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    v: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    vw: Option<&'a str>,
    #[serde(borrow, deserialize_with = "text")]
    n: Option<&'a str>,
}

fn text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de str>, D::Error> {
    Ok(Option::<&RawValue>::deserialize(value)?.map(RawValue::get))
}

impl<'a> BarObject<'a> {
    /// Reads an object; `None` if `raw` is another value or has a member twice.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        Self::plain(raw.get()).or_else(|| serde_json::from_str(raw.get()).ok())
    }

    /// Reads a flat object of numbers and strings without escapes. `raw` is valid JSON.
    fn plain(raw: &'a str) -> Option<Self> {
        let mut object = Self::default();
        let mut rest = raw.strip_prefix('{')?;
        loop {
            let (name, after) = rest.trim_ascii_start().strip_prefix('"')?.split_once('"')?;
            let value = after
                .trim_ascii_start()
                .strip_prefix(':')?
                .trim_ascii_start();
            let member = match name {
                "t" => Some(&mut object.t),
                "o" => Some(&mut object.o),
                "h" => Some(&mut object.h),
                "l" => Some(&mut object.l),
                "c" => Some(&mut object.c),
                "v" => Some(&mut object.v),
                "vw" => Some(&mut object.vw),
                "n" => Some(&mut object.n),
                _ if name.contains('\\') => return None,
                _ => None,
            };
            let end = value_end(value.as_bytes())?;
            if let Some(member) = member
                && member.replace(&value[..end]).is_some()
            {
                return None;
            }
            let after = value[end..].trim_ascii_start();
            if after == "}" {
                return Some(object);
            }
            rest = after.strip_prefix(',')?;
        }
    }

    /// The bar of this object. Without `v`, its volume is `volume_otherwise`.
    pub(super) fn bar(&self, at: Timestamp, volume_otherwise: Option<f64>) -> Result<Bar, Reason> {
        let volume = match (self.v, volume_otherwise) {
            (None, Some(volume)) => volume,
            (volume, _) => number(volume)?,
        };
        let prices = [
            number(self.o)?,
            number(self.h)?,
            number(self.l)?,
            number(self.c)?,
        ];
        let mut bar = Bar::new(at, prices, volume);
        bar.vwap = self.vw.map(|text| number(Some(text))).transpose()?;
        bar.trades = (self.n)
            .map(|text| whole(text).ok_or(Reason::BadNumber))
            .transpose()?;
        Ok(bar)
    }
}

/// Where the number or the plain string at the start of `text` ends.
fn value_end(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => {
            let end = 1 + text[1..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\'))?;
            (text[end] == b'"').then_some(end + 1)
        }
        b'-' | b'0'..=b'9' => text
            .iter()
            .position(|byte| matches!(byte, b',' | b'}') || byte.is_ascii_whitespace()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::mutate::check_mutations;

    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }

    #[test]
    fn both_ways_read_the_same() {
        let mut plain = 0;
        let pieces = [
            "null",
            " ",
            "\"t\":1,",
            "\\",
            "1e2",
            "é",
            "[1]",
            "\"x\":\"y\",",
        ];
        check_mutations("massive", &pieces, |body| {
            for raw in serde_json::from_slice::<Body<'_>>(body).ok()?.results {
                let general = serde_json::from_str(raw.get()).ok();
                if let Some(object) = BarObject::plain(raw.get()) {
                    assert_eq!(Some(object), general, "{raw}");
                    plain += 1;
                }
            }
            Some(())
        });
        assert!(plain > 100, "{plain}");
    }

    #[test]
    fn unusual_objects_are_read_as_json() {
        for raw in [
            r#"{"\u0074":1}"#,
            r#"{"t":null}"#,
            r#"{"t":1,"x":[{"t":2}]}"#,
            r#"{"t":"\u0031"}"#,
            r#"{"t":1,"t":1}"#,
            "{}",
            "[]",
            "7",
        ] {
            assert_eq!(BarObject::plain(raw), None, "{raw}");
        }
        let raw: &RawValue = serde_json::from_str(r#"{"\u0074":1,"x":[{"t":2}]}"#).unwrap();
        assert_eq!(BarObject::read(raw).unwrap().t, Some("1"));
    }
}
