//! What flows: values, paths to fields, batches of events.

mod batch;
pub mod bytes;
mod cell;
pub mod json;
mod kept;
mod key;
pub mod kv;
mod nearest;
mod path;
mod percent;
mod reject;
mod short;
mod value;
mod view;

pub use batch::{BATCH_BYTES, BATCH_ROWS, Batch, Row, Slot};
pub use cell::{finite, put_cell};
pub use kept::{Comparable, Kept, SpannedKind};
pub use key::{decode_value, encode_key, encode_value, is_key, plain_fields, split_key};
pub use nearest::nearest;
pub use path::{Path, Step};
pub use percent::{percent_decode, percent_encode};
pub use reject::{Reason, RejectKind, Rejects, Unreadable};
pub use short::ShortBytes;
pub use value::{Kind, Span, Value};
pub use view::{Layer, View};
