//! The table as it is found when a connection is made.

use std::collections::HashMap;
use tokio_postgres::{Client, Error};

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, quoted.
    pub name: String,
    /// Its columns, but for those that the server computes.
    pub columns: Vec<Column>,
    places: HashMap<String, usize>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as SQL says it.
    pub ty: String,
    /// How values are written for it.
    pub form: Form,
}

/// How values are written for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As their text.
    Text,
    /// As JSON.
    Json,
    /// From base64.
    Bytes,
    /// Numbers are milliseconds since the epoch.
    Time,
    /// Whole numbers, though they may have been written as floats.
    Integer,
    /// Lists become arrays.
    Array,
}

impl Form {
    /// Of the type's category and its name; a domain has those of what it is made of.
    fn of(category: &str, base: &str) -> Form {
        match (category, base) {
            ("A", _) => Form::Array,
            (_, "json" | "jsonb") => Form::Json,
            (_, "bytea") => Form::Bytes,
            (_, "timestamp with time zone" | "timestamp without time zone" | "date") => Form::Time,
            (_, "smallint" | "integer" | "bigint") => Form::Integer,
            _ => Form::Text,
        }
    }
}

const COLUMNS: &str = "\
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), t.typcategory::text, \
        format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NULL) \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
    ORDER BY a.attnum";

impl Table {
    /// A table with these columns.
    pub fn new(name: &str, columns: Vec<Column>) -> Table {
        let places = columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        Table { name: name.to_owned(), columns, places }
    }

    /// Looks a table up by its quoted name; None if there is none.
    pub async fn find(client: &Client, name: &str) -> Result<Option<Table>, Error> {
        let rows = client.query(COLUMNS, &[&name]).await?;
        let column = |row: &tokio_postgres::Row| {
            let (category, base): (String, String) = (row.get(2), row.get(3));
            Column { name: row.get(0), ty: row.get(1), form: Form::of(&category, &base) }
        };
        let columns: Vec<Column> = rows.iter().map(column).collect();
        if columns.is_empty() {
            let found = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?;
            if !found.get::<_, bool>(0) {
                return Ok(None);
            }
        }
        Ok(Some(Table::new(name, columns)))
    }

    /// Which column has this name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// A name as SQL takes it, whatever is in it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
