//! Functions that a script is offered.

use mlua::{Lua, MultiValue, Value};
use std::sync::Arc;

/// What a helper does. Errors reach the script as text, so `pcall` sees what it would see of any function.
pub type HelperCall = Arc<dyn Fn(&Lua, MultiValue) -> mlua::Result<Value> + Send + Sync>;

/// A function of a module that every script finds among its globals, such as `text.lower`.
#[derive(Clone)]
pub struct Helper {
    /// The global table it stands in.
    pub module: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it does.
    pub call: HelperCall,
}

impl Helper {
    /// A helper.
    pub fn new(
        module: &'static str,
        name: &'static str,
        call: impl Fn(&Lua, MultiValue) -> mlua::Result<Value> + Send + Sync + 'static,
    ) -> Helper {
        Helper { module, name, call: Arc::new(call) }
    }
}
