//! What the process was given beside pipelines: `headwater.yaml`, and where substitutions come from.

use super::args::Shared;
use super::data_dir;
use crate::config::{
    Diagnostic, Faults, Override, Param, ProcessEnvironment, ProcessFile, SourceFile, read_process,
    unknown_override,
};
use crate::event::nearest;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that is read from the working directory where no flag names another.
pub const CONFIGURATION: &str = "headwater.yaml";

/// What the process was given.
pub struct Process {
    /// Where substitutions come from.
    pub environment: ProcessEnvironment,
    /// What its file says; nothing where there is none, or where it is faulty.
    pub file: ProcessFile,
    /// What is to be said of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The file, where it could be read.
    source: Option<Arc<SourceFile>>,
}

impl Process {
    /// Reads the file that `--config` names, or that of the working directory if there is one.
    pub fn read(shared: &Shared, environment: ProcessEnvironment) -> Process {
        let given = shared.config.as_deref();
        let path = given.or_else(|| Some(Path::new(CONFIGURATION)).filter(|path| path.is_file()));
        let mut process =
            Process { environment, file: ProcessFile::default(), diagnostics: Vec::new(), source: None };
        match path.map(SourceFile::read) {
            None => {}
            Some(Err(diagnostic)) => process.diagnostics.push(diagnostic),
            Some(Ok(source)) => {
                let faults = Faults::new(source.clone());
                process.file = read_process(&faults, &process.environment);
                process.diagnostics = faults.diagnostics();
                process.source = Some(source);
            }
        }
        process
    }

    /// Values for parameters: those of the file, then those of the command line, which win.
    pub fn overrides(&self, set: &[Override]) -> Vec<Override> {
        self.file.params.iter().map(|(param, _)| param).chain(set).cloned().collect()
    }

    /// A warning for each parameter of the file that no pipeline has.
    pub fn unknown_params(&self, params: &[Param]) -> Vec<Diagnostic> {
        let Some(source) = &self.source else { return Vec::new() };
        let faults = Faults::new(source.clone());
        for (param, place) in &self.file.params {
            if unknown_override(std::slice::from_ref(param), params).is_some() {
                let message = format!("no pipeline here has the parameter `{}`", param.name);
                let reported = faults.warning(*place, message);
                if let Some(near) = nearest(&param.name, params.iter().map(|param| param.name.as_str())) {
                    reported.hint(format!("did you mean `{near}`?"));
                }
            }
        }
        faults.diagnostics()
    }

    /// Where what must last is kept: as a flag or its variable says, the file, or systemd.
    pub fn data_dir(&self, shared: &Shared) -> Option<PathBuf> {
        let given = shared.data_dir.clone().or_else(|| self.file.data_dir.clone());
        given.or_else(data_dir::of_the_service)
    }
}
