//! Single sign-on of the console, as the deployment is told of it.

use crate::config::{ConfigError, is_loopback, origin};

const ISSUER: &str = "FAREBOX_OIDC_ISSUER";
const CLIENT: &str = "FAREBOX_OIDC_CLIENT_ID";
const SCOPES: &str = "FAREBOX_OIDC_SCOPES";
const GROUPS: &str = "FAREBOX_OIDC_GROUPS_CLAIM";

/// An `OpenID` provider, and what Farebox is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOn {
    /// The provider, exactly as its discovery document and its tokens write it.
    pub issuer: String,
    /// Farebox's client identifier there.
    pub client_id: String,
    /// The secret with the client's secret; `None` for a public client, which has PKCE alone.
    pub client_secret: Option<String>,
    /// What is asked for, with spaces.
    pub scopes: String,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
}

impl SignOn {
    /// Reads the variables; `None` where no issuer is named.
    ///
    /// # Errors
    /// [`ConfigError`] names the one that breaks its rule.
    pub(crate) fn read(
        set: impl Fn(&str) -> Option<String>,
        is_local: bool,
    ) -> Result<Option<Self>, ConfigError> {
        let (issuer, client_id) = match (set(ISSUER), set(CLIENT)) {
            (None, None) => return Ok(None),
            (Some(issuer), Some(client_id)) => (issuer, client_id),
            (None, Some(_)) => return Err(ConfigError::Missing { variable: ISSUER }),
            (Some(_), None) => return Err(ConfigError::Missing { variable: CLIENT }),
        };
        let is_plain = !issuer.contains(['?', '#']);
        if !(is_plain && is_secure_url(&issuer, is_local)) {
            let rule = "write the provider's https URL as its discovery document has it";
            return Err(ConfigError::Malformed { variable: ISSUER, rule });
        }
        let scopes = set(SCOPES).unwrap_or_else(|| "openid email".to_owned());
        if !scopes.split(' ').any(|scope| scope == "openid") {
            let rule = "list scopes with spaces, openid among them";
            return Err(ConfigError::Malformed { variable: SCOPES, rule });
        }
        let groups_claim = set(GROUPS).unwrap_or_else(|| "groups".to_owned());
        let client_secret = set("FAREBOX_OIDC_CLIENT_SECRET");
        Ok(Some(Self { issuer, client_id, client_secret, scopes, groups_claim }))
    }
}

/// Where browsers find the gateway, where that is not what API Gateway says.
///
/// # Errors
/// [`ConfigError`] where it is no https URL.
pub(crate) fn public_url(
    given: Option<String>,
    is_local: bool,
) -> Result<Option<String>, ConfigError> {
    let Some(url) = given else { return Ok(None) };
    let url = url.trim_end_matches('/').to_owned();
    if !url.contains(['?', '#']) && is_secure_url(&url, is_local) {
        return Ok(Some(url));
    }
    let rule = "write the https URL that browsers use, such as https://llm.example.com";
    Err(ConfigError::Malformed { variable: "FAREBOX_PUBLIC_URL", rule })
}

/// An https URL; on this machine, where every service is an emulator, also one of its loopback.
#[must_use]
pub fn is_secure_url(url: &str, is_local: bool) -> bool {
    let is_https = url.starts_with("https://");
    origin(url).is_some() && (is_https || (is_local && is_loopback(url)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::read;

    const CLIENT_ID: (&str, &str) = (CLIENT, "farebox");

    #[test]
    fn a_provider_is_named_by_its_https_url_and_a_client() {
        let issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x";
        let read = |changes: &[(&str, &str)]| read(changes).map(|config| config.sign_on);

        let whole = read(&[(ISSUER, issuer), CLIENT_ID]).unwrap().unwrap();
        assert_eq!((whole.issuer.as_str(), whole.scopes.as_str()), (issuer, "openid email"));
        assert_eq!((whole.groups_claim.as_str(), whole.client_secret), ("groups", None));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(ISSUER, issuer)]), Err(ConfigError::Missing { variable: CLIENT }));
        assert_eq!(read(&[CLIENT_ID]), Err(ConfigError::Missing { variable: ISSUER }));
        for wrong in ["http://idp.example.com", "http://127.0.0.1:9", "https://x/?a=b", "idp"] {
            assert!(read(&[(ISSUER, wrong), CLIENT_ID]).is_err(), "{wrong}");
        }
        assert!(read(&[(ISSUER, issuer), CLIENT_ID, (SCOPES, "email")]).is_err());
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let local = [
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
            ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:8001"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:8002"),
        ];
        let with = |url| [&local[..], &[(ISSUER, url), CLIENT_ID]].concat();

        assert!(read(&with("http://127.0.0.1:9")).is_ok());
        assert!(read(&with("http://idp.example.com")).is_err());
        assert!(read(&[("FAREBOX_PUBLIC_URL", "http://127.0.0.1:4000")]).is_err());
        let public = read(&[("FAREBOX_PUBLIC_URL", "https://llm.example.com/")]).unwrap();
        assert_eq!(public.public_url.as_deref(), Some("https://llm.example.com"));
    }
}
