//! The strict scanner: one pass, no tree, as many bytes at once as the machine compares.
//!
//! Everything here works on *padded text*: a pointer into bytes that end in a terminator (a newline for lines,
//! a NUL otherwise) with [`PAD`] readable bytes behind it. No JSON token contains the terminator, so no scan
//! runs past it, and a wide load never leaves what is readable. That is the whole safety argument: a pointer
//! that is at or before the terminator stays there, because every step over a byte has seen that it is not the
//! terminator.

mod grammar;
#[cfg(target_arch = "aarch64")]
mod neon;
mod number;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use grammar::{Text, blank, literal, value};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use number::{number, skip_number};
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Sse2};

/// Readable bytes behind the terminator.
pub(crate) const PAD: usize = 64;

/// Why and where a scan stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The place in the text.
    pub at: *const u8,
    /// What is wrong there.
    pub message: &'static str,
}

/// A scan's result: the place behind what was scanned.
pub(crate) type Scanned = Result<*const u8, Fault>;

/// Bytes that a text is expected to go on with, at most [`Prefix::MAX`].
#[derive(Clone)]
pub(crate) struct Prefix {
    bytes: [u8; Prefix::MAX],
    len: usize,
}

impl Prefix {
    /// What fits.
    pub const MAX: usize = 64;

    /// The prefix of these bytes, if they fit and are any.
    pub fn new(text: &[u8]) -> Option<Prefix> {
        let mut bytes = [0; Prefix::MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        (!text.is_empty()).then_some(Prefix { bytes, len: text.len() })
    }

    /// Its length in bytes, 1 to [`Prefix::MAX`].
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// What an instruction set must be able to do.
///
/// # Safety
/// All functions take a pointer into padded text, and may be called only where the instruction set is there.
pub(crate) trait Simd: Copy {
    /// Bytes that [`Simd::stop`] looks at.
    const WIDTH: usize;

    /// How many bytes stand before the first that is a quote, a backslash, a control character or not ASCII;
    /// [`Simd::WIDTH`] if none of those looked at is.
    unsafe fn stop(at: *const u8) -> usize;

    /// As [`Simd::stop`], but bytes that are not ASCII do not stop.
    unsafe fn stop_any(at: *const u8) -> usize;

    /// A bit for each of 32 bytes that is a decimal digit, the first byte's lowest.
    unsafe fn digits(at: *const u8) -> u32;

    /// Whether the text goes on with the prefix.
    unsafe fn starts_with(at: *const u8, prefix: &Prefix) -> bool;

    /// [`grammar::string`], out of line, compiled for the instruction set.
    unsafe fn string(at: *const u8) -> Result<Text, Fault>;

    /// [`grammar::container`], out of line, compiled for the instruction set.
    unsafe fn container<const LINES: bool>(at: *const u8, depth: usize) -> Scanned;
}

/// The instruction sets that this machine may choose from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// 32 bytes at once.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 16 bytes at once; every x86_64 has it.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// 16 bytes at once; every aarch64 has it.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// 8 bytes at once, in a general register.
    #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    Portable,
}

impl Isa {
    /// The best that this machine has.
    #[inline]
    pub fn best() -> Isa {
        #[cfg(target_arch = "x86_64")]
        return if x86::has_avx2() { Isa::Avx2 } else { Isa::Sse2 };
        #[cfg(target_arch = "aarch64")]
        return Isa::Neon;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Isa::Portable
    }

    /// All that this machine has.
    #[cfg(test)]
    pub fn all() -> Vec<Isa> {
        #[cfg(target_arch = "x86_64")]
        let other = Isa::Sse2;
        #[cfg(not(target_arch = "x86_64"))]
        let other = Isa::Portable;
        vec![Isa::best(), other, Isa::Portable]
    }
}

/// Defines a function that gives, for an [`Isa`], the pointer to a generic function (marked `inline(always)`)
/// compiled for it: the choice is made once, not in the loop.
macro_rules! per_isa {
    ($(#[$doc:meta])* $vis:vis fn $pick:ident() -> $pointer:ty {
        $generic:ident($($name:ident: $type:ty),*) -> $result:ty
    }) => {
        $(#[$doc])*
        $vis fn $pick(isa: $crate::event::json::scan::Isa) -> $pointer {
            use $crate::event::json::scan::{self, Isa};
            /// # Safety
            /// As for the generic function; AVX2 is there.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2")]
            unsafe fn avx2($($name: $type),*) -> $result {
                // SAFETY: the caller's promise is passed on.
                unsafe { $generic::<scan::Avx2>($($name),*) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2,
                #[cfg(target_arch = "x86_64")]
                Isa::Sse2 => $generic::<scan::Sse2>,
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => $generic::<scan::Neon>,
                #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
                Isa::Portable => $generic::<scan::Portable>,
            }
        }
    };
}
pub(crate) use per_isa;
