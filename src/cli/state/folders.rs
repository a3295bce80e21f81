//! The folders of pipelines in a data directory that is held.

use super::super::args::Shared;
use super::super::data_dir::{DataDir, pipeline_folder, pipelines};
use super::super::exit::Exit;
use super::super::load;
use super::super::process::Process;
use super::super::terminal::Terminal;
use super::args::Chosen;
use crate::config::is_name;
use crate::event::nearest;
use crate::state::disk::{Disk, RealDisk};
use crate::state::{OnCorruption, OpenOptions, Recovery, StateBackend, StateError, StateLimits, open};
use crate::time::{Clock, SystemClock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where state is, and whose it is, as flags and `headwater.yaml` say.
pub struct Whereabouts {
    data_dir: Option<PathBuf>,
    instance: Option<String>,
}

impl Whereabouts {
    /// As the process was given.
    ///
    /// # Errors
    /// Its file is faulty, which is said.
    pub fn of(process: &Process, shared: &Shared, terminal: &Terminal) -> Result<Whereabouts, Exit> {
        load::said(process, terminal)?;
        let (data_dir, instance) = (process.data_dir(shared), process.file.instance.clone());
        Ok(Whereabouts { data_dir, instance })
    }

    /// The data directory.
    ///
    /// # Errors
    /// None was given.
    pub fn data_dir(&self) -> Result<&Path, Exit> {
        let hint = "which data directory? give `--data-dir`, or `data_dir` in headwater.yaml";
        self.data_dir.as_deref().ok_or_else(|| Exit::usage(hint))
    }
}

/// A data directory that nobody else uses meanwhile.
pub struct Folders {
    path: PathBuf,
    instance: String,
    _held: DataDir,
    clock: SystemClock,
}

impl Folders {
    /// Takes a directory that is there.
    ///
    /// # Errors
    /// None was given, there is none, or another process has it.
    pub fn existing(whereabouts: &Whereabouts) -> Result<Folders, Exit> {
        let (path, clock) = (whereabouts.data_dir()?, SystemClock::new());
        let held = DataDir::existing(path, clock.entropy())?;
        Ok(Folders::new(whereabouts, path, held, clock))
    }

    /// Takes a directory, which is made if it is not there: that of the gateway of this id, where that can be one.
    pub fn made_for(whereabouts: &Whereabouts, instance: Option<&str>) -> Result<Folders, Exit> {
        let (path, clock) = (whereabouts.data_dir()?, SystemClock::new());
        let held = match instance {
            Some(instance) => DataDir::open_as(path, instance)?,
            None => DataDir::open(path, clock.entropy())?,
        };
        Ok(Folders::new(whereabouts, path, held, clock))
    }

    fn new(whereabouts: &Whereabouts, path: &Path, held: DataDir, clock: SystemClock) -> Folders {
        let instance = whereabouts.instance.clone().unwrap_or_else(|| held.instance().id);
        Folders { path: path.to_path_buf(), instance, _held: held, clock }
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The gateway's id.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The time of day and the like.
    pub fn clock(&self) -> &SystemClock {
        &self.clock
    }

    /// The pipelines that were chosen.
    ///
    /// # Errors
    /// There is no state of the one that was named.
    pub fn chosen(&self, chosen: &Chosen) -> Result<Vec<String>, Exit> {
        let known = pipelines(&self.path).map_err(|error| self.failed(&error))?;
        match &chosen.pipeline {
            None => Ok(known),
            Some(name) if known.contains(name) => Ok(vec![name.clone()]),
            Some(name) => {
                let near = nearest(name, known.iter().map(String::as_str));
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let path = self.path.display();
                Err(Exit::failed(format!("there is no state of a pipeline `{name}` in `{path}`{hint}")))
            }
        }
    }

    /// The folder of a pipeline, made if it is not there.
    pub fn disk(&self, pipeline: &str) -> Result<Arc<dyn Disk>, Exit> {
        if !is_name(pipeline) {
            return Err(Exit::usage(format!("`{pipeline}` cannot name a pipeline")));
        }
        let disk = RealDisk::new(&pipeline_folder(&self.path, pipeline));
        Ok(Arc::new(disk.map_err(|error| self.failed(&error))?))
    }

    /// How to open one.
    pub fn options(&self, on_corruption: OnCorruption) -> OpenOptions {
        let (entropy, now) = (self.clock.entropy(), self.clock.wall());
        OpenOptions { limits: StateLimits::default(), on_corruption, entropy, now }
    }

    /// Opens the state of a pipeline of which there is some.
    pub fn open(
        &self,
        pipeline: &str,
        on_corruption: OnCorruption,
    ) -> Result<(StateBackend, Recovery), Exit> {
        self.chosen(&Chosen { pipeline: Some(pipeline.to_owned()) })?;
        let opened = open(&self.disk(pipeline)?, &self.options(on_corruption));
        opened.map_err(|error| Exit::failed(said(pipeline, &error)))
    }

    fn failed(&self, error: &io::Error) -> Exit {
        Exit::failed(format!("the data directory `{}`: {error}", self.path.display()))
    }

    /// Does something with each pipeline; says which failed.
    pub fn each(
        &self,
        chosen: &Chosen,
        terminal: &Terminal,
        mut act: impl FnMut(&str) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let mut failed = false;
        for pipeline in self.chosen(chosen)? {
            if let Err(exit) = act(&pipeline) {
                failed = true;
                let message =
                    exit.message().map(|message| format!("{}: {message}\n", terminal.bold("error")));
                message.iter().for_each(|message| terminal.say(message));
            }
        }
        if failed { Err(Exit::Failed) } else { Ok(()) }
    }
}

/// An error with its pipeline and, where there is one, what to do.
pub fn said(pipeline: &str, error: &StateError) -> String {
    let hint = match error {
        StateError::Corrupt { .. } => {
            "; `headwater state check` says what is wrong, `state repair` sets it aside"
        }
        _ => "",
    };
    format!("pipeline `{pipeline}`: {error}{hint}")
}
