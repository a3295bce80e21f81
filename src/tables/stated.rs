//! Rows that a test states, in the place of what the table is read from.

use crate::dataflow::{OpenTable, TableLayout, TablePlan, column_names, formats, read_rows};

/// A table of stated rows.
#[derive(Debug)]
pub struct Stated {
    /// The rows as lines of JSON.
    rows: Vec<u8>,
    columns: Vec<String>,
}

impl Stated {
    /// The rows, as lines of JSON. `known` are columns that the table has, whether or not a row has them.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(rows: Vec<u8>, known: &[String]) -> Result<Stated, String> {
        let mut columns = known.to_vec();
        let further = column_names(&*formats::json(), &rows)?;
        columns.extend(further.into_iter().filter(|name| !known.contains(name)));
        Ok(Stated { rows, columns })
    }
}

impl TablePlan for Stated {
    fn describe(&self) -> String {
        "stated by a test".to_owned()
    }

    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }

    fn open(&self, layout: &TableLayout) -> Result<OpenTable, String> {
        let rows = read_rows(&*formats::json(), layout, self.rows.clone())?;
        Ok(OpenTable::of(Some(rows), None))
    }
}
