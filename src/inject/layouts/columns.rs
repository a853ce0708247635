//! The columns of a file, by its layout and by `--columns`.

use super::excerpt::Excerpt;
use super::layout::Layout;
use super::vendors::layout_of;
use crate::inject::columns::{
    ChosenColumns, Role, assign_chosen, check_complete, check_unique, choose_time, clear, replace,
    slot,
};
use crate::inject::error::FileError;
use crate::inject::header::{HeaderRoles, roles_of_header};

/// The layout of a file, and what each of its columns holds.
pub(in crate::inject) struct Columns {
    pub(in crate::inject) roles: Vec<Role>,
    /// What the user should check.
    pub(in crate::inject) warnings: Vec<String>,
    pub(in crate::inject) layout: &'static Layout,
}

/// The columns that a header names; those of `--columns` take precedence.
pub(in crate::inject) fn columns_by_header(
    header: &[String],
    file: &Excerpt<'_>,
    chosen: &ChosenColumns,
) -> Result<Columns, FileError> {
    let layout = layout_of(file);
    let HeaderRoles {
        mut roles,
        mut warnings,
    } = roles_of_header(header, file.rows, layout.names);
    if layout.interval_codes.is_empty() {
        clear(&mut roles, |role| role == Role::Interval);
    }
    assign_chosen(&mut roles, file.names, chosen)?;
    if chosen.iter().any(|(column, _)| column.is_volume()) {
        warnings.clear();
    }
    choose_time(&mut roles);
    check_unique(&roles, header)?;
    let tick_volume = Role::Number(slot::TICK_VOLUME);
    if !roles.contains(&Role::Number(slot::VOLUME)) {
        replace(
            &mut roles,
            |role| role == tick_volume,
            Role::Number(slot::VOLUME),
        );
    } else if !layout.has_tick_volume {
        clear(&mut roles, |role| role == tick_volume);
    }
    check_complete(&roles, file.kinds, file.rows)?;
    Ok(Columns {
        roles,
        warnings,
        layout,
    })
}

/// The columns of a file without a header, from the kinds of its first row's fields.
pub(in crate::inject) fn columns_by_content(
    file: &Excerpt<'_>,
    chosen: &ChosenColumns,
) -> Result<Columns, FileError> {
    let layout = layout_of(file);
    // If `--columns` names all columns, the content doesn't matter.
    let mut roles = vec![Role::Skip; file.kinds.len()];
    let is_chosen = assign_chosen(&mut roles, &[], chosen).is_ok()
        && check_complete(&roles, file.kinds, file.rows).is_ok();
    if !is_chosen {
        roles = (layout.columns)(file);
        assign_chosen(&mut roles, &[], chosen)?;
        check_complete(&roles, file.kinds, file.rows)?;
    }
    Ok(Columns {
        roles,
        warnings: Vec::new(),
        layout,
    })
}
