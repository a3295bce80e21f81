//! Functions of expressions that scripts have registered.

use super::place::Place;
use super::register::{Plugin, RegisterKind};
use super::values::{from_lua, to_lua};
use crate::event::Value;
use crate::expr::functions::{Context, Instance, Outcome, PluginFunction};
use mlua::MultiValue;
use std::sync::Arc;

/// A function that a script has registered.
#[derive(Debug)]
pub struct PluginScalar {
    /// Its script.
    pub plugin: Arc<Plugin>,
    /// What it is called.
    pub name: String,
}

impl PluginFunction for PluginScalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &str {
        &self.plugin.script.name
    }

    fn start(&self) -> Box<dyn Instance> {
        Box::new(Called { place: Place::new(self.plugin.clone(), RegisterKind::Scalar, &self.name) })
    }
}

/// It, at one place of call.
struct Called {
    place: Place,
}

impl Instance for Called {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let batch = &*context.batch;
        let result = self.place.call(|lua, function| {
            let args: mlua::Result<MultiValue> = args.iter().map(|arg| to_lua(lua, batch, *arg)).collect();
            match function {
                mlua::Value::Function(function) => function.call::<mlua::Value>(args?),
                _ => Err(mlua::Error::runtime("it was not registered when the script was loaded anew")),
            }
        });
        let value = result.map_err(|fault| fault.to_string())?;
        Ok(from_lua(&value, context.batch)?)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(Called { place: self.place.duplicate() })
    }
}
