//! What is taken away: read, shown, and removed as it was read.

use std::io::IsTerminal;

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::client::{Base, Client, parse};
use crate::failure::Failure;
use crate::print::{self, Output};

/// What is taken away.
pub struct Removal {
    /// Its path.
    pub path: String,
    /// What a person is asked before it.
    pub question: String,
    /// What is said after it.
    pub done: String,
    /// Whatever is there, without a look at it.
    pub force: bool,
}

/// Shows what is there, asks where a person sits at the terminal, and removes just that: what
/// somebody else has changed meanwhile stays.
pub async fn remove<T: DeserializeOwned>(
    client: &Client,
    removal: Removal,
    show: fn(&[T]) -> String,
) -> Result<Output, Failure> {
    let Removal { path, question, done, force } = removal;
    let base = client.there(&path, force).await?;
    let shown = shown(&base, show)?;
    let is_asked = shown.as_deref().is_some_and(tell);
    if is_asked && !is_agreed(&question) {
        return Err(Failure::new("nothing is changed", "answer y, or type it with --force"));
    }
    let answer = client.delete(&path, &base).await?;
    let json = if answer.body.is_null() { json!({"removed": base.now}) } else { answer.body };
    let text = match shown {
        Some(shown) if !is_asked => format!("{shown}\n\n{done}"),
        _ => done,
    };
    Ok(Output::new(json, text))
}

/// What is there, as its list shows it; none where there is nothing, or nothing was looked at.
pub fn shown<T: DeserializeOwned>(
    base: &Base,
    show: fn(&[T]) -> String,
) -> Result<Option<String>, Failure> {
    let Some(now) = &base.now else { return Ok(None) };
    Ok(Some(show(&[parse(now)?])))
}

/// Shows it before a change, where a person can still think better of it; tells whether one can.
pub fn tell(shown: &str) -> bool {
    let is_person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if is_person {
        print::err(shown);
    }
    is_person
}

fn is_agreed(question: &str) -> bool {
    print::err(&format!("{question} [y/N]"));
    let mut typed = String::new();
    let read = std::io::stdin().read_line(&mut typed);
    read.is_ok() && ["y", "yes"].contains(&typed.trim().to_lowercase().as_str())
}
