//! What is found and hidden, and what can still be printed.

use super::*;
use proptest::prelude::*;

fn secrets(secret: &str) -> Secrets {
    Secrets::of(Secret::new(secret))
}

#[test]
fn an_echoed_secret_is_starred_even_across_the_cut() {
    let key = secrets(" s3cret\n");
    assert_eq!(key.redact("a s3cret b"), "a *** b");
    assert_eq!(key.redact("a s3cre b"), "a s3cre b");
    assert_eq!(key.excerpt(b"xx s3cret yy", 6), "xx ***");
    assert_eq!(key.excerpt(b"xxxx s3cret", 8), "xxxx ***");
    assert_eq!(key.excerpt(b"s3crets3crets3cret", 7), "******");
    assert_eq!(key.excerpt(b"%733cret", 2), "**");
    assert_eq!(key.excerpt("é\né".as_bytes(), 4), "é");
    assert_eq!(format!("{key:?}"), "Secrets([Secret(***)])");
    assert!(Secret::new("  ").is_none());
    let two = Secrets::of(["ab", "abc"].iter().filter_map(|one| Secret::new(one)));
    assert_eq!(two.redact("abcab"), "******", "the longer one first");
}

#[test]
fn encoded_forms_are_found() {
    let key = secrets("a/b c\"é&<");
    for form in [
        "a/b c\"é&<",
        "a%2Fb%20c%22%C3%A9%26%3C",
        "a%2fb+c%22%c3%a9&%3c",
        r#"a\/b c\"\u00e9&<"#,
        "a/b c&quot;é&amp;&lt;",
    ] {
        assert_eq!(key.redact(&format!("x{form}y")), "x***y", "{form}");
    }
}

#[test]
fn ambiguous_urls_are_hidden() {
    for (typed, shown) in [
        ("https://host/stable", "https://host/stable"),
        (" https://me:hunter2@host:8/x ", "https://host:8/x"),
        ("https://me:hun@ter2@host/x", "https://host/x"),
        ("me:hunter2@proxy:8080/stable", HIDDEN),
        ("me:hunter2@proxy", HIDDEN),
        ("ftp://me:hunter2@host/x", HIDDEN),
        ("http://me:12?hunter2@host/x", HIDDEN),
        ("http://me:12#hunter2@host/x", HIDDEN),
        ("http://me:12/hunter2@host/x", HIDDEN),
        ("http://me:12\\hunter2@host/x", HIDDEN),
        ("http://me:hun/ter2@host/x", HIDDEN),
        ("https://host/x?apikey=hunter2", HIDDEN),
        ("postgres://me:hunter2@host/x", HIDDEN),
        ("", HIDDEN),
    ] {
        let url = SecretUrl::from(typed);
        assert_eq!(url.to_string(), shown, "{typed}");
        assert_eq!(format!("{url:?}"), format!("SecretUrl({shown})"));
    }
}

#[test]
fn urls_with_a_password_are_redacted_in_sentences() {
    for (text, clean) in [
        ("no address", "no address"),
        (
            "postgresql://me@db:5432/bars is",
            "postgresql://me@db:5432/bars is",
        ),
        ("'postgres://me:a@b@db/x' is", "'postgres://***@db/x' is"),
        (
            "unexpected 'me:hunter2@db' found",
            "unexpected '***@db' found",
        ),
        ("garbage@TSLA at 12:30", "garbage@TSLA at 12:30"),
    ] {
        assert_eq!(without_passwords(text), clean);
    }
}

/// A password of two unusual words with special characters around them.
pub(crate) fn password() -> impl Strategy<Value = String> {
    let special = "[-?@/#:%&= '\"\\\\+.,;!\\[\\]a0é]{0,4}";
    (special, "(hunter2|4711)", special, "(Zebra|0815)", special)
        .prop_map(|(a, b, c, d, e)| a + &b + &c + &d + &e)
}

pub(crate) fn holds_part(text: &str) -> bool {
    ["hunter2", "4711", "Zebra", "0815"]
        .iter()
        .any(|part| text.to_lowercase().contains(&part.to_lowercase()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_encoding_of_a_secret_is_left(
        secret in "[ -~é€😀]{4,12}",
        before in "[ -~]{0,8}",
        kinds in proptest::collection::vec(0..3_u8, 12),
        cut in 0..40_usize,
    ) {
        prop_assume!(!secret.trim().is_empty());
        let secret = secret.trim();
        let mut spelled = String::new();
        for (c, kind) in secret.chars().zip(kinds) {
            let mut utf8 = [0; 4];
            let mut utf16 = [0; 2];
            match kind {
                0 => spelled.push(c),
                1 => c.encode_utf8(&mut utf8).bytes().for_each(|b| spelled += &format!("%{b:02X}")),
                _ => c.encode_utf16(&mut utf16).iter().for_each(|u| spelled += &format!("\\u{u:04x}")),
            }
        }
        let text = format!("{before}{spelled}");
        let secrets = secrets(secret);
        let redacted = secrets.redact(&text);
        prop_assert!(redacted.ends_with(STARS) || redacted.contains(STARS), "{text} -> {redacted}");
        prop_assert!(!redacted.contains(&spelled), "{text} -> {redacted}");
        // An excerpt shows the text before the secret, and nothing of the secret.
        let excerpt = secrets.excerpt(text.as_bytes(), cut);
        let shows = redacted.replace(char::is_control, " ");
        prop_assert!(shows.trim().starts_with(excerpt.trim()), "{text} -> {excerpt}");
    }

    #[test]
    fn no_part_of_a_password_is_shown(
        password in password(),
        form in 0..6_usize,
    ) {
        let typed = [
            format!("https://me:{password}@host/stable"),
            format!("me:{password}@host:8080/stable"),
            format!("http://me:{password}@host"),
            format!("https://host/stable?apikey={password}"),
            format!("https:me:{password}@host/"),
            format!("http://me:12/{password}@host/"),
        ];
        let shown = SecretUrl::from(typed[form].as_str()).to_string();
        prop_assert!(!holds_part(&shown), "{} -> {shown}", typed[form]);
    }
}
