//! The command line, and the few environment variables that name a real provider's key.

use std::path::PathBuf;

use clap::Parser;

/// Farebox on this machine: the whole product on 127.0.0.1, without an account.
#[derive(Debug, Clone, Parser)]
#[command(name = "farebox-local", bin_name = "cargo local", version)]
pub struct Options {
    /// Port of the HTTP API on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 4000)]
    pub port: u16,
    /// Directory that keeps tables, secrets and the queue between two starts.
    #[arg(long, default_value = ".farebox")]
    pub state: PathBuf,
    /// Keep everything in memory and write nothing to disk.
    #[arg(long, conflicts_with = "services")]
    pub ephemeral: bool,
    /// Run the AWS services and the demo provider only, and write an `env` file in the state
    /// directory for `cargo lambda watch --env-file`.
    #[arg(long, conflicts_with = "bootstrap")]
    pub services: bool,
    /// Print one line of JSON when ready, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
    /// Execution environments of each function; further calls wait for a free one.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub environments: u16,
    /// Run the release bootstraps in this directory (`cargo lambda build` leaves them in
    /// target/lambda) instead of this executable.
    #[arg(long)]
    pub bootstrap: Option<PathBuf>,
    /// File with an offset in milliseconds that moves the clock of all functions (for tests).
    #[arg(long)]
    pub clock: Option<PathBuf>,
    /// Lambda timeout of the chat function in seconds. Chat gives a provider up 20 s before it.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u16).range(21..=900))]
    pub chat_timeout: u16,
    /// Do not show what the functions print.
    #[arg(long)]
    pub quiet: bool,
}

/// A provider whose real key is in the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct RealProvider {
    /// Its name in Farebox.
    pub name: &'static str,
    /// The variable that held its key, to be named in what is printed.
    pub variable: &'static str,
    /// Its key.
    pub key: String,
    /// Another base URL than its own, where one is set.
    pub base_url: Option<String>,
}

/// Name, key variable and base URL variable of each provider that the environment may bring.
const REAL_PROVIDERS: [(&str, &str, &str); 3] = [
    ("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    ("gemini", "GEMINI_API_KEY", "GEMINI_BASE_URL"),
];

/// The real providers that `variable` (in production [`from_environment`]) has a key for.
pub fn real_providers(variable: impl Fn(&str) -> Option<String>) -> Vec<RealProvider> {
    let set = |name| variable(name).filter(|value| !value.trim().is_empty());
    REAL_PROVIDERS
        .iter()
        .filter_map(|&(name, key_variable, url_variable)| {
            let key = set(key_variable)?;
            Some(RealProvider { name, variable: key_variable, key, base_url: set(url_variable) })
        })
        .collect()
}

/// One variable of this process's environment, where it is set to text.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment in this crate")]
pub fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_is_no_key() {
        let found = real_providers(|name| match name {
            "OPENAI_API_KEY" => Some("sk-1".into()),
            "OPENAI_BASE_URL" => Some("http://127.0.0.1:9/v1".into()),
            "GEMINI_API_KEY" => Some(String::new()),
            _ => None,
        });

        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "openai");
        assert_eq!(found[0].base_url.as_deref(), Some("http://127.0.0.1:9/v1"));
    }
}
