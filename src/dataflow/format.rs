//! What a plan says of a format, before anything is decoded or encoded.

use crate::event::View;
use crate::expr::Type;
use crate::formats::{Decoder, Encoder, Wanted};
use std::fmt;

/// A format with its options.
pub trait FormatPlan: fmt::Debug + Send + Sync {
    /// Its name, and what of its options differs from the defaults.
    fn describe(&self) -> String;

    /// The fields that it fixes; None if events may have any.
    fn known_fields(&self) -> Option<Vec<(String, Type)>>;

    /// The type of a field where events may have any.
    fn type_of(&self, _field: &str) -> Type {
        Type::ANY
    }

    /// A decoder of what is wanted.
    ///
    /// # Errors
    /// Why the format cannot be read; whatever is wanted, it can or it cannot.
    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String>;

    /// The same for blocks that are an input each, such as a message or the text of a field.
    ///
    /// # Errors
    /// Those of [`FormatPlan::decoder`].
    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        self.decoder(wanted)
    }

    /// The same for blocks that are a whole input each, of any number of records, such as the body of a request.
    ///
    /// # Errors
    /// Those of [`FormatPlan::decoder`].
    fn input_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        self.record_decoder(wanted)
    }

    /// An encoder of events that look like `view`.
    ///
    /// # Errors
    /// Why such events cannot be written.
    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String>;

    /// The same where each event is a message by itself.
    ///
    /// # Errors
    /// Those of [`FormatPlan::encoder`].
    fn message_encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        self.encoder(view)
    }
}
