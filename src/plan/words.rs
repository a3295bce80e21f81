//! Texts of a plan that people see.

use crate::config::Secrets;

/// The text in one line, without secrets and without anything that steers a terminal.
pub fn shown(text: &str, secrets: &Secrets) -> String {
    let masked = secrets.mask(text);
    let lines: Vec<&str> = masked.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut shown = String::with_capacity(masked.len());
    for c in lines.join(" ").chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_without_secrets_and_control_characters() {
        let mut secrets = Secrets::default();
        secrets.add("s3cr3t");
        assert_eq!(shown("where a = 's3cr3t'\n  AND b\n", &secrets), "where a = '***' AND b");
        assert_eq!(shown("\u{1b}[2J\ttab", &secrets), "\\u{1b}[2J\\ttab");
    }
}
