//! Pieces of Markdown.

/// A text as it can stand in a cell of a table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A table. Cells are Markdown already.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.to_vec());
    text.push_str(&line(vec!["---"; N]));
    text.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    // An empty cell has one blank.
    text.replace("|  |", "| |").replace("|  |", "| |")
}

/// A block of code.
pub fn code(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}
