//! The statements that write rows.

use super::row::Row;
use super::table::{Column, Table, quoted};
use std::collections::HashSet;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each is added.
    Insert,
    /// One with a key that is there already takes the place of that one.
    Upsert,
    /// Each is added, by `COPY`.
    Copy,
}

impl Mode {
    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Insert => "insert",
            Mode::Upsert => "upsert",
            Mode::Copy => "copy",
        }
    }
}

fn names<'c>(columns: impl Iterator<Item = &'c Column>) -> String {
    columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// Writes rows of these columns, each column an array of texts: `$1`, `$2` …
pub fn insert(table: &Table, columns: &[usize], key: Option<&[String]>) -> String {
    let columns: Vec<&Column> = columns.iter().map(|at| &table.columns[*at]).collect();
    let values: Vec<String> =
        columns.iter().enumerate().map(|(n, column)| format!("c{n}::{}", column.ty)).collect();
    let arrays: Vec<String> = (1..=columns.len()).map(|n| format!("${n}::text[]")).collect();
    let texts: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
    let (names, values) = (names(columns.iter().copied()), values.join(", "));
    let source = format!("SELECT {values} FROM unnest({}) AS given({})", arrays.join(", "), texts.join(", "));
    format!("INSERT INTO {} ({names}) {source}{}", table.name, conflict(&columns, key))
}

fn conflict(columns: &[&Column], key: Option<&[String]>) -> String {
    let Some(key) = key else { return String::new() };
    let others: Vec<String> = columns
        .iter()
        .filter(|column| !key.contains(&column.name))
        .map(|column| format!("{0} = EXCLUDED.{0}", quoted(&column.name)))
        .collect();
    let key: Vec<String> = key.iter().map(|name| quoted(name)).collect();
    let action =
        if others.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", others.join(", ")) };
    format!(" ON CONFLICT ({}) DO {action}", key.join(", "))
}

/// Takes rows of these columns in the text format of `COPY`.
pub fn copy(table: &Table, columns: &[usize]) -> String {
    format!("COPY {} ({}) FROM STDIN", table.name, names(columns.iter().map(|at| &table.columns[*at])))
}

/// Tells, without changing anything, whether rows of these columns could be written: does the server have the table, the
/// columns and the index, and may we. Every statement of it fails as the real one would.
pub fn rehearsal(table: &Table, columns: &[String], key: Option<&[String]>) -> String {
    let conflict = |columns: &[String]| {
        let columns: Vec<Column> = columns
            .iter()
            .map(|name| Column { name: name.clone(), ty: String::new(), form: super::table::Form::Text })
            .collect();
        self::conflict(&columns.iter().collect::<Vec<_>>(), key)
    };
    let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    match names.is_empty() {
        true => format!("EXPLAIN INSERT INTO {} DEFAULT VALUES{}", table.name, conflict(&[])),
        false => {
            let nulls = vec!["NULL"; names.len()].join(", ");
            let names = names.join(", ");
            format!("EXPLAIN INSERT INTO {} ({names}) VALUES ({nulls}){}", table.name, conflict(columns))
        }
    }
}

/// Makes a table.
pub fn create(table: &str, columns: &[(String, &'static str)], key: &[String]) -> String {
    let mut lines: Vec<String> = columns.iter().map(|(name, ty)| format!("{} {ty}", quoted(name))).collect();
    if !key.is_empty() {
        let key: Vec<String> = key.iter().map(|name| quoted(name)).collect();
        lines.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE IF NOT EXISTS {table} ({})", lines.join(", "))
}

/// Appends a row as `COPY` takes it.
pub fn write_copied(row: &Row, into: &mut Vec<u8>) {
    for (n, (_, value)) in row.iter().enumerate() {
        if n > 0 {
            into.push(b'\t');
        }
        let Some(value) = value else {
            into.extend_from_slice(b"\\N");
            continue;
        };
        for byte in value.bytes() {
            match byte {
                b'\\' => into.extend_from_slice(b"\\\\"),
                b'\t' => into.extend_from_slice(b"\\t"),
                b'\n' => into.extend_from_slice(b"\\n"),
                b'\r' => into.extend_from_slice(b"\\r"),
                byte => into.push(byte),
            }
        }
    }
    into.push(b'\n');
}

/// Of rows with the same key only the last: one statement cannot change a row twice.
pub fn last_of_each_key(rows: &mut Vec<&Row>, key: &[usize]) {
    let mut seen = HashSet::new();
    let of_key = |row: &Row| row.iter().filter(|(at, _)| key.contains(at)).cloned().collect::<Row>();
    let mut kept: Vec<bool> = rows.iter().rev().map(|row| seen.insert(of_key(row))).collect();
    rows.retain(|_| kept.pop().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::super::table::Form;
    use super::*;

    fn table() -> Table {
        let column =
            |(name, ty): (&str, &str)| Column { name: name.to_owned(), ty: ty.to_owned(), form: Form::Text };
        Table::new("\"t\"", [("id", "bigint"), ("odd \"one", "text")].map(column).to_vec())
    }

    #[test]
    fn statements_name_columns_whatever_is_in_their_names() {
        let (table, key) = (table(), ["id".to_owned()]);
        let insert = insert(&table, &[0, 1], Some(&key));
        let want = "INSERT INTO \"t\" (\"id\", \"odd \"\"one\") SELECT c0::bigint, c1::text \
                    FROM unnest($1::text[], $2::text[]) AS given(c0, c1) \
                    ON CONFLICT (\"id\") DO UPDATE SET \"odd \"\"one\" = EXCLUDED.\"odd \"\"one\"";
        assert_eq!(insert, want);
        assert!(super::insert(&table, &[0], Some(&key)).ends_with("ON CONFLICT (\"id\") DO NOTHING"));
        assert_eq!(copy(&table, &[1]), "COPY \"t\" (\"odd \"\"one\") FROM STDIN");
        let create = create("\"t\"", &[("id".to_owned(), "bigint")], &key);
        assert_eq!(create, "CREATE TABLE IF NOT EXISTS \"t\" (\"id\" bigint, PRIMARY KEY (\"id\"))");
        assert_eq!(rehearsal(&table, &[], None), "EXPLAIN INSERT INTO \"t\" DEFAULT VALUES");
    }

    #[test]
    fn what_copy_would_misread_is_escaped() {
        let mut bytes = Vec::new();
        write_copied(&vec![(0, Some("a\tb\\\n".to_owned())), (1, None)], &mut bytes);
        assert_eq!(bytes, b"a\\tb\\\\\\n\t\\N\n");
    }

    #[test]
    fn the_last_row_of_a_key_stays() {
        let row = |key: &str, value: &str| vec![(0, Some(key.to_owned())), (1, Some(value.to_owned()))];
        let all = [row("a", "1"), row("b", "2"), row("a", "3")];
        let mut rows: Vec<&Row> = all.iter().collect();
        last_of_each_key(&mut rows, &[0]);
        assert_eq!(rows, [&all[1], &all[2]]);
    }
}
