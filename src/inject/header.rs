//! What the columns of a header are, in any vendor's words.

use super::columns::{Role, normalise, role_of, slot};
use super::file_ticker::is_currency;
use super::header_zone::zone_of_word;
use super::sample::{FieldKind, Fields, kind_of};
use super::timestamp::is_instant;
use crate::advice::Advice;

/// Units of a quote volume. A volume in another unit is the base volume.
const QUOTE_UNITS: [&str; 14] = [
    "usd", "usdt", "usdc", "busd", "tusd", "fdusd", "dai", "eur", "gbp", "jpy", "krw", "try",
    "currency", "quote",
];
/// Words of other figures, in headers that contain `vol`.
const OTHER_VOLUMES: [&str; 10] = [
    "quote",
    "taker",
    "ma",
    "bid",
    "ask",
    "avg",
    "average",
    "volatility",
    "profile",
    "weighted",
];

/// The roles of a header's columns, and what the user should check.
pub(super) struct HeaderRoles {
    pub(super) roles: Vec<Role>,
    pub(super) warnings: Vec<String>,
}

/// The roles of the columns that `header` names, above `rows`. `known` has the normalised names
/// that mean something else in this layout.
pub(super) fn roles_of_header(
    header: &[String],
    rows: &[Fields<'_>],
    known: &[(&str, Role)],
) -> HeaderRoles {
    let role = |name: &String| {
        let normalised = normalise(name);
        let known = known.iter().find(|(known, _)| *known == normalised);
        known.map_or_else(|| role_of_header(name), |(_, role)| *role)
    };
    let mut roles: Vec<Role> = header.iter().map(role).collect();
    let has = |roles: &[Role], role| roles.contains(&role);
    let close = Role::Number(slot::CLOSE);
    if !has(&roles, close)
        && let Some(at) = header
            .iter()
            .position(|name| matches!(normalise(name).as_str(), "last" | "lastprice" | "latest"))
    {
        roles[at] = close;
    }
    choose_instant(&mut roles, rows);
    // A table's index has no name.
    let is_unnamed = header
        .first()
        .is_some_and(|name| normalise(name).is_empty());
    if is_unnamed && !roles.iter().any(|role| role.is_time()) && first_is_time(rows) {
        roles[0] = Role::Timestamp;
    }
    let warnings = choose_volume(&mut roles, header);
    HeaderRoles { roles, warnings }
}

/// The role of a name as it is, else without its zone and unit: `Time (EET)`, `open_price_usd`.
fn role_of_header(name: &str) -> Role {
    let role = role_of(&normalise(name));
    if role != Role::Skip {
        return role;
    }
    let words = name.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '-')));
    let zoneless: String = words
        .filter(|word| zone_of_word(word).is_none())
        .flat_map(str::chars)
        .collect();
    match role_of(&normalise(&zoneless)) {
        role if role.is_time() => role,
        _ => Role::Skip,
    }
}

