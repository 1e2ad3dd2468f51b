//! What can stop the local stack, and the exit code of each.

use std::path::PathBuf;

/// Why the local stack did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program listens on the port that was asked for.
    #[error(
        "port {port} is taken: stop the program that listens there, or choose another with \
         `--port N` (0 picks a free one)"
    )]
    PortTaken {
        /// The port of `--port`.
        port: u16,
    },
    /// The state directory was written by a version with another layout.
    #[error(
        "the state in {dir} has format {found}, this version reads format {expected}: move it \
         away or delete it, and start again"
    )]
    StateFormat {
        /// The directory of `--state`.
        dir: PathBuf,
        /// The number in its `format` file, or what stands there instead.
        found: String,
        /// The number that this version writes.
        expected: u32,
    },
    /// Another `cargo local` runs on the same state directory.
    #[error(
        "another `cargo local` is using {dir}: stop it, or give this one a port of its own with \
         `--port 0`, and its own state with `--state DIR` or `--ephemeral`"
    )]
    StateInUse {
        /// The directory of `--state`.
        dir: PathBuf,
    },
    /// A file of the state directory could not be read or written.
    #[error("{path}: {cause}; `--state DIR` names another place, `--ephemeral` writes nothing")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file of the state directory holds something that this program did not write.
    #[error("{path} cannot be read ({cause}): move it away or delete it, and start again")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// `--bootstrap DIR` has no executable for a function.
    #[error(
        "no bootstrap for {function} in {dir}: expected {dir}/{function}/bootstrap, as \
         `cargo lambda build` leaves it in target/lambda"
    )]
    NoBootstrap {
        /// The directory of `--bootstrap`.
        dir: PathBuf,
        /// The function's package name.
        function: &'static str,
    },
    /// The embedded DynamoDB could not be opened.
    #[error("the embedded DynamoDB did not start: {0}")]
    DynamoDb(String),
    /// A call to the admin API while the demo was created did not succeed.
    #[error("the demo could not be created: {request} answered {answer}")]
    Seed {
        /// Method and path.
        request: String,
        /// Status and body, or why there was none.
        answer: String,
    },
    /// A value of the command line cannot be used.
    #[error("{flag}: {reason}")]
    Option {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The operating system refused something that has no better name here.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        cause: std::io::Error,
    },
}

impl Error {
    /// Exit code: 2 for what the person at the keyboard can put right at once, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::PortTaken { .. }
            | Self::StateFormat { .. }
            | Self::StateInUse { .. }
            | Self::NoBootstrap { .. }
            | Self::Option { .. } => 2,
            _ => 1,
        }
    }
}
