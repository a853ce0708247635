//! The causes of an error, in words.

use std::error::Error;

/// The causes of `error`, the outermost first; `error` itself isn't among them.
pub fn of<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The message of `error`, then those of its causes that it doesn't repeat, as one fragment.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    joined(error, |text| text)
}

/// The same, with each message shortened by `shorten` first.
pub fn joined(error: &(dyn Error + 'static), shorten: impl Fn(&str) -> &str) -> String {
    let mut message = shorten(&error.to_string()).to_owned();
    for cause in of(error) {
        let text = cause.to_string();
        let text = shorten(&text);
        // The system's number of an error adds nothing to its words.
        let words = text.split(" (os error ").next().unwrap_or(text);
        if !message.to_lowercase().contains(&words.to_lowercase()) {
            message = format!("{message}: {words}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a.csv could not be read")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("A.csv")]
    struct Middle(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("permission denied (os error 13)")]
    struct Inner;

    #[test]
    fn each_cause_is_named_once_and_without_its_number() {
        let error = Outer(Middle(Inner));
        assert_eq!(
            with_causes(&error),
            "a.csv could not be read: permission denied"
        );
        let causes: Vec<String> = of(&error).map(ToString::to_string).collect();
        assert_eq!(causes, ["A.csv", "permission denied (os error 13)"]);
    }
}
