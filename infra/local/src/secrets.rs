//! Secrets Manager: string secrets with the stages `AWSCURRENT` and `AWSPREVIOUS`, behind the AWS
//! JSON 1.1 protocol. Kept as plain text in a file that only its owner can read; this is a laptop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::aws_json::{Answer, Fields, ServiceError};
use crate::clock::{request_id, wall_ms};
use crate::error::Error;
use crate::sqs::ACCOUNT;
use crate::state;

/// Secrets Manager's own limit of a value.
const VALUE_BYTES_MAX: usize = 65_536;

/// All secrets. Clones share them.
#[derive(Clone)]
pub struct Secrets {
    shared: Arc<Shared>,
}

struct Shared {
    store: Mutex<BTreeMap<String, Secret>>,
    file: Option<PathBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    created_ms: i64,
    description: Option<String>,
    current: Option<Version>,
    previous: Option<Version>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Version {
    id: String,
    value: String,
    created_ms: i64,
}

impl Secrets {
    /// Opens the secrets kept in `file`, or none in memory.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Unreadable`].
    pub fn open(file: Option<PathBuf>) -> Result<Self, Error> {
        let store = match &file {
            Some(path) if path.exists() => {
                let bytes = std::fs::read(path).map_err(|cause| state::file_error(path, cause))?;
                serde_json::from_slice(&bytes)
                    .map_err(|cause| Error::Unreadable { path: path.clone(), cause })?
            }
            _ => BTreeMap::new(),
        };
        Ok(Self { shared: Arc::new(Shared { store: Mutex::new(store), file }) })
    }

    /// Runs one operation of the service.
    ///
    /// # Errors
    /// The error as Secrets Manager names it.
    pub fn call(&self, operation: &str, request: &Map<String, Value>) -> Answer {
        let fields = Fields(request);
        match operation {
            "CreateSecret" => self.create(&fields),
            "GetSecretValue" => self.value(&fields),
            "PutSecretValue" => self.put(&fields, true),
            "UpdateSecret" => self.put(&fields, false),
            "DescribeSecret" => self.describe(&fields),
            "DeleteSecret" => self.delete(&fields),
            "ListSecrets" => Ok(self.list()),
            other => Err(ServiceError::refused(
                "InvalidRequestException",
                format!("{other} is not part of the local Secrets Manager."),
            )),
        }
    }

    /// The current value of a secret, created from `make` where there is none.
    ///
    /// # Errors
    /// What `make` answers, or [`Error::File`].
    pub fn ensure(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, Error>,
    ) -> Result<String, Error> {
        let mut store = self.store();
        let current = store.get(name).and_then(|secret| secret.current.as_ref());
        if let Some(version) = current {
            return Ok(version.value.clone());
        }
        let value = make()?;
        let mut secret = Secret::new(None);
        secret.push(request_id(), value.clone());
        store.insert(name.to_owned(), secret);
        self.save(&store)?;
        Ok(value)
    }

    fn store(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, store: &BTreeMap<String, Secret>) -> Result<(), Error> {
        let Some(path) = &self.shared.file else { return Ok(()) };
        let bytes = serde_json::to_vec_pretty(store)
            .map_err(|cause| Error::Unreadable { path: path.clone(), cause })?;
        state::write_atomically(path, &bytes)
    }

    /// Makes a change that is kept only if it could be written.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Secret>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut store = self.store();
        let mut changed = store.clone();
        let answer = change(&mut changed)?;
        self.save(&changed)
            .map_err(|error| ServiceError::failed("InternalServiceError", error.to_string()))?;
        *store = changed;
        Ok(answer)
    }

    fn create(&self, fields: &Fields<'_>) -> Answer {
        let name = fields.text("Name")?;
        let value = value_of(fields)?;
        let version_id = version_id_of(fields);
        self.change(|store| {
            if store.contains_key(name) {
                return Err(ServiceError::refused(
                    "ResourceExistsException",
                    format!("The operation failed because the secret {name} already exists."),
                ));
            }
            let mut secret = Secret::new(fields.optional_text("Description"));
            let stored = value.map(|value| secret.push(version_id.clone(), value));
            store.insert(name.to_owned(), secret);
            let version = stored.map(|()| &version_id);
            Ok(json!({ "ARN": arn(name), "Name": name, "VersionId": version }))
        })
    }

