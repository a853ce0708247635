//! Hostile archives and damaged bundles: refused with 1, and nothing is written.

use std::io::Write;

use tar::EntryType;

use super::{bars, stage};
use crate::support::TestEnv;

fn file(builder: &mut tar::Builder<Vec<u8>>, name: &[u8], kind: EntryType, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    // Not by set_path, which refuses these paths.
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    header.set_mtime(315_532_800);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

/// Part of the expected message, and the first member: its name, kind and content.
type Hostile = (&'static str, &'static [u8], EntryType, &'static [u8]);

const HOSTILE: [Hostile; 9] = [
    ("leads out", b"/etc/cron.d/x", EntryType::Regular, b"x"),
    ("leads out", b"lake/../../x", EntryType::Regular, b"x"),
    ("is a link", b"lake", EntryType::Symlink, b""),
    ("is a link", b"lake/x", EntryType::Link, b""),
    ("is a folder", b"lake/", EntryType::Directory, b""),
    (
        "isn't a plain file",
        b"pax",
        EntryType::XHeader,
        b"30 path=../../../../etc/passwd\n",
    ),
    ("isn't a plain file", b"dev", EntryType::Block, b""),
    (
        "doesn't belong",
        b"bars.parquet",
        EntryType::Regular,
        b"PAR1",
    ),
    (
        "path is too long",
        b"././@LongLink",
        EntryType::GNULongName,
        &[b'a'; 4_000],
    ),
];

#[test]
fn hostile_archives_write_nothing() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create valid.tar").ok();
    let valid = std::fs::read(env.path("valid.tar")).unwrap();
    let before = bars(&env, "data/staging");
    for (why, name, kind, content) in HOSTILE {
        let mut builder = tar::Builder::new(Vec::new());
        file(&mut builder, name, kind, content);
        // Cut off the end of the archive, so that a valid bundle follows.
        let mut bytes = builder.into_inner().unwrap();
        bytes.truncate(bytes.len() - 1_024);
        bytes.write_all(&valid).unwrap();
        env.write("hostile.tar", bytes);
        let refused = env.typed("bundle verify hostile.tar").code(1);
        assert!(refused.stderr.contains(why), "{why}: {}", refused.stderr);
        assert!(
            refused.stderr.starts_with("error: hostile.tar: "),
            "{}",
            refused.stderr
        );
        for store in ["new", "data/staging"] {
            let refused = env
                .typed(&format!("bundle apply hostile.tar --store {store}"))
                .code(1);
            assert!(refused.stderr.contains(why), "{why}: {}", refused.stderr);
        }
        assert!(!env.path("new").exists());
    }
    assert_eq!(bars(&env, "data/staging"), before);
    assert_eq!(
        env.files("")
            .iter()
            .filter(|file| file.contains("passwd"))
            .count(),
        0
    );
}

#[test]
fn a_damaged_bundle_writes_nothing() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create valid.tar").ok();
    let valid = std::fs::read(env.path("valid.tar")).unwrap();
    let apply = |bytes: &[u8]| {
        env.write("arrived.tar", bytes);
        let refused = env.typed("bundle apply arrived.tar --store new").code(1);
        assert!(!env.path("new").exists());
        refused.stderr
    };
    for length in [0, 1, 511, 512, 4_096, valid.len() - 1_025, valid.len() - 1] {
        let message = apply(&valid[..length]);
        assert!(
            message.starts_with("error: arrived.tar: "),
            "{length}: {message}"
        );
    }
    let mut flipped = valid.clone();
    flipped[1_000] ^= 4;
    let message = apply(&flipped);
    assert!(
        message.contains("ticker=A/year=2024/bars.parquet fails its hash"),
        "{message}"
    );
    assert!(message.contains("hint: copy it again"), "{message}");
    let message = apply(b"ticker,timestamp,open\n");
    assert!(message.contains("not a bundle"), "{message}");
    let message = apply(&[valid.as_slice(), b"\n"].concat());
    assert!(message.contains("after the end"), "{message}");
    // A folder.
    env.typed("bundle verify data").code(1);
}
