//! The binary: hands the command line to the library.

use std::process::ExitCode;

/// The system's allocator is several times slower with two threads when linked statically.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    headwater::cli::main()
}

/// Forgoes huge pages: the allocator asks for them, and with them the process takes three times the memory and is no
/// faster.
fn keep_pages_small() {
    // SAFETY: this option of prctl takes numbers and touches no memory of ours. Where the kernel does not know it,
    // it refuses, and pages may be huge. That it takes effect is tested in tests/process.rs.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}
