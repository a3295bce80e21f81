//! Where an event came from. The source leaves the answers in cells of its batch, so that these functions are fields
//! under another name.

use super::spec::{Body, Form, FunctionSpec, Group, Returns, arg};
use crate::expr::scope::SourceField;
use crate::expr::types::Type;

/// The functions of this group.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    origin("source_topic", Type::TEXT, &SourceField::Topic).doc(
        "The topic of the message, or the path of the file or request; null where there is none.",
        &[("source_topic()", "null")],
    ),
    origin("source_partition", Type::INT, &SourceField::Partition).doc(
        "The number of the partition; null where the source has none.",
        &[("source_partition()", "null")],
    ),
    origin("source_offset", Type::INT, &SourceField::Offset).doc(
        "Where in its partition the event stood; null where the source has no offsets.",
        &[("source_offset()", "null")],
    ),
    origin("source_timestamp", Type::TIMESTAMP, &SourceField::Timestamp).doc(
        "When the message was made, as its sender or the broker says; null where the source has no such time.",
        &[("source_timestamp()", "null")],
    ),
    origin("source_key", Type::TEXT, &SourceField::Key)
        .doc("The key of the message; null where there is none.", &[("source_key()", "null")]),
    FunctionSpec::new(
        Group::Source,
        "source_header",
        &[arg("name", Type::TEXT)],
        Returns::Is(Type::TEXT),
        Body::Form(Form::SourceHeader),
    )
    .doc(
        "A header of the message or request, in MQTT 5 a user property, by its name in quotes; null where there is none.",
        &[("source_header('unit')", "null")],
    )
    .volatile(),
];

const fn origin(name: &'static str, ty: Type, field: &'static SourceField) -> FunctionSpec {
    // What differs from event to event is not computed while planning.
    FunctionSpec::new(Group::Source, name, &[], Returns::Is(ty), Body::Form(Form::Source(field))).volatile()
}
