//! Rows go on, are dropped, or rejected, each as it is judged.

use crate::dataflow::Output;
use crate::event::{Batch, Reason, Row};

/// Keeps the rows of which `passes` says so. The others are counted as `dropped`; those that it cannot judge are rejected.
pub fn retain(
    batch: &mut Batch,
    rows: &mut Vec<Row>,
    out: &mut dyn Output,
    dropped: &'static str,
    mut passes: impl FnMut(&mut Batch, Row) -> Result<bool, Reason>,
) {
    let mut count = 0;
    rows.retain(|&row| {
        let judged = passes(batch, row);
        count += u64::from(matches!(judged, Ok(false)));
        judged.unwrap_or_else(|reason| {
            out.reject(batch, row, reason);
            false
        })
    });
    if count > 0 {
        out.discard(dropped, count);
    }
}
