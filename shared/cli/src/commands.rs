//! Each command: ask the admin API, say what it answered.

use farebox_core::Money;

use crate::args::{Args, Command};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, Table};
use crate::profile::{self, Profile};

mod access;
mod content;
mod correct;
mod explain;
mod money;
mod reconcile;
mod replay;
mod requests;
mod rerate;
mod restore;
mod routes;
mod statement;

/// The paths of the API.
fn path(rest: &str) -> String {
    format!("{}/{rest}", farebox_api::BASE_PATH)
}

/// Performs one command.
///
/// # Errors
/// What went wrong and what to type next.
pub async fn run(args: Args) -> Result<Output, Failure> {
    let profile = Profile::load()?;
    let url = args.url.or_else(|| profile.url.clone()).ok_or_else(|| {
        Failure::new(
            "no base URL",
            "export FAREBOX_URL=… (`cargo local` prints it; the stack's output BaseUrl in AWS)",
        )
    })?;
    if matches!(args.command, Command::Login) {
        return login(url).await;
    }
    let client = Client::new(&url, &profile::admin_key(&profile)?)?;
    match args.command {
        Command::Login => login(url).await,
        Command::User(command) => access::user(&client, command).await,
        Command::Org(command) => access::org(&client, command).await,
        Command::Team(command) => access::team(&client, command).await,
        Command::Key(command) => access::key(&client, command).await,
        Command::Credential(command) => access::credential(&client, command).await,
        Command::Budget(command) => money::budget(&client, command).await,
        Command::Price(command) => money::price(&client, command).await,
        Command::Usage => money::usage(&client).await,
        Command::Content(command) => content::content(&client, command).await,
        Command::Explain { id } => explain::explain(&client, &id).await,
        Command::Correct(correction) => correct::correct(&client, correction).await,
        Command::Rerate(range) => rerate::rerate(&client, range).await,
        Command::Reconcile(month) => reconcile::reconcile(&client, month).await,
        Command::Replay { file } => replay::replay(&client, &file).await,
        Command::RestoreFence => restore::fence(&client).await,
        Command::Route(command) => routes::route(&client, command).await,
        Command::Webhook(command) => requests::webhook(&client, command).await,
        Command::Alerts { scope } => requests::alerts(&client, &scope).await,
        Command::Requests(command) => requests::requests(&client, command, args.json).await,
    }
}

/// Tries the key before it is kept.
async fn login(url: String) -> Result<Output, Failure> {
    let key = crate::secret::read("admin key")?;
    Client::new(&url, &key)?.get(&path("users?limit=1")).await?;
    let kept = Profile { url: Some(url.clone()), admin_key: Some(key) }.store()?;
    let text = format!("Logged in to {url}. The key is kept in {}.", kept.display());
    Ok(Output::new(serde_json::json!({"url": url, "profile": kept}), text))
}

/// A list as a table.
fn table<T>(head: &[&'static str], items: &[T], row: impl Fn(&T) -> Vec<String>) -> String {
    let mut table = Table::new(head);
    for item in items {
        table.push(row(item));
    }
    table.with_head()
}

/// An amount of an answer.
fn usd(text: &str) -> Result<Money, Failure> {
    let wrong = |rule| Failure::new(format!("{text:?}: {rule}"), "use the deployed farebox");
    Money::parse_usd(text).map_err(wrong)
}

fn plus(sum: Money, amount: Money) -> Result<Money, Failure> {
    sum.plus(amount).ok_or_else(|| Failure::new("a sum beyond all money", "look at the rows"))
}

/// `provider/model` as a path, each segment kept in its place.
fn model_path(model: &str) -> Result<String, Failure> {
    let segments: Vec<String> = model.split('/').map(encoded).collect();
    if segments.len() < 2 || segments.iter().any(String::is_empty) {
        return Err(Failure::new(
            format!("{model:?} is not provider/model"),
            "write it as openai/gpt-4o-mini",
        ));
    }
    Ok(path(&format!("prices/{}", segments.join("/"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_keeps_its_slashes_and_nothing_else() {
        let path = model_path("fireworks_ai/accounts/x?y").unwrap();

        assert_eq!(path, "/admin/v1/prices/fireworks_ai/accounts/x%3Fy");
        assert!(model_path("gpt-4o").is_err());
        assert!(model_path("openai/").is_err());
    }
}
