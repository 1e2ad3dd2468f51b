//! Each command: ask the admin API, say what it answered.

use farebox_core::Money;

use clap::CommandFactory;

use crate::args;
use crate::args::{Args, Command, Export, Shell};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, Table};
use crate::profile::{Auth, Profile, Profiles};

mod access;
mod admins;
mod asks;
mod audit;
mod content;
mod correct;
mod doctor;
mod explain;
mod focus;
#[cfg(test)]
mod hostile;
mod import;
mod keys;
mod limits;
mod me;
mod models;
mod money;
mod patience;
mod prices;
mod provider_csv;
mod reconcile;
mod removal;
mod replay;
mod requests;
mod rerate;
mod restore;
mod routes;
mod sso;
mod statement;
mod top;
mod usage;

/// The paths of the API.
fn path(rest: &str) -> String {
    format!("{}/{rest}", farebox_api::BASE_PATH)
}

/// A path of the API with those parameters of the query that are given.
fn filtered(rest: &str, query: &[(&str, Option<String>)]) -> String {
    let given = query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs: Vec<_> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let joint = if pairs.is_empty() { "" } else { "?" };
    path(&format!("{rest}{joint}{}", pairs.join("&")))
}

/// Performs one command.
///
/// # Errors
/// What went wrong and what to type next.
pub async fn run(args: Args) -> Result<Output, Failure> {
    if let Command::Completion { shell } = args.command {
        return Ok(completion(shell));
    }
    let profiles = Profiles::load()?;
    if let Command::Profile(command) = args.command {
        return profile_command(profiles, command);
    }
    let is_login = matches!(args.command, Command::Login);
    // A profile that is being made is not there yet.
    let profile = match (profiles.chosen(args.profile.as_deref()), is_login) {
        (Err(_), true) => Profile::default(),
        (profile, _) => profile?,
    };
    let url = args.url.or_else(|| profile.url.clone()).ok_or_else(|| {
        Failure::new(
            "no base URL",
            "farebox login --url URL (`cargo local` prints it; the stack's output BaseUrl in AWS)",
        )
    })?;
    let auth = args.auth.or(profile.auth).unwrap_or(Auth::Key);
    if is_login {
        return login(profiles, args.profile, url, auth).await;
    }
    let client = match auth {
        Auth::Key => Client::new(&url, profile.key_for(&url)?)?,
        Auth::Iam => Client::signed(&url)?,
    };
    match args.command {
        Command::Login => login(profiles, args.profile, url, auth).await,
        Command::Profile(command) => profile_command(profiles, command),
        Command::Completion { shell } => Ok(completion(shell)),
        Command::Whoami => admins::whoami(&client).await,
        Command::AdminKey(command) => admins::admin_key(&client, command).await,
        Command::Iam(command) => admins::iam(&client, command).await,
        Command::BudgetRequest(command) => asks::budget_request(&client, command).await,
        Command::Me(command) => me::me(&client, command).await,
        Command::Model(command) => models::model(&client, command).await,
        Command::User(command) => access::user(&client, command).await,
        Command::Org(command) => access::org(&client, command).await,
        Command::Team(command) => access::team(&client, command).await,
        Command::Sso(command) => sso::sso(&client, command).await,
        Command::Key(command) => access::key(&client, command).await,
        Command::Credential(command) => access::credential(&client, command).await,
        Command::Budget(command) => money::budget(&client, command).await,
        Command::Price(command) => prices::price(&client, command).await,
        Command::Usage(given) => match &given.by {
            Some(by) => usage::usage(&client, by, &given).await,
            None => money::usage(&client, given.kind).await,
        },
        Command::Statement(given) => usage::statement(&client, &given).await,
        Command::Export(Export::Focus(given)) => focus::export(&client, &given).await,
        Command::Top(given) => top::top(&client, given.once || args.json).await,
        Command::Doctor { quote } => doctor::doctor(&client, quote).await,
        Command::Audit(given) => audit::audit(&client, &given).await,
        Command::Import(command) => import::import(&client, command).await,
        Command::Content(command) => content::content(&client, command).await,
        Command::Explain { id } => explain::explain(&client, &id).await,
        Command::Correct(correction) => correct::correct(&client, correction).await,
        Command::Corrections { scope } => correct::corrections(&client, scope).await,
        Command::Rerate(range) => rerate::rerate(&client, range).await,
        Command::Reconcile(month) => reconcile::reconcile(&client, month).await,
        Command::Replay { file } => replay::replay(&client, &file).await,
        Command::RestoreFence => restore::fence(&client).await,
        Command::Route(command) => routes::route(&client, command).await,
        Command::Limit(command) => limits::limit(&client, command).await,
        Command::Webhook(command) => requests::webhook(&client, command).await,
        Command::Alerts { scope, command } => requests::alerts(&client, scope, command).await,
        Command::Requests(command) => requests::requests(&client, command, args.json).await,
    }
}

