//! `require`: modules of the `plugins` folder, and no other files.

use crate::lua::Script;
use crate::lua::watch::{self, LoadedFile};
use mlua::chunk::ChunkMode;
use mlua::{Error, Lua, Table, Value};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of modules, in the interpreter's registry.
const LOADED: &str = "headwater.loaded";
/// Set once loading is over.
const SEALED: &str = "headwater.sealed";

/// Adds `require`.
pub(super) fn install(
    lua: &Lua,
    globals: &Table,
    script: &Script,
    read: &Arc<Mutex<Vec<LoadedFile>>>,
) -> mlua::Result<()> {
    lua.set_named_registry_value(LOADED, lua.create_table()?)?;
    let (folder, read) = (script.modules.clone(), read.clone());
    let require = lua.create_function(move |lua, name: String| {
        let loaded: Table = lua.named_registry_value(LOADED)?;
        match loaded.raw_get(&*name)? {
            Value::Nil => {}
            Value::Boolean(false) => return Err(raised(format!("module `{name}` requires itself"))),
            module => return Ok(module),
        }
        if let Value::Table(library) = lua.globals().raw_get(&*name)? {
            return Ok(Value::Table(library));
        }
        if lua.named_registry_value::<bool>(SEALED).unwrap_or(false) {
            let why = format!("module `{name}` is not loaded: require it where the script begins");
            return Err(raised(why));
        }
        let path = find(folder.as_deref(), &name).map_err(raised)?;
        let (file, text) = watch::load(&path).map_err(|error| raised(error.to_string()))?;
        read.lock().unwrap_or_else(PoisonError::into_inner).push(file);
        loaded.raw_set(&*name, false)?;
        let chunk = lua.load(&*text).set_name(format!("={name}.lua")).set_mode(ChunkMode::Text);
        let module = chunk.call::<Value>(&*name);
        let module = module.inspect_err(|_| drop(loaded.raw_remove(&*name)))?;
        let module = if module.is_nil() { Value::Boolean(true) } else { module };
        loaded.raw_set(&*name, &module)?;
        Ok(module)
    })?;
    globals.raw_set("require", require)
}

/// From here on `require` reads no files.
pub(super) fn seal(lua: &Lua) -> mlua::Result<()> {
    lua.set_named_registry_value(SEALED, true)
}

fn raised(why: String) -> Error {
    Error::RuntimeError(why)
}

/// The file of a module. Dots are folders; nothing leads out of the folder of modules, links neither.
fn find(folder: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if !name.split('.').all(is_part) {
        return Err(format!(
            "`{name}` is no name of a module: letters, digits, `_`, `-`, and `.` for folders"
        ));
    }
    let folder = folder.ok_or_else(|| format!("module `{name}`: there is no folder `plugins`"))?;
    let path = folder.join(format!("{}.lua", name.replace('.', "/")));
    let missing = |_| format!("module `{name}`: there is no file {}", path.display());
    let (real, root) = (path.canonicalize().map_err(missing)?, folder.canonicalize().map_err(missing)?);
    if !real.starts_with(root) {
        return Err(format!("module `{name}`: {} leads out of its folder", path.display()));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["..", "a..b", "../a", "/etc/passwd", "a/b", "", "a\0b", "a.", ".a", "a\\b", "C:a"] {
            let why = find(Some(Path::new("src")), name).unwrap_err();
            assert!(why.contains("no name of a module"), "{name}: {why}");
        }
        assert!(find(None, "a").unwrap_err().contains("no folder"));
        assert!(find(Some(Path::new("src")), "a.b").unwrap_err().contains("a/b.lua"));
    }
}
