//! What is made of a text argument once: a pattern, a format, a time zone.

use super::context::Failure;

/// The thing made of the last text, made anew only when the text changes. For a constant argument that
/// is once.
#[derive(Clone)]
pub struct Cached<T> {
    text: String,
    made: Option<Result<T, String>>,
}

impl<T> Default for Cached<T> {
    fn default() -> Cached<T> {
        Cached { text: String::new(), made: None }
    }
}

impl<T> Cached<T> {
    /// What `make` makes of the text.
    ///
    /// # Errors
    /// What it says against the text.
    #[inline]
    pub fn get(
        &mut self,
        text: &str,
        make: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<&mut T, Failure> {
        if self.made.is_none() || self.text != text {
            self.text.clear();
            self.text.push_str(text);
            self.made = Some(make(text));
        }
        match &mut self.made {
            Some(Ok(made)) => Ok(made),
            Some(Err(message)) => Err(message.clone().into()),
            None => Err("nothing was made".into()),
        }
    }
}
