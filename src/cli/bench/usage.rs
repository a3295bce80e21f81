//! What the process has used, as the operating system counts it.

/// Processor time and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of all threads in the program itself.
    pub user: f64,
    /// Seconds of all threads in the kernel for it.
    pub system: f64,
    /// The most memory that was resident at once, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    /// Since the process began.
    pub fn now() -> Usage {
        // SAFETY: `rusage` is plain integers, for which all zeroes are valid; the kernel writes within the struct, which
        // lives until the call is over.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::getrusage(libc::RUSAGE_SELF, &mut usage) == 0).then_some(usage)
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        usage.map_or(Usage::default(), |usage| Usage {
            user: seconds(usage.ru_utime),
            system: seconds(usage.ru_stime),
            // Linux counts it in KiB.
            peak_memory: usage.ru_maxrss as u64 * 1024,
        })
    }

    /// Seconds of all threads.
    pub fn seconds(&self) -> f64 {
        self.user + self.system
    }

    /// The times since an earlier look; the most memory is that of the whole life.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage { user: self.user - earlier.user, system: self.system - earlier.system, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_are_used() {
        let before = Usage::now();
        let mut sum = 0u64;
        while Usage::now().since(&before).seconds() < 0.02 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0 && before.peak_memory > 1 << 20);
    }
}
