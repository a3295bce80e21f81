//! A module imports only lower layers.

use super::source::{Fault, Source, behind_braces, is_name};

/// The modules of each layer, lowest first.
const LAYERS: [&[&str]; 7] = [
    &["event", "time"],
    &["config", "expr", "formats", "lua", "state", "telemetry", "watermark"],
    &["dataflow"],
    &["clients"],
    &["sources", "tables", "transforms", "windows", "sinks"],
    &["plan", "runtime", "server"],
    &["cli", "main"],
];

/// Who may import whom inside a layer. In layers 1 and 4 nobody may.
const PEERS: [(&str, &str); 3] = [("event", "time"), ("runtime", "plan"), ("main", "cli")];

/// Lower layers that are closed all the same: what runs a plan knows no concrete component.
const CLOSED: [(&str, &str); 6] = [
    ("runtime", "clients"),
    ("runtime", "sources"),
    ("runtime", "tables"),
    ("runtime", "transforms"),
    ("runtime", "windows"),
    ("runtime", "sinks"),
];

/// Faults of one file of `src/`.
pub fn check(source: &Source) -> Vec<Fault> {
    let Some(from) = module_of(&source.path) else { return Vec::new() };
    let Some(from_layer) = layer(from) else {
        return vec![source.fault(1, format!("module `{from}` has no layer in tests/tidy/layers.rs"))];
    };
    let verdict = |(offset, to): (usize, String)| {
        let message = match layer(&to) {
            None => format!("`crate::{to}` is no module of a layer"),
            Some(to_layer) if allowed(from, from_layer, &to, to_layer) => return None,
            Some(to_layer) => {
                format!("`{from}` (layer {from_layer}) must not import `{to}` (layer {to_layer})")
            }
        };
        Some(source.fault(source.line_of(offset), message))
    };
    imports(source).into_iter().filter_map(verdict).collect()
}

fn allowed(from: &str, from_layer: usize, to: &str, to_layer: usize) -> bool {
    from == to || PEERS.contains(&(from, to)) || (to_layer < from_layer && !CLOSED.contains(&(from, to)))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top-level module that a file belongs to; None for the crate's root.
fn module_of(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    match first.strip_suffix(".rs") {
        Some("lib") => None,
        Some(file) => Some(file),
        None => Some(first),
    }
}

/// The top-level modules that a file names, each with the byte where it does.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let behind_crate = source.find_word("crate::").into_iter().map(|at| at + "crate::".len());
    let behind_name = source.find_word("headwater::").into_iter().map(|at| at + "headwater::".len());
    let starts = behind_crate.chain(behind_name).chain(roots_by_super(source));
    starts.flat_map(|at| first_names(&source.code, at)).collect()
}

/// Bytes behind `super::` chains that climb to the crate's root. Inline modules are not counted: a chain
/// inside one climbs less far than is assumed here.
fn roots_by_super(source: &Source) -> Vec<usize> {
    let folders = source.path.matches('/').count() - 1;
    let is_folder_root = source.path.ends_with("/mod.rs");
    let depth = folders + if is_folder_root { 0 } else { 1 };
    let chain = "super::".repeat(depth);
    source.find_word(&chain).into_iter().map(|at| at + chain.len()).filter(|_| depth > 0).collect()
}

/// The first names of the paths at `at`: one, or those of a group in braces.
fn first_names(code: &str, at: usize) -> Vec<(usize, String)> {
    if code.as_bytes().get(at) != Some(&b'{') {
        return name_at(code, at).into_iter().map(|name| (at, name)).collect();
    }
    let end = behind_braces(code, at);
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expected = false;
    for (i, byte) in code.bytes().enumerate().take(end).skip(at) {
        match byte {
            b'{' => (depth, expected) = (depth + 1, depth == 0),
            b'}' => depth -= 1,
            b',' => expected = depth == 1,
            byte if expected && is_name(byte) => {
                names.extend(name_at(code, i).map(|name| (i, name)));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// The name that starts at a byte; `super` and `self` go on to others and are left to them.
fn name_at(code: &str, at: usize) -> Option<String> {
    let name: String = code[at..].chars().take_while(|c| is_name(*c as u8)).collect();
    (!name.is_empty() && name != "super" && name != "self").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn higher_layers_are_refused() {
        let found = faults("src/expr/parse.rs", "use crate::event::Batch;\nuse crate::plan::Plan;\n");
        assert_eq!(found, ["src/expr/parse.rs:2: `expr` (layer 1) must not import `plan` (layer 5)"]);
    }

    #[test]
    fn neighbours_are_refused() {
        assert_eq!(faults("src/expr/a.rs", "fn f(x: &crate::formats::Decoder) {}").len(), 1);
        assert_eq!(faults("src/sinks/file.rs", "use crate::{event::{Batch, Row}, sources::file};").len(), 1);
        assert_eq!(faults("src/time/mod.rs", "use crate::event::Batch;").len(), 1);
        assert_eq!(faults("src/plan/mod.rs", "use crate::runtime::run;").len(), 1);
    }

    #[test]
    fn the_runtime_knows_no_component() {
        assert_eq!(faults("src/runtime/worker.rs", "use crate::windows::Window;").len(), 1);
    }

    #[test]
    fn climbing_out_by_super_is_seen() {
        assert_eq!(faults("src/expr/a.rs", "use super::super::plan::Plan;").len(), 1);
        assert_eq!(faults("src/expr/mod.rs", "use super::{plan, event};").len(), 1);
        assert_eq!(faults("src/expr/a/b.rs", "use super::super::plan::Plan;").len(), 0);
    }

    #[test]
    fn unknown_modules_are_refused() {
        assert_eq!(faults("src/extra.rs", "").len(), 1);
        assert_eq!(faults("src/expr/a.rs", "use crate::extra::A;").len(), 1);
    }

    #[test]
    fn lower_layers_and_the_own_module_pass() {
        let text =
            "use crate::event::{Batch, Row};\nuse crate::expr::b;\nuse crate::time::Env; // crate::plan\n";
        assert!(faults("src/expr/a.rs", text).is_empty());
        assert!(faults("src/event/batch.rs", "use crate::time::Timestamp;").is_empty());
        assert!(faults("src/runtime/mod.rs", "use crate::plan::Plan;").is_empty());
        assert!(faults("src/main.rs", "fn main() { headwater::cli::main() }").is_empty());
        assert!(faults("src/lib.rs", "pub mod cli;").is_empty());
    }
}
