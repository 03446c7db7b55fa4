//! The `wsgate` program; everything is in the library.

use std::process::ExitCode;

// Many small, long-lived allocations per session: jemalloc holds them in about two thirds of the
// memory that glibc's allocator takes.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    wsgate::cli::main()
}
