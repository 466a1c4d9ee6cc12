use std::process::ExitCode;

use whosaw::cli;

/// Threads hand each other what they allocate, statement by statement: glibc's locks were a tenth
/// of the time of an append. A debug build counts what it allocates besides (`whosaw::memory`).
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
