//! What a plan says of a format, before anything is decoded or encoded.

use super::formats::RegistryOptions;
use crate::event::View;
use crate::expr::Type;
use crate::formats::avro::SchemaRegistry;
use crate::formats::{Decoder, Encoder, Wanted};
use std::fmt;

use std::sync::Arc;

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

    /// The registry of schemas that it asks; None where it asks nobody. Such a format reads messages only, and a source must
    /// do as [`Decoder::has_left`] says.
    fn registry(&self) -> Option<&RegistryOptions> {
        None
    }

    /// The same format with that registry.
    fn asking(&self, _registry: Arc<dyn SchemaRegistry>) -> Option<Arc<dyn FormatPlan>> {
        None
    }

    /// A run is about to write events: finds out what is to be known for that.
    ///
    /// # Errors
    /// Why it cannot be.
    fn prepare_to_write(&self) -> Result<(), String> {
        Ok(())
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