    fn value(&self, fields: &Fields<'_>) -> Answer {
        let stage = fields.optional_text("VersionStage").unwrap_or("AWSCURRENT");
        let store = self.store();
        let (name, secret) = find(&store, fields.text("SecretId")?)?;
        let version = match (fields.optional_text("VersionId"), stage) {
            (Some(id), _) => {
                let mut both = secret.current.iter().chain(&secret.previous);
                both.find(|version| version.id == id)
            }
            (None, "AWSCURRENT") => secret.current.as_ref(),
            (None, "AWSPREVIOUS") => secret.previous.as_ref(),
            (None, _) => None,
        };
        let version = version.ok_or_else(|| {
            ServiceError::refused(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for this staging label.",
            )
        })?;
        Ok(json!({
            "ARN": arn(name),
            "Name": name,
            "VersionId": version.id,
            "SecretString": version.value,
            "VersionStages": secret.stages(&version.id),
            "CreatedDate": seconds(version.created_ms),
        }))
    }

    fn put(&self, fields: &Fields<'_>, value_required: bool) -> Answer {
        let id = fields.text("SecretId")?;
        let value = value_of(fields)?;
        if value_required && value.is_none() {
            let message = "You must provide either SecretString or SecretBinary.";
            return Err(ServiceError::refused("InvalidParameterException", message));
        }
        let version_id = version_id_of(fields);
        self.change(|store| {
            let name = find(store, id)?.0.to_owned();
            let Some(secret) = store.get_mut(&name) else { return Err(not_found()) };
            if let Some(description) = fields.optional_text("Description") {
                secret.description = Some(description.to_owned());
            }
            let stored = value.map(|value| secret.push(version_id.clone(), value));
            let version = stored.map(|()| &version_id);
            Ok(json!({ "ARN": arn(&name), "Name": name, "VersionId": version }))
        })
    }

    fn describe(&self, fields: &Fields<'_>) -> Answer {
        let store = self.store();
        let (name, secret) = find(&store, fields.text("SecretId")?)?;
        Ok(secret.described(name))
    }

    fn delete(&self, fields: &Fields<'_>) -> Answer {
        let id = fields.text("SecretId")?;
        // Without force AWS keeps the secret for days; here both ways delete at once.
        self.change(|store| {
            let name = find(store, id)?.0.to_owned();
            store.remove(&name);
            Ok(json!({ "ARN": arn(&name), "Name": name, "DeletionDate": seconds(wall_ms()) }))
        })
    }

    fn list(&self) -> Value {
        let store = self.store();
        let all: Vec<_> = store.iter().map(|(name, secret)| secret.described(name)).collect();
        json!({ "SecretList": all })
    }
}

impl Secret {
    fn new(description: Option<&str>) -> Self {
        let description = description.map(str::to_owned);
        Self { created_ms: wall_ms(), description, current: None, previous: None }
    }

    fn push(&mut self, id: String, value: String) {
        // The same version id again is a retry by the SDK, not a new version.
        if self.current.as_ref().is_some_and(|current| current.id == id) {
            return;
        }
        self.previous = self.current.replace(Version { id, value, created_ms: wall_ms() });
    }

    fn stages(&self, version_id: &str) -> Vec<&'static str> {
        let is = |version: &Option<Version>| version.as_ref().is_some_and(|v| v.id == version_id);
        match (is(&self.current), is(&self.previous)) {
            (true, _) => vec!["AWSCURRENT"],
            (false, true) => vec!["AWSPREVIOUS"],
            (false, false) => vec![],
        }
    }

    fn described(&self, name: &str) -> Value {
        let versions: Map<_, _> = self
            .current
            .iter()
            .chain(&self.previous)
            .map(|version| (version.id.clone(), json!(self.stages(&version.id))))
            .collect();
        json!({
            "ARN": arn(name),
            "Name": name,
            "Description": self.description,
            "CreatedDate": seconds(self.created_ms),
            "VersionIdsToStages": versions,
        })
    }
}

