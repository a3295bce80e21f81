//! MessagePack and CBOR: values one behind the other, or one a message.

use crate::config::{Role, Section, Setting};
use crate::dataflow::{ComponentSpec, FormatPlan};
use crate::event::View;
use crate::expr::Type;
use crate::formats::binary::{BinaryDecoder, BinaryEncoder, Cbor, Msgpack, Notation};
use crate::formats::{Decoder, Encoder, Wanted};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The registry's entry of `msgpack`.
pub static MSGPACK: ComponentSpec = ComponentSpec {
    name: "msgpack",
    role: Role::Format,
    summary: "MessagePack values, one behind the other or one a message: a map is an event, a list one event an element.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, format: msgpack }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// The registry's entry of `cbor`.
pub static CBOR: ComponentSpec = ComponentSpec {
    name: "cbor",
    role: Role::Format,
    summary: "CBOR values, one behind the other or one a message: a map is an event, a list one event an element.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, format: cbor }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// Plans `msgpack`.
pub fn plan_msgpack(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    MSGPACK.open(setting);
    Some(Arc::new(BinaryPlan::<Msgpack> { name: "msgpack", notation: PhantomData }))
}

/// Plans `cbor`.
pub fn plan_cbor(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    CBOR.open(setting);
    Some(Arc::new(BinaryPlan::<Cbor> { name: "cbor", notation: PhantomData }))
}

struct BinaryPlan<N> {
    name: &'static str,
    notation: PhantomData<N>,
}

impl<N> fmt::Debug for BinaryPlan<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<N: Notation + Sync> FormatPlan for BinaryPlan<N> {
    fn describe(&self) -> String {
        self.name.to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(BinaryDecoder::<N>::new(wanted)))
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(BinaryDecoder::<N>::of_messages(wanted)))
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(BinaryEncoder::<N>::new(view)))
    }
}
