//! Where Farebox is and the key for it: what `farebox login` keeps in the profile file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::client::base_url;
use crate::failure::Failure;

/// The profile that nobody has named.
pub const DEFAULT: &str = "default";

/// One gateway.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Base URL.
    pub url: Option<String>,
    /// Admin key.
    pub admin_key: Option<String>,
    /// What requests are admitted by; an admin key where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

/// What requests are admitted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// An admin key.
    Key,
    /// A signature by AWS access keys of the standard chain (SigV4).
    Iam,
}

/// What `farebox login` keeps, readable by its owner alone: gateways by name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    /// The one that commands are for.
    pub current: String,
    /// All of them.
    pub profiles: BTreeMap<String, Profile>,
}

impl Default for Profiles {
    fn default() -> Self {
        Self { current: DEFAULT.to_owned(), profiles: BTreeMap::new() }
    }
}

impl Profile {
    /// The key, for the gateway that it was given for and no other.
    ///
    /// # Errors
    /// A failure that says how to give one.
    pub fn key_for(&self, url: &str) -> Result<&str, Failure> {
        let login = || format!("farebox login --url {url}");
        let key = self.admin_key.as_deref().ok_or_else(|| Failure::new("no admin key", login()))?;
        match &self.url {
            Some(own) if !is_same(own, url) => Err(Failure::new(
                format!("the profile's key is for {own}, and is not sent to {url}"),
                format!("leave --url and FAREBOX_URL out, or: {} --profile NAME", login()),
            )),
            _ => Ok(key),
        }
    }
}

/// Whether two texts are one gateway.
fn is_same(one: &str, other: &str) -> bool {
    one == other || base_url(one).is_ok_and(|one| base_url(other).is_ok_and(|other| one == other))
}

impl Profiles {
    /// The profile file, or no profiles where there is none.
    ///
    /// # Errors
    /// A failure that names the file where it cannot be read.
    pub fn load() -> Result<Self, Failure> {
        Self::load_from(&path()?)
    }

    fn load_from(path: &Path) -> Result<Self, Failure> {
        let unreadable = |why: String| {
            Failure::new(format!("{}: {why}", path.display()), "write it again: farebox login")
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(error.to_string())),
        };
        if let Ok(profiles) = serde_json::from_str(&text) {
            return Ok(profiles);
        }
        // A file of the time when there was one gateway. The parser's message is left out: it may
        // quote the key.
        let only: Profile =
            serde_json::from_str(&text).map_err(|_| unreadable("not a profile".into()))?;
        let profiles = BTreeMap::from([(DEFAULT.to_owned(), only)]);
        Ok(Self { profiles, ..Self::default() })
    }

    /// The profile that was asked for by name, or the current one.
    ///
    /// # Errors
    /// A failure that lists the names where that one is not known.
    pub fn chosen(&self, name: Option<&str>) -> Result<Profile, Failure> {
        let Some(name) = name else {
            return Ok(self.profiles.get(&self.current).cloned().unwrap_or_default());
        };
        self.profiles.get(name).cloned().ok_or_else(|| self.unknown(name))
    }

    /// That a name is none of these.
    pub fn unknown(&self, name: &str) -> Failure {
        let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::new(
            format!("there is no profile {name:?}; there are: {known}"),
            format!("farebox login --profile {name} --url URL"),
        )
    }

    /// Writes the profile file with mode 0600 and tells where.
    ///
    /// # Errors
    /// A failure that names the file.
    pub fn store(&self) -> Result<PathBuf, Failure> {
        let path = path()?;
        self.store_to(&path)?;
        Ok(path)
    }

    fn store_to(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let written = (|| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            // A new file beside it takes its place: an old one's mode or a reader in the middle
            // of a write cannot matter.
            let fresh = path.with_extension("new");
            let _ = std::fs::remove_file(&fresh);
            let mut file = private().open(&fresh)?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&fresh, path)
        })();
        written.map_err(|error: std::io::Error| {
            Failure::new(
                format!("{} could not be written: {error}", path.display()),
                "XDG_CONFIG_HOME names another folder for it",
            )
        })
    }
}

fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

#[expect(clippy::disallowed_methods, reason = "the command line's edge: where the home is")]
fn path() -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
    let folder = folder.ok_or_else(|| {
        Failure::new(
            "neither HOME nor XDG_CONFIG_HOME is set",
            "export XDG_CONFIG_HOME=… (a folder of yours alone)",
        )
    })?;
    Ok(folder.join("farebox").join("profile.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("farebox-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn profiles_round_trip_and_only_their_owner_reads_them() {
        let path = folder("profile").join("deep").join("profile.json");
        let one = |url: &str| Profile {
            url: Some(url.into()),
            admin_key: Some("sk-fba-1".into()),
            auth: Some(Auth::Iam),
        };
        let known = [("default", one("http://x")), ("prod", one("https://y"))];
        let profiles = Profiles {
            current: "prod".into(),
            profiles: known.map(|(name, profile)| (name.to_owned(), profile)).into(),
        };

        profiles.store_to(&path).unwrap();
        profiles.store_to(&path).unwrap();

        let loaded = Profiles::load_from(&path).unwrap();
        assert!(loaded == profiles);
        assert!(loaded.chosen(None).unwrap() == one("https://y"));
        assert!(loaded.chosen(Some("default")).unwrap() == one("http://x"));
        let unknown = loaded.chosen(Some("stage")).err().unwrap().to_string();
        assert!(unknown.contains("there are: default, prod"), "{unknown}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_is_for_the_gateway_that_it_was_given_for() {
        let key = Some("sk-fba-canary".to_owned());
        let profile = Profile { url: Some("https://x/prod".into()), admin_key: key, auth: None };

        for same in ["https://x/prod", "https://x/prod/", "https://x/prod/admin/v1"] {
            assert_eq!(profile.key_for(same), Ok("sk-fba-canary"));
        }
        for other in ["https://x", "http://x/prod", "https://y/prod", "https://x/prod2", "no url"] {
            let failure = profile.key_for(other).unwrap_err().to_string();
            assert!(failure.contains("--profile NAME") && !failure.contains("canary"), "{failure}");
        }
        let none = Profile::default().key_for("https://x").unwrap_err().to_string();
        assert!(none.contains("farebox login --url https://x"), "{none}");
    }

    #[test]
    fn a_file_of_one_gateway_is_the_default_profile() {
        let folder = folder("old");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("profile.json");
        std::fs::write(&path, r#"{"url": "http://x", "admin_key": "sk-fba-1"}"#).unwrap();

        let profile = Profiles::load_from(&path).unwrap().chosen(None).unwrap();

        assert_eq!(profile.url.as_deref(), Some("http://x"));
    }

    #[test]
    fn no_profile_is_an_empty_one_and_a_broken_one_is_not_quoted() {
        let folder = folder("broken");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("profile.json");
        assert!(Profiles::load_from(&path).unwrap() == Profiles::default());

        std::fs::write(&path, "sk-fba-canary").unwrap();
        let failure = Profiles::load_from(&path).err().unwrap().to_string();

        assert!(failure.contains("farebox login") && !failure.contains("canary"), "{failure}");
    }
}
