//! What a file is, decided from options, its content, its name and its layout, in this order. Each
//! decision has its reason, for [`ReadAs`](crate::report::ReadAs).

use std::borrow::Cow;

use chrono_tz::Tz;

use super::columns::Role;
use super::header_zone::zone_in_header;
use super::layouts::Layout;
use super::sample::Fields;
use super::settings::{Label, Settings};
use super::timestamp::is_instant;
use crate::calendar::Calendar;
use crate::model::Zone;

/// A part of the plan, and why it is so.
#[derive(Clone, Debug)]
pub(super) struct Decision<T> {
    pub(super) value: T,
    pub(super) reason: Cow<'static, str>,
}

fn decision<T>(value: T, reason: impl Into<Cow<'static, str>>) -> Decision<T> {
    Decision {
        value,
        reason: reason.into(),
    }
}

/// The zone of a file's local times.
pub(super) struct FileZone {
    pub(super) zone: Zone,
    /// As it is shown.
    pub(super) name: Cow<'static, str>,
}

impl FileZone {
    fn known(tz: Tz) -> Self {
        Self {
            zone: Zone::of(tz),
            name: zone_name(tz),
        }
    }
}

/// The zone of local times.
pub(super) fn zone(
    settings: &Settings,
    layout: &Layout,
    calendar: &Calendar,
    roles: &[Role],
    header: &[String],
    rows: &[Fields<'_>],
) -> Decision<FileZone> {
    if has_instants(roles, rows) {
        let zone = FileZone {
            zone: calendar.zone().clone(),
            name: "UTC".into(),
        };
        return decision(zone, "its timestamps are epochs or have a time zone");
    }
    if let Some(tz) = settings.timezone {
        return decision(FileZone::known(tz), "the option");
    }
    let times = roles.iter().zip(header);
    let mut times = times.filter(|(role, _)| role.is_time());
    if let Some((tz, name)) = times.find_map(|(_, name)| Some((zone_in_header(name)?, name))) {
        return decision(FileZone::known(tz), format!("the header {:?}", name.trim()));
    }
    if let Some(tz) = layout.zone {
        let reason = format!("convention of {}", layout.name);
        return decision(FileZone::known(tz), reason);
    }
    let zone = FileZone::known(calendar.tz());
    decision(zone, format!("default of {}", calendar.exchange()))
}

/// Whether the sampled times are instants: epochs, or times with a zone.
fn has_instants(roles: &[Role], rows: &[Fields<'_>]) -> bool {
    let Some(at) = roles.iter().position(|role| *role == Role::Timestamp) else {
        return false;
    };
    let mut fields = rows.iter().filter_map(|row| row.get(at)).peekable();
    fields.peek().is_some() && fields.all(|field| is_instant(field.trim_ascii()))
}

/// Which instant of a bar its timestamp is.
pub(super) fn label(settings: &Settings, layout: &Layout) -> Decision<Label> {
    match (settings.label, layout.label) {
        (Some(label), _) => decision(label, "the option"),
        (None, Label::Close) => decision(Label::Close, format!("convention of {}", layout.name)),
        (None, Label::Open) => decision(Label::Open, "the default"),
    }
}

/// Why the exchange is what it is.
pub(super) fn exchange_reason(settings: &Settings, layout: &Layout) -> Cow<'static, str> {
    if settings.calendar.is_some() {
        "the option".into()
    } else if layout.is_plain() || layout.exchange == "NASDAQ" {
        "the default".into()
    } else {
        format!("convention of {}", layout.name).into()
    }
}

/// A zone's name as it is shown. In the tz database `Etc/GMT+5` is five hours behind UTC.
pub(super) fn zone_name(tz: Tz) -> Cow<'static, str> {
    let name = tz.name();
    match name.strip_prefix("Etc/GMT") {
        Some(offset) if offset.starts_with('+') => {
            format!("UTC{}", offset.replace('+', "-")).into()
        }
        Some(offset) if offset.starts_with('-') => {
            format!("UTC{}", offset.replace('-', "+")).into()
        }
        _ => name.into(),
    }
}
