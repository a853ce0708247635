//! Password files, with lines `host:port:database:user:password`.

use std::fs;
use std::path::Path;

/// The password for a connection. A file that is missing, or that other users may read, is ignored.
pub(super) fn password(
    path: &Path,
    host: &str,
    port: &str,
    dbname: &str,
    user: &str,
) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path).ok()?.permissions().mode() & 0o077 != 0 {
            return None;
        }
    }
    let host = if host.starts_with('/') {
        "localhost"
    } else {
        host
    };
    fs::read_to_string(path).ok()?.lines().find_map(|line| {
        let fields = fields(line)?;
        let matches = fields
            .iter()
            .zip([host, port, dbname, user])
            .all(|(field, wanted)| field == "*" || field == wanted);
        matches.then(|| fields[4].clone())
    })
}

/// The five fields of a line, with `\:` and `\\` resolved; `None` for comments and anything else.
fn fields(line: &str) -> Option<[String; 5]> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields: [String; 5] = Default::default();
    let mut index = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => fields[index].extend(chars.next()),
            ':' if index < 4 => index += 1,
            _ => fields[index].push(c),
        }
    }
    (index == 4).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_has_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        fs::write(
            &path,
            "# a comment\ndb:5432:other:me:no\ndb:*:bars:me:a\\:b\n*:*:*:*:any\n",
        )
        .unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(password(&path, "db", "5432", "bars", "me"), None);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(password(&path, "db", "5432", "bars", "me").unwrap(), "a:b");
        assert_eq!(password(&path, "x", "1", "y", "z").unwrap(), "any");
        assert_eq!(password(&dir.path().join("none"), "x", "1", "y", "z"), None);
    }
}
