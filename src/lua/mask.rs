//! What a script logs, without what must not be shown.

use std::fmt;
use std::sync::Arc;

type Shown = dyn Fn(&str) -> String + Send + Sync;

/// Takes out of a text what must not be shown; by itself it takes out nothing.
#[derive(Clone, Default)]
pub struct Mask(Option<Arc<Shown>>);

impl Mask {
    /// One that does so by a function.
    pub fn new(shown: impl Fn(&str) -> String + Send + Sync + 'static) -> Mask {
        Mask(Some(Arc::new(shown)))
    }

    /// The text as it may be shown.
    pub fn shown(&self, text: String) -> String {
        match &self.0 {
            Some(shown) => shown(&text),
            None => text,
        }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}
