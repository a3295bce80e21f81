//! One file that is read to its end, and how far it was read.

use super::known::{self, Candidate, Claim, FileId, Head, Place};
use super::{FileSource, Start, failed, open};
use crate::dataflow::{Framed, Polled, Position, Refused, Resume, RowSource, SourceError};
use crate::event::Batch;
use crate::formats::Decoder;
use crate::time::Env;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Which files of a source were read before: found out once for all, when the first of them asks.
#[derive(Debug, Default)]
pub struct Settled(Mutex<Option<Settlement>>);

#[derive(Debug)]
struct Settlement {
    claims: BTreeMap<FileId, Claim>,
    /// Whether anything was saved.
    any: bool,
}

impl Settled {
    /// What an earlier run left of a file among these; and whether one left anything of any.
    fn claim(&self, from: &Arc<Resume>, files: &[PathBuf], id: FileId) -> (Option<Claim>, bool) {
        let mut settled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let settlement = settled.get_or_insert_with(|| Settlement::find(from, files));
        (settlement.claims.remove(&id), settlement.any)
    }
}

impl Settlement {
    fn find(from: &Arc<Resume>, files: &[PathBuf]) -> Settlement {
        let any = from.has(|_| true);
        // What cannot be looked at fails where it is read.
        let look = |path: &PathBuf| Candidate::of(path, &open(path).ok()?).ok()?;
        // Nothing that might wait for somebody is opened twice.
        let is_file = |path: &&PathBuf| path.metadata().is_ok_and(|metadata| metadata.is_file());
        let candidates: Vec<Candidate> = match any {
            true => files.iter().filter(is_file).filter_map(look).collect(),
            false => Vec::new(),
        };
        let claims = known::settle(from, &candidates);
        let claims = candidates.iter().zip(claims).filter_map(|(file, claim)| Some((file.id, claim?)));
        let claims = claims.collect();
        known::forget_oldest(from);
        Settlement { claims, any }
    }
}

/// A partition that is one file.
pub struct Whole {
    path: PathBuf,
    start: Start,
    framed: Framed<FileSource>,
    /// All files of the source.
    files: Arc<[PathBuf]>,
    settled: Arc<Settled>,
    /// What it is called among positions; empty if it cannot be read again.
    name: Vec<u8>,
    head: Cell<Head>,
    used: Option<i64>,
    used_before: i64,
}

impl Whole {
    /// The file at a path that is one of these.
    pub fn new(
        (path, start): (PathBuf, Start),
        source: FileSource,
        decoder: Box<dyn Decoder>,
        files: Arc<[PathBuf]>,
        settled: Arc<Settled>,
    ) -> Whole {
        let framed = Framed::new(source, decoder, files.len());
        let (name, head) = (Vec::new(), Cell::default());
        Whole { path, start, framed, files, settled, name, head, used: None, used_before: 0 }
    }

    /// Goes on at a place; false if the file does not reach so far.
    fn go_on(&mut self, place: &Place) -> Result<bool, SourceError> {
        if !self.framed.bytes_mut().skip_to(place.offset)? {
            return Ok(false);
        }
        let loaded = self.framed.go_on(place.offset, &place.decoder);
        loaded.map_err(|_| unreadable(&self.path))?;
        self.used_before = place.used;
        Ok(true)
    }
}

/// The format has another header, or it is another format.
pub fn unreadable(path: &Path) -> SourceError {
    let path = path.display();
    let message = format!(
        "`{path}` was read before in another format: start over with `--fresh`, or name the source otherwise"
    );
    SourceError { message }
}

impl RowSource for Whole {
    fn open(&mut self) -> Result<(), SourceError> {
        self.framed.open()?;
        let Some((file, packed)) = self.framed.bytes().again() else { return Ok(()) };
        let cannot = |error| failed("read", &self.path, error);
        let length = file.metadata().map_err(cannot)?.len();
        let name = known::name(file).map_err(cannot)?;
        if packed {
            self.head.set(Head::of(file, length).map_err(cannot)?);
        }
        match self.start {
            // Nothing is read of it, and nobody could say how far that was.
            Start::End if packed => return Ok(()),
            Start::End => _ = self.go_on(&Place { offset: length, ..Place::default() })?,
            Start::Begin => {}
        }
        self.name = name;
        Ok(())
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        let Some((file, packed)) = self.framed.bytes().again() else { return Ok(None) };
        let metadata = file.metadata().map_err(|error| failed("read", &self.path, error))?;
        let (claim, any) = self.settled.claim(from, &self.files, FileId::of(&metadata));
        if let Some(Claim { name, place }) = claim.filter(|claim| claim.place.packed == packed) {
            if self.go_on(&place)? {
                self.name.clone_from(&name);
                return Ok(Some(name));
            }
            let path = self.path.display();
            tracing::warn!("`{path}` is shorter than when it was read: it is read from its beginning");
        }
        if any {
            // What turned up while nobody looked is read whole.
            self.go_on(&Place::default())?;
        }
        Ok(None)
    }

    fn name(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }

    fn position(&self) -> Option<Position> {
        let (file, packed) = self.framed.bytes().again().filter(|_| !self.name.is_empty())?;
        let offset = self.framed.offset();
        if !packed && let Ok(head) = Head::grown(self.head.get(), file, offset) {
            self.head.set(head);
        }
        let mut decoder = Vec::new();
        self.framed.save_decoder(&mut decoder);
        let used = self.used.unwrap_or(self.used_before);
        Place { offset, packed, head: self.head.get(), used, decoder }.position(&self.name)
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        self.used.get_or_insert(env.now.0);
        self.framed.fill(batch, refused, env)
    }
}

#[cfg(test)]
mod tests;
