//! Functions that are none of the registry: plugins bring them along.

use super::spec::Instance;
use std::fmt;

/// A function of a plugin, as data that plans share. Of what it takes and gives nothing is known: it is given nulls too, and
/// is called for each event even where its arguments never change.
pub trait PluginFunction: fmt::Debug + Send + Sync {
    /// The name it is called by, in lower case.
    fn name(&self) -> &str;

    /// Where it comes from, for people.
    fn origin(&self) -> &str;

    /// The function for one place of call. It is made while planning, so what is dear waits for the first call.
    fn start(&self) -> Box<dyn Instance>;
}