/// The ARN of a secret; the six characters that AWS adds at random are always the same here.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-local1")
}

fn find<'a>(
    store: &'a BTreeMap<String, Secret>,
    id: &str,
) -> Result<(&'a str, &'a Secret), ServiceError> {
    let name = id
        .strip_prefix("arn:")
        .and_then(|arn| arn.split_once(":secret:"))
        .map_or(id, |(_, name)| name.strip_suffix("-local1").unwrap_or(name));
    let found = store.get_key_value(name).ok_or_else(not_found)?;
    Ok((found.0.as_str(), found.1))
}

fn not_found() -> ServiceError {
    let message = "Secrets Manager can't find the specified secret.";
    ServiceError::refused("ResourceNotFoundException", message)
}

fn value_of(fields: &Fields<'_>) -> Result<Option<String>, ServiceError> {
    if fields.0.contains_key("SecretBinary") {
        let message = "The local Secrets Manager keeps SecretString only.";
        return Err(ServiceError::refused("InvalidParameterException", message));
    }
    match fields.optional_text("SecretString") {
        Some(value) if value.len() > VALUE_BYTES_MAX => Err(ServiceError::refused(
            "InvalidParameterException",
            format!("SecretString has more than {VALUE_BYTES_MAX} bytes."),
        )),
        value => Ok(value.map(str::to_owned)),
    }
}

fn version_id_of(fields: &Fields<'_>) -> String {
    fields.optional_text("ClientRequestToken").map_or_else(request_id, str::to_owned)
}

/// Seconds since 1970 as the number that this protocol uses for a date.
fn seconds(ms: i64) -> Value {
    json!(ms / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "tests read better with the value inline")]
    fn call(secrets: &Secrets, operation: &str, request: Value) -> Answer {
        secrets.call(operation, request.as_object().unwrap())
    }

    #[test]
    fn a_new_value_makes_the_old_one_previous() {
        let secrets = Secrets::open(None).unwrap();
        call(&secrets, "CreateSecret", json!({"Name": "a/b", "SecretString": "1"})).unwrap();
        call(&secrets, "PutSecretValue", json!({"SecretId": "a/b", "SecretString": "2"})).unwrap();

        let current = call(&secrets, "GetSecretValue", json!({"SecretId": arn("a/b")})).unwrap();
        let previous = json!({"SecretId": "a/b", "VersionStage": "AWSPREVIOUS"});
        let previous = call(&secrets, "GetSecretValue", previous).unwrap();

        assert_eq!(current["SecretString"], "2");
        assert_eq!(previous["SecretString"], "1");
        assert_eq!(previous["VersionStages"], json!(["AWSPREVIOUS"]));
    }

    #[test]
    fn a_secret_is_created_once_and_gone_after_delete() {
        let secrets = Secrets::open(None).unwrap();
        let create = json!({"Name": "a", "SecretString": "1"});
        call(&secrets, "CreateSecret", create.clone()).unwrap();

        let twice = call(&secrets, "CreateSecret", create).unwrap_err();
        let force = json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true});
        call(&secrets, "DeleteSecret", force).unwrap();
        let gone = call(&secrets, "GetSecretValue", json!({"SecretId": "a"})).unwrap_err();

        assert_eq!(twice.kind, "ResourceExistsException");
        assert_eq!(gone.kind, "ResourceNotFoundException");
    }

    #[test]
    fn secrets_outlive_the_process() {
        let path = std::env::temp_dir().join(format!("farebox-secrets-{}", request_id()));
        let secrets = Secrets::open(Some(path.clone())).unwrap();
        secrets.ensure("pepper", || Ok("x".into())).unwrap();

        let again = Secrets::open(Some(path.clone())).unwrap();

        assert_eq!(again.ensure("pepper", || Ok("y".into())).unwrap(), "x");
        std::fs::remove_file(path).unwrap();
    }
}
