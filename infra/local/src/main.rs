//! The executable behind `cargo local`. Everything is in the library, so that the tests can build
//! an executable of their own from the same lines.

use std::process::ExitCode;

fn main() -> ExitCode {
    farebox_local::main()
}
