//! A simulated file: what the process sees, what the disk has, and what is on its way between them.

use crate::time::Random;

/// What a disk writes in one go. Parts of this size of one write may arrive in any order.
const SECTOR: usize = 512;

/// Something done to a file.
#[derive(Clone, Debug)]
pub enum Change {
    /// Bytes at an offset.
    Write { offset: usize, bytes: Vec<u8> },
    /// Cut off or grown by zeroes.
    Length(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write(to, *offset, bytes),
            Change::Length(length) => to.resize(*length, 0),
        }
    }

    /// Cuts a write off after a random number of bytes.
    pub fn tear(&mut self, random: &mut Random) {
        if let Change::Write { bytes, .. } = self {
            bytes.truncate(below(random, bytes.len() + 1));
        }
    }

    /// How long the file is at least afterwards.
    pub fn reaches(&self) -> usize {
        match self {
            Change::Write { offset, bytes } => offset + bytes.len(),
            Change::Length(length) => *length,
        }
    }
}

fn write(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

/// A random number below a limit, which is not 0.
pub fn below(random: &mut Random, limit: usize) -> usize {
    (random.bits() % limit as u64) as usize
}

/// What becomes of changes that were not synced when the power goes.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// None arrived.
    All,
    /// All arrived.
    None,
    /// They arrived in order up to one that is torn.
    Tail,
    /// Any of them arrived, and of a write any sectors.
    Any,
}

impl Loss {
    pub fn draw(random: &mut Random) -> Loss {
        [Loss::All, Loss::None, Loss::Tail, Loss::Any][below(random, 4)]
    }

    /// For each of a number of changes, whether it arrived; none is torn.
    pub fn survivors(self, count: usize, random: &mut Random) -> Vec<bool> {
        let torn = below(random, count + 1);
        let survives = |(i, bit): (usize, bool)| match self {
            Loss::All => false,
            Loss::None => true,
            Loss::Tail => i < torn,
            Loss::Any => bit,
        };
        (0..count).map(|i| survives((i, random.bits() & 1 == 0))).collect()
    }
}

/// A file.
#[derive(Debug, Default)]
pub struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Image {
    /// What the process sees.
    pub fn live(&self) -> &[u8] {
        &self.live
    }

    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What is on its way arrives in part, and the rest is never tried again: a sync that failed. The process
    /// goes on seeing all of it.
    pub fn sync_badly(&mut self, loss: Loss, random: &mut Random) {
        let pending = std::mem::take(&mut self.pending);
        let survivors = loss.survivors(pending.len(), random);
        let torn = survivors.iter().position(|&survives| !survives);
        for (i, mut change) in pending.into_iter().enumerate() {
            if survivors[i] {
                self.arrive(&change, loss, random);
            } else if matches!(loss, Loss::Tail) && torn == Some(i) {
                change.tear(random);
                change.apply(&mut self.durable);
            }
        }
    }

    /// The process sees what arrived and what is still on its way, and nothing else.
    pub fn forget(&mut self) {
        self.live.clone_from(&self.durable);
        self.pending.iter().for_each(|change| change.apply(&mut self.live));
    }

    fn arrive(&mut self, change: &Change, loss: Loss, random: &mut Random) {
        match (loss, change) {
            (Loss::Any, Change::Write { offset, bytes }) => {
                for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                    if random.bits() & 3 != 0 {
                        write(&mut self.durable, offset + i * SECTOR, sector);
                    }
                }
            }
            _ => change.apply(&mut self.durable),
        }
    }

    /// The machine comes back after a power cut.
    pub fn restart(&mut self, loss: Loss, random: &mut Random) {
        self.sync_badly(loss, random);
        self.live.clone_from(&self.durable);
    }

    pub fn damage(&mut self, damage: impl FnOnce(&mut Vec<u8>)) {
        self.sync();
        damage(&mut self.durable);
        self.live.clone_from(&self.durable);
    }
}
