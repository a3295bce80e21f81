//! Texts that came from outside and must not be shown.

use std::borrow::Cow;

/// What stands in place of a secret.
const MASK: &str = "***";

/// Shorter texts are not looked for inside other texts: they would be found everywhere by chance, and what is
/// that short is no secret. Readers of single values never show them either way.
const MIN_CHARS: usize = 4;

/// Values of environment variables, files and credentials that were substituted into a configuration.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Longest first, so that a secret that contains another is masked whole.
    texts: Vec<String>,
}

impl Secrets {
    /// Adds a text, and its lines where it has several.
    pub fn add(&mut self, text: &str) {
        if self.texts.iter().any(|known| known == text.trim()) {
            return;
        }
        for part in std::iter::once(text).chain(text.lines()) {
            let part = part.trim();
            if part.chars().count() >= MIN_CHARS && !self.texts.iter().any(|known| known == part) {
                self.texts.push(part.to_owned());
            }
        }
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// Adds the value of an environment variable. Unlike files and credentials those are mostly settings: a
    /// short word in small letters (`json`, `true`, `localhost`) is no secret, and masking it would garble
    /// messages.
    pub fn add_variable(&mut self, text: &str) {
        const WORD: usize = 10;
        let is_word =
            text.len() <= WORD && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_word {
            self.add(text);
        }
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Secrets) {
        other.texts.iter().for_each(|text| self.add(text));
    }

    /// The text with every secret in it replaced by `***`.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.texts {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), MASK));
            }
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn the_longest_secret_is_masked_first() {
        let mut secrets = Secrets::default();
        secrets.add("pass");
        secrets.add("password");
        assert_eq!(secrets.mask("the password, the pass"), "the ***, the ***");
    }

    #[test]
    fn short_texts_are_left_alone() {
        let mut secrets = Secrets::default();
        secrets.add("a");
        assert_eq!(secrets.mask("a cat"), "a cat");
    }

    #[test]
    fn each_line_of_a_secret_is_one() {
        let mut secrets = Secrets::default();
        secrets.add("first line\nsecond line\n");
        assert_eq!(secrets.mask("x second line"), "x ***");
    }
}
