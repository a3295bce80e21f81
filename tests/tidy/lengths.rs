//! Files and functions stay short enough to be read at once.

use super::source::{Fault, Source, behind_braces, is_name};

const FILE_LINES: usize = 600;
const MEDIAN_FILE_LINES: usize = 200;
const FUNCTION_LINES: usize = 70;

/// No file beyond the limit, and the median well below it.
pub fn check_files(sources: &[Source]) -> Vec<Fault> {
    let mut lengths: Vec<usize> = sources.iter().map(length).collect();
    lengths.sort_unstable();
    let long = |source: &&Source| length(source) > FILE_LINES;
    let fault = |source: &Source| {
        source.fault(length(source), format!("{} lines, the limit is {FILE_LINES}", length(source)))
    };
    let mut faults: Vec<Fault> = sources.iter().filter(long).map(fault).collect();
    if let Some(&median) = lengths.get(lengths.len() / 2).filter(|&&median| median >= MEDIAN_FILE_LINES) {
        let message =
            format!("the median file has {median} lines, wanted are fewer than {MEDIAN_FILE_LINES}");
        faults.push(Fault { file: "src".to_string(), line: 1, message });
    }
    faults
}

fn length(source: &Source) -> usize {
    source.code.trim_end_matches('\n').split('\n').count()
}

/// No function beyond the limit, its signature included.
pub fn check_functions(source: &Source) -> Vec<Fault> {
    let long = |function: &Function| function.lines > FUNCTION_LINES;
    let fault = |function: Function| {
        let message =
            format!("`{}` has {} lines, the limit is {FUNCTION_LINES}", function.name, function.lines);
        source.fault(function.line, message)
    };
    functions(source).into_iter().filter(long).map(fault).collect()
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// All functions with a body, nested ones too.
fn functions(source: &Source) -> Vec<Function> {
    let code = &source.code;
    let function = |at: usize| {
        let name: String = code[at + 2..].trim_start().chars().take_while(|c| is_name(*c as u8)).collect();
        let open = body(code, at)?;
        let line = source.line_of(at);
        let lines = source.line_of(behind_braces(code, open) - 1) - line + 1;
        // A function pointer type has no name.
        (!name.is_empty()).then_some(Function { name, line, lines })
    };
    source.find_word("fn").into_iter().filter_map(function).collect()
}

/// The brace that opens the body of the function at `at`; None for a mere declaration.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            // A function pointer inside a list of arguments ends where the list does.
            b')' | b']' if depth == 0 => return None,
            b')' | b']' => depth -= 1,
            b';' | b'}' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(i),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/a.rs", text)
    }

    #[test]
    fn long_files_are_refused() {
        assert!(check_files(&[source(&"\n".repeat(100)), source(&"a\n".repeat(600)), source("")]).is_empty());
        assert_eq!(check_files(&[source(""), source(&"a\n".repeat(601)), source("")]).len(), 1);
    }

    #[test]
    fn a_long_median_is_refused() {
        assert_eq!(
            check_files(&[source("a"), source(&"a\n".repeat(200)), source(&"a\n".repeat(300))]).len(),
            1
        );
    }

    #[test]
    fn long_functions_are_refused() {
        let text = |lines: usize| {
            format!("impl A {{\n    fn f() {{\n{}    }}\n}}\n", "        a();\n".repeat(lines))
        };
        assert!(check_functions(&source(&text(68))).is_empty());
        let faults = check_functions(&source(&text(69)));
        assert_eq!(faults[0].to_string(), "src/a.rs:2: `f` has 71 lines, the limit is 70");
    }

    #[test]
    fn braces_in_literals_do_not_count() {
        let text =
            "fn f(a: [u8; 2]) -> char {\n    \"}\";\n    // }\n    '{'\n}\nfn g();\ntype F = fn(u8) -> u8;\n";
        let found: Vec<(String, usize)> =
            functions(&source(text)).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("f".to_string(), 5)]);
    }
}
