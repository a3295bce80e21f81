//! Reading dead letters, also while they are written.

use super::super::disk::Disk;
use super::super::error::StateError;
use super::super::log::read_file;
use super::letter::{DeadLetter, read_record};
use super::{HEADER, decode_header, file_name, segments};
use std::io::ErrorKind;

/// Gives all letters with their numbers, the oldest first, until `visit` wants no more. Numbers that are missing are of
/// letters that were dropped or left out. Changes nothing: what is not whole at the end of a segment is being written, or
/// was torn.
///
/// # Errors
/// The folder cannot be read.
pub fn read_dead_letters(
    disk: &dyn Disk,
    visit: &mut dyn FnMut(u64, &DeadLetter) -> bool,
) -> Result<(), StateError> {
    let names = disk.list().map_err(|error| StateError::disk("reading the dead letters", error))?;
    for number in segments(&names) {
        let bytes = match read_file(disk, &file_name(number)) {
            // Dropped meanwhile.
            Err(StateError::Disk { error, .. }) if error.kind() == ErrorKind::NotFound => continue,
            read => read?,
        };
        let Some(seed) = decode_header(&bytes) else { continue };
        let mut at = HEADER;
        while let Some((number, letter, length)) = read_record(&bytes[at..], seed) {
            if !visit(number, &letter) {
                return Ok(());
            }
            at += length;
        }
    }
    Ok(())
}
