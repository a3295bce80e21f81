//! What is wrong with an expression, and where.

use std::fmt;
use std::ops::Range;

/// A fault found while an expression is read or planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprFault {
    /// The bytes of the expression's text that it is about; may be empty, at the end of the text.
    pub span: Range<usize>,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// What to do about it, where there is something to say.
    pub hint: Option<String>,
}

impl ExprFault {
    /// A fault without a hint.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> ExprFault {
        ExprFault { span, message: message.into(), hint: None }
    }

    /// The same fault with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> ExprFault {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ExprFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExprFault {}
