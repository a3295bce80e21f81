//! The binary: hands the command line to the library.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::ExitCode;

/// The system's allocator is several times slower with two threads when linked statically.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    allow_many_files();
    headwater::cli::main()
}

/// Forgoes huge pages: the allocator asks for them, and with them the process takes three times the memory and is no
/// faster.
fn keep_pages_small() {
    // SAFETY: this option of prctl takes numbers and touches no memory of ours. Where the kernel does not know it,
    // it refuses, and pages may be huge. That it takes effect is tested in tests/process.rs.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Lets the process open as many files as the system grants it: a glob may match thousands, each of which stays open. A
/// shell's limit of 1024 is there for programs that use `select`.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the old limit holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