/// Tries the key, or the access keys of this machine, before anything is kept.
async fn login(
    mut profiles: Profiles,
    name: Option<String>,
    url: String,
    auth: Auth,
) -> Result<Output, Failure> {
    let (admin_key, client) = match auth {
        Auth::Key => {
            let key = crate::secret::read("key")?;
            let client = Client::new(&url, &key)?;
            (Some(key), client)
        }
        Auth::Iam => (None, Client::signed(&url)?),
    };
    client.get(&path("session")).await?;
    let name = name.unwrap_or_else(|| profiles.current.clone());
    let is_kept = if admin_key.is_some() { "The key" } else { "That AWS access keys sign" };
    let kept = Profile { url: Some(url.clone()), admin_key, auth: Some(auth) };
    profiles.profiles.insert(name.clone(), kept);
    profiles.current.clone_from(&name);
    let kept = profiles.store()?;
    let text =
        format!("Logged in to {url} as profile {name}. {is_kept} is kept in {}.", kept.display());
    Ok(Output::new(serde_json::json!({"url": url, "name": name, "profile": kept}), text))
}

/// `farebox profile …`
fn profile_command(mut profiles: Profiles, command: args::Profile) -> Result<Output, Failure> {
    match command {
        args::Profile::List => {
            let rows: Vec<_> = profiles.profiles.iter().collect();
            let text = table(&["", "NAME", "URL"], &rows, |(name, profile)| {
                let mark = if **name == profiles.current { "*" } else { " " };
                vec![mark.to_owned(), (*name).clone(), profile.url.clone().unwrap_or_default()]
            });
            let json = rows.iter().map(|(name, profile)| {
                let is_current = **name == profiles.current;
                serde_json::json!({"name": name, "url": profile.url, "current": is_current})
            });
            Ok(Output::new(json.collect(), text))
        }
        args::Profile::Use { name } => {
            profiles.chosen(Some(&name))?;
            profiles.current.clone_from(&name);
            profiles.store()?;
            let json = serde_json::json!({"current": name});
            Ok(Output::new(json, format!("Commands are for {name} from now on.")))
        }
        args::Profile::Remove { name } => {
            profiles.profiles.remove(&name).ok_or_else(|| profiles.unknown(&name))?;
            profiles.store()?;
            Ok(Output::new(serde_json::json!({"removed": name}), format!("{name} is forgotten.")))
        }
    }
}

/// `farebox completion SHELL`
fn completion(shell: Shell) -> Output {
    use clap_complete::Shell as Known;
    let shell = match shell {
        Shell::Bash => Known::Bash,
        Shell::Elvish => Known::Elvish,
        Shell::Fish => Known::Fish,
        Shell::Powershell => Known::PowerShell,
        Shell::Zsh => Known::Zsh,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "farebox", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    Output::new(serde_json::json!({"script": text}), text)
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
