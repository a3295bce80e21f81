//! Owned bytes that are mostly few: keys and members of sets.

/// Owned bytes; up to 22 are held in place.
#[derive(Clone, Debug)]
pub enum ShortBytes {
    /// The bytes, of which the first `len` count.
    Inline {
        /// How many.
        len: u8,
        /// Those, and zeros.
        data: [u8; ShortBytes::INLINE],
    },
    /// More than fit in place.
    Boxed(Box<[u8]>),
}

const _: () = assert!(size_of::<ShortBytes>() == 24);

impl ShortBytes {
    const INLINE: usize = 22;

    /// A copy of the bytes.
    pub fn new(bytes: &[u8]) -> ShortBytes {
        if bytes.len() > Self::INLINE {
            return ShortBytes::Boxed(bytes.into());
        }
        let mut data = [0; Self::INLINE];
        data[..bytes.len()].copy_from_slice(bytes);
        ShortBytes::Inline { len: bytes.len() as u8, data }
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            ShortBytes::Inline { len, data } => &data[..*len as usize],
            ShortBytes::Boxed(bytes) => bytes,
        }
    }

    /// Memory taken, in bytes.
    pub fn size(&self) -> usize {
        match self {
            ShortBytes::Inline { .. } => size_of::<ShortBytes>(),
            ShortBytes::Boxed(bytes) => size_of::<ShortBytes>() + bytes.len(),
        }
    }
}

impl AsRef<[u8]> for ShortBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_come_back() {
        for len in [0, 1, 21, 22, 23, 1000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            assert_eq!(ShortBytes::new(&bytes).as_slice(), bytes);
        }
    }
}
