//! Who somebody is to AWS: the access keys of the standard chain, without an SDK. Keys of the
//! environment and of the shared files are read here; whatever else there is (IAM Identity Center,
//! roles, containers, instances) the AWS command resolves, which has the whole chain.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use farebox_core::sigv4::{AccessKeys, Request, Scope};
use farebox_core::{Secret, Timestamp};
use serde::Deserialize;

use crate::failure::Failure;

/// API Gateway's name in signatures.
const SERVICE: &str = "execute-api";
/// Of a gateway whose address does not say where it is.
const DEFAULT_REGION: &str = "us-east-1";

/// Access keys and where they are used.
pub struct Signer {
    keys: Keys,
    region: String,
}

/// Access keys as the AWS command writes them (`--format process`).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(default, deserialize_with = "secret_or_none")]
    session_token: Option<Secret>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

fn secret_or_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
}

impl Signer {
    /// Finds access keys for a gateway.
    ///
    /// # Errors
    /// A failure that says where they were looked for.
    pub fn find(base_url: &str) -> Result<Self, Failure> {
        let keys = match of_environment() {
            Some(keys) => keys,
            None => of_profile(&variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()))?,
        };
        let named = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region_of(base_url).or_else(named);
        Ok(Self { keys, region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()) })
    }

    /// The headers that sign a request, whose own are its `host`.
    pub fn sign(&self, request: &Request<'_>, at: Timestamp) -> Vec<(&'static str, String)> {
        let keys = AccessKeys {
            id: &self.keys.access_key_id,
            secret: self.keys.secret_access_key.expose(),
            session: self.keys.session_token.as_ref().map(|token| token.expose()),
        };
        keys.sign(request, &Scope { region: &self.region, service: SERVICE, at })
    }
}

/// `https://abc.execute-api.eu-central-1.amazonaws.com/prod` says its region.
fn region_of(base_url: &str) -> Option<String> {
    let host = base_url.split_once("://")?.1.split('/').next()?;
    let mut labels = host.split('.').skip_while(|label| *label != SERVICE);
    labels.next()?;
    labels.next().map(str::to_owned)
}

fn of_environment() -> Option<Keys> {
    Some(Keys {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::new(variable("AWS_SECRET_ACCESS_KEY")?),
        session_token: variable("AWS_SESSION_TOKEN").map(Secret::new),
    })
}

fn of_profile(profile: &str) -> Result<Keys, Failure> {
    let files = [
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile.to_owned()),
        ("AWS_CONFIG_FILE", "config", section_of_config(profile)),
    ];
    for (name, file, section) in files {
        let path = variable(name)
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".aws").join(file)));
        let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let fields = section_of(&text, &section);
        let field = |name: &str| fields.get(name).map(|text| (*text).to_owned());
        if let (Some(id), Some(secret)) =
            (field("aws_access_key_id"), field("aws_secret_access_key"))
        {
            return Ok(Keys {
                access_key_id: id,
                secret_access_key: Secret::new(secret),
                session_token: field("aws_session_token").map(Secret::new),
            });
        }
        if let Some(command) = field("credential_process") {
            return of_output(Command::new("sh").args(["-c", &command])).ok_or_else(|| {
                Failure::new(
                    format!("the credential_process of the AWS profile {profile} gives no keys"),
                    "run it by hand, or: aws sts get-caller-identity",
                )
            });
        }
    }
    let mut command = Command::new("aws");
    command.args(["configure", "export-credentials", "--format", "process", "--profile", profile]);
    of_output(&mut command).ok_or_else(|| {
        Failure::new(
            format!("no AWS access keys: neither in the environment nor of the profile {profile}"),
            "aws sso login, or: aws configure, or export AWS_PROFILE=…",
        )
    })
}

/// The keys that a command prints. What it says of a failure goes to the terminal as it is.
fn of_output(command: &mut Command) -> Option<Keys> {
    let output = command.stdin(std::process::Stdio::inherit()).output().ok()?;
    serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
}

/// In the config file every section but the default's has a word before its name.
fn section_of_config(profile: &str) -> String {
    if profile == "default" { profile.to_owned() } else { format!("profile {profile}") }
}

/// The fields of a section of an INI file.
fn section_of<'text>(text: &'text str, wanted: &str) -> BTreeMap<&'text str, &'text str> {
    let mut is_here = false;
    let mut fields = BTreeMap::new();
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            is_here = name.trim() == wanted;
        } else if let (true, false, Some((name, value))) =
            (is_here, is_nested, line.split_once('='))
            && !line.starts_with(['#', ';'])
        {
            fields.insert(name.trim(), value.trim());
        }
    }
    fields
}

#[expect(clippy::disallowed_methods, reason = "the command line's edge: the standard variables")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "[default]\naws_access_key_id = A\n# aws_access_key_id = C\ns3 =\n  x = 1\n\
                    [profile ops]\naws_access_key_id=B\r\n[x]\naws_access_key_id = D\n";

        assert_eq!(section_of(text, "default").get("aws_access_key_id"), Some(&"A"));
        assert_eq!(
            section_of(text, &section_of_config("ops")).get("aws_access_key_id"),
            Some(&"B")
        );
        assert_eq!(section_of(text, "default").get("x"), None);
        assert!(section_of(text, "nobody").is_empty());
    }

    #[test]
    fn the_region_is_that_of_the_gateway() {
        let url = "https://abc.execute-api.eu-central-1.amazonaws.com/prod";

        assert_eq!(region_of(url).as_deref(), Some("eu-central-1"));
        assert_eq!(region_of("https://llm.example.com"), None);
        assert_eq!(region_of("http://127.0.0.1:4000"), None);
    }

    #[test]
    fn a_process_tells_keys_as_json_and_a_failed_one_tells_none() {
        let told = |script: &str| of_output(Command::new("sh").args(["-c", script]));
        let keys = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t"}"#;

        let found = told(&format!("echo '{keys}'")).unwrap();

        assert_eq!((found.access_key_id.as_str(), found.secret_access_key.expose()), ("A", "s"));
        assert!(found.session_token.is_some_and(|token| token.expose() == "t"));
        assert!(told(&format!("echo '{keys}'; exit 1")).is_none() && told("echo no").is_none());
    }
}