/// A column of instants replaces columns of local times.
fn choose_instant(roles: &mut [Role], rows: &[Fields<'_>]) {
    let is_instants = |at: usize| {
        let mut fields = rows.iter().filter_map(|row| row.get(at)).peekable();
        // Nine digits may be a time of day with milliseconds.
        let is_epoch_or_zoned = |field: &[u8]| field.len() > 9 && is_instant(field);
        fields.peek().is_some() && fields.all(|field| is_epoch_or_zoned(field.trim_ascii()))
    };
    let times = || (0..roles.len()).filter(|at| roles[*at].is_time());
    let Some(instant) = times().find(|at| is_instants(*at)) else {
        return;
    };
    for role in roles.iter_mut().filter(|role| role.is_time()) {
        *role = Role::Skip;
    }
    roles[instant] = Role::Timestamp;
}

fn first_is_time(rows: &[Fields<'_>]) -> bool {
    use FieldKind::{CompactTimestamp, Date, Epoch, Timestamp};
    let first = rows.first().and_then(|row| row.first());
    first.is_some_and(|field| matches!(kind_of(field), Timestamp | CompactTimestamp | Date | Epoch))
}

/// Finds the volume if no column has a usual name for it. A quote volume is read only if there is no
/// base volume.
fn choose_volume(roles: &mut [Role], header: &[String]) -> Vec<String> {
    let volume = Role::Number(slot::VOLUME);
    let tick_volume = Role::Number(slot::TICK_VOLUME);
    if let Some(at) = roles.iter().position(|role| *role == volume) {
        return base_volume(roles, header, at).into_iter().collect();
    }
    if roles.contains(&tick_volume) {
        return Vec::new();
    }
    let named: Vec<(usize, Vec<String>)> = (0..header.len())
        .filter(|at| roles[*at] == Role::Skip)
        .map(|at| (at, words_of(&header[at])))
        .filter(|(_, words)| words.iter().any(|word| word.starts_with("vol")))
        .collect();
    let is_other = |words: &[String]| {
        let is_other = |word: &String| OTHER_VOLUMES.contains(&word.as_str());
        words.iter().any(is_other)
    };
    let is_quote = |words: &[String]| {
        let is_quote = |word: &String| QUOTE_UNITS.contains(&word.as_str());
        words.iter().any(is_quote)
    };
    let is_unit = |words: &[String]| words.len() <= 2;
    let mut bases = named
        .iter()
        .filter(|(_, words)| !is_other(words) && !is_quote(words) && is_unit(words));
    if let Some((at, _)) = bases.next() {
        roles[*at] = volume;
        return Vec::new();
    }
    let is_plain_quote = |words: &[String]| is_quote(words) && is_unit(words);
    if let Some((at, _)) = named.iter().find(|(_, words)| is_plain_quote(words)) {
        roles[*at] = volume;
        return vec![format!(
            "the volume is read from {:?}, which may be in the quote currency; {}",
            header[*at].trim(),
            Advice::MapColumn {
                column: "volume",
                at: None
            }
        )];
    }
    let unread = (0..header.len())
        .find(|at| roles[*at] == Role::Skip && header[*at].to_ascii_lowercase().contains("vol"));
    unread
        .map(|at| {
            format!(
                "no volume is read: it isn't known what {:?} is; {}",
                header[at].trim(),
                Advice::MapColumn {
                    column: "volume",
                    at: Some(at + 1)
                }
            )
        })
        .into_iter()
        .collect()
}

/// Reads a volume in coins, `volume_btc`, instead of the volume without a unit next to it.
fn base_volume(roles: &mut [Role], header: &[String], plain: usize) -> Option<String> {
    let is_base = |at: &usize| match &words_of(&header[*at])[..] {
        [word, unit] => {
            roles[*at] == Role::Skip
                && word == "volume"
                && is_currency(unit)
                && !QUOTE_UNITS.contains(&unit.as_str())
        }
        _ => false,
    };
    let base = (0..header.len()).find(is_base)?;
    roles[base] = roles[plain];
    roles[plain] = Role::Skip;
    Some(format!(
        "the volume is read from {:?}, because {:?} may be in the quote currency; {}",
        header[base].trim(),
        header[plain].trim(),
        Advice::MapColumn {
            column: "volume",
            at: Some(plain + 1)
        }
    ))
}

/// The words of a name in lower case: `VolumeFrom` is `volume from`.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        let starts = !before.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if c.is_alphanumeric() {
            match words.last_mut() {
                Some(word) if !starts => word.extend(c.to_lowercase()),
                _ => words.push(c.to_lowercase().collect()),
            }
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume_of(header: &str) -> (Option<usize>, bool) {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        let read = roles_of_header(&header, &[], &[]);
        let volume = Role::Number(slot::VOLUME);
        let at = read.roles.iter().position(|role| *role == volume);
        (at, !read.warnings.is_empty())
    }

    #[test]
    fn volumes_in_any_words() {
        for (header, at, is_warned) in [
            ("Volume,Volume MA", Some(0), false),
            ("Volume BTC,Volume USD", Some(0), false),
            ("Volume USDT,Volume BTC", Some(1), false),
            ("Volume_(BTC),Volume_(Currency)", Some(0), false),
            ("Volume USD", Some(0), true),
            ("VolumeFrom,VolumeTo", Some(0), false),
            ("base_volume,quote_volume", Some(0), false),
            ("Total Volume", Some(0), false),
            ("TotalVolume", Some(0), false),
            ("volume_btc,volume", Some(0), true),
            ("volume,volume_usd", Some(0), false),
            ("Quote asset volume", None, true),
            ("Handelsvolumen", None, true),
            ("Stück", None, false),
        ] {
            assert_eq!(volume_of(header), (at, is_warned), "{header}");
        }
    }
}
