//! The secret that lets a browser in.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The fewest letters of a token that a user chose.
const LETTERS_MIN: usize = 16;

/// A secret word. It is compared by hash, so the time of a comparison shows nothing about it.
#[derive(Clone)]
pub struct Token(String);

/// Why a token can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("a token needs at least {LETTERS_MIN} letters")]
    TooShort,
    #[error("a token has only letters, digits, '-' and '_'")]
    BadLetter,
}

impl Token {
    /// 244 random bits.
    #[must_use]
    pub fn random() -> Self {
        let halves = [Uuid::new_v4(), Uuid::new_v4()].map(|half| half.simple().to_string());
        Self(halves.concat())
    }

    /// A token that a user chose.
    pub fn new(typed: &str) -> Result<Self, BadToken> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if !typed.chars().all(is_plain) {
            return Err(BadToken::BadLetter);
        }
        match typed.len() >= LETTERS_MIN {
            true => Ok(Self(typed.to_owned())),
            false => Err(BadToken::TooShort),
        }
    }

    /// The word itself, for a URL or a cookie.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.0
    }

    /// Whether `word` is the token.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(word.as_bytes())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_plain_and_not_printed() {
        let token = Token::random();
        assert_eq!(token.word().len(), 64);
        assert!(token.is(token.word()) && !token.is(Token::random().word()));
        assert_eq!(format!("{token:?}"), "Token");
        assert!(matches!(Token::new("short"), Err(BadToken::TooShort)));
        assert!(matches!(
            Token::new("sixteen letters!"),
            Err(BadToken::BadLetter)
        ));
        assert!(Token::new("sixteen_letters-").is_ok());
    }
}
