//! The `OpenID` provider: what it says of itself, its keys, and its answer to a code.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_aws::sign_on::{SignOn, is_secure_url};
use farebox_aws::web::Form;
use farebox_aws::{Aws, credentials};
use farebox_core::{Error, Secret, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::id_token::{Fault, Jwk, Person, Wanted, verify};

/// How long the provider's documents are believed.
const AGE_MS: i64 = 3_600_000;
/// How often, at most, they are read again because of a key that is not among them.
const AGAIN_MS: i64 = 60_000;
/// What the address of Cognito's sign-in page ends in.
const COGNITO_PAGE: &str = "/oauth2/authorize";
/// The most keys that are looked through.
const KEYS_MAX: usize = 100;

/// The provider, as far as it was asked.
pub struct Provider {
    aws: Aws,
    settings: SignOn,
    known: Mutex<Option<(Arc<Known>, Timestamp)>>,
}

/// What the provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    /// OpenID Connect RP-Initiated Logout 1.0, section 2.1.
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

struct Known {
    document: Document,
    keys: Vec<Jwk>,
}

/// A person on the way back from the provider.
pub struct Return<'back> {
    /// What the provider gives the person's token for, once.
    pub code: &'back str,
    /// Who says so (RFC 9207), where it is said.
    pub issuer: Option<&'back str>,
    /// Proves that the one who asks is the one who began.
    pub verifier: &'back Secret,
    /// Which token is wanted.
    pub nonce: &'back str,
    /// Where the person was sent back to.
    pub redirect_uri: &'back str,
}

/// The parts of a question for the provider's sign-in page.
pub struct Question<'question> {
    /// Comes back with the person.
    pub state: &'question str,
    /// Comes back in the token.
    pub nonce: &'question str,
    /// The verifier's hash (RFC 7636, `S256`).
    pub challenge: &'question str,
    /// Where the person is sent back to.
    pub redirect_uri: &'question str,
}

impl Provider {
    /// The provider that the deployment names; asks nothing yet.
    pub fn new(aws: &Aws) -> Option<Self> {
        let settings = aws.config().sign_on.clone()?;
        Some(Self { aws: aws.clone(), settings, known: Mutex::new(None) })
    }

    /// The provider's name.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The address of the provider's sign-in page for a question.
    ///
    /// # Errors
    /// [`Error::SignInUnavailable`].
    pub async fn sign_in_page(&self, question: &Question<'_>) -> Result<String, Error> {
        let known = self.known(AGE_MS).await?;
        let page = &known.document.authorization_endpoint;
        let joint = if page.contains('?') { '&' } else { '?' };
        let query = encoded(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", question.redirect_uri),
            ("scope", &self.settings.scopes),
            ("state", question.state),
            ("nonce", question.nonce),
            ("code_challenge", question.challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(format!("{page}{joint}{query}"))
    }

    /// The provider's page that ends the sign-in there and leads to `back`; none where it has
    /// none, or does not say so just now: the session here has ended all the same.
    pub async fn sign_out_page(&self, back: &str) -> Option<String> {
        match self.known(AGE_MS).await {
            Ok(known) => sign_out_page(&known.document, &self.settings.client_id, back),
            Err(error) => {
                tracing::warn!(cause = error.cause(), "nobody is signed out at the provider");
                None
            }
        }
    }

    /// Who the person is that comes back with a code.
    ///
    /// # Errors
    /// [`Error::SignInRefused`] where the provider's word is not as it must be,
    /// [`Error::SignInUnavailable`] where it gives none.
    pub async fn person(&self, back: &Return<'_>) -> Result<Person, Error> {
        let known = self.known(AGE_MS).await?;
        let must_say = known.document.authorization_response_iss_parameter_supported;
        let is_ours = back.issuer.map_or(!must_say, |issuer| issuer == self.settings.issuer);
        if !is_ours {
            return Err(refused("the answer is of another provider"));
        }
        let token = self.token(&known.document, back).await?;
        let wanted = Wanted {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: back.nonce,
            groups_claim: &self.settings.groups_claim,
            now_s: self.aws.now().seconds(),
        };
        let person = match verify(token.expose(), &known.keys, &wanted) {
            // The provider has new keys, as it may any day; what a stranger writes into a token
            // does not make it asked more than once a minute.
            Err(Fault::UnknownKey) => {
                verify(token.expose(), &self.known(AGAIN_MS).await?.keys, &wanted)
            }
            person => person,
        };
        person.map_err(|fault| match fault {
            Fault::UnknownKey => refused("the id token is signed by an unknown key"),
            Fault::Wrong(why) => refused(why),
            Fault::Unverified => Error::SignInRefused {
                rule: "Your provider does not say that your e-mail address is verified, and names \
                       you by what no role can be given to. Verify it there, then sign in again."
                    .to_owned(),
                cause: "no verified address",
            },
        })
    }

    /// The provider's documents, not older than that.
    async fn known(&self, age_ms: i64) -> Result<Arc<Known>, Error> {
        let mut cached = self.known.lock().await;
        let now = self.aws.now();
        if let Some((known, since)) = cached.as_ref()
            && (0..age_ms).contains(&now.since(*since))
        {
            return Ok(Arc::clone(known));
        }
        let issuer = &self.settings.issuer;
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Document = self.read(&place).await?;
        if document.issuer != *issuer {
            return Err(unavailable("the discovery document is of another issuer"));
        }
        let is_local = issuer.starts_with("http://");
        let Document { authorization_endpoint, token_endpoint, jwks_uri, .. } = &document;
        if ![authorization_endpoint, token_endpoint, jwks_uri]
            .into_iter()
            .all(|url| is_secure_url(url, is_local))
        {
            return Err(unavailable("the discovery document names an address without https"));
        }
        let keys = self.read::<KeyDocument>(jwks_uri).await?.keys;
        // A key of a kind that is not known is not one of ours.
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let known = Arc::new(Known { keys: keys.take(KEYS_MAX).collect(), document });
        *cached = Some((Arc::clone(&known), now));
        Ok(known)
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, url: &str) -> Result<T, Error> {
        let answer = self.aws.web(url, None).await;
        let (status, body) = answer.map_err(|_| unavailable("the provider cannot be reached"))?;
        if status != 200 {
            return Err(unavailable("the provider has no document where it should be"));
        }
        serde_json::from_slice(&body).map_err(|_| unavailable("the provider's document is wrong"))
    }

    /// Gives the code for the person's token.
    async fn token(&self, document: &Document, back: &Return<'_>) -> Result<Secret, Error> {
        let form = self.form(document, back).await?;
        let answer = self.aws.web(&document.token_endpoint, Some(&form)).await;
        let (status, body) = answer.map_err(|_| unavailable("the provider cannot be reached"))?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        match (status, text("error")) {
            (200, _) => match text("id_token") {
                Some(token) => Ok(Secret::new(token.to_owned())),
                None => Err(unavailable("the provider gives no id token")),
            },
            (_, Some("invalid_grant")) => Err(refused("the code is used, expired or another's")),
            (_, Some("invalid_client" | "unauthorized_client")) => {
                Err(unavailable("the provider refuses this client or its secret"))
            }
            _ => Err(unavailable("the provider refuses the code")),
        }
    }

    async fn form(&self, document: &Document, back: &Return<'_>) -> Result<Form, Error> {
        let client_id = self.settings.client_id.as_str();
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", back.code),
            ("redirect_uri", back.redirect_uri),
            ("client_id", client_id),
            ("code_verifier", back.verifier.expose()),
        ];
        let Some(name) = &self.settings.client_secret else {
            return Ok(Form { body: Secret::new(encoded(&fields)), authorization: None });
        };
        let secret = credentials::secret_text(&self.aws, name).await?;
        let secret = secret.ok_or_else(|| unavailable("the client's secret does not exist"))?;
        let secret = secret.expose().trim();
        let methods = document.token_endpoint_auth_methods_supported.as_ref();
        // What is not said is `client_secret_basic`.
        if methods.is_none_or(|known| known.iter().any(|one| one == "client_secret_basic")) {
            let pair = format!("{}:{}", encoded_text(client_id), encoded_text(secret));
            let authorization = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
            let body = Secret::new(encoded(&fields));
            return Ok(Form { body, authorization: Some(authorization) });
        }
        fields.push(("client_secret", secret));
        Ok(Form { body: Secret::new(encoded(&fields)), authorization: None })
    }
}

/// Where the provider signs a person out. The client is named and no token is sent as a hint:
/// none is kept, because it is a secret. Some providers then ask the person first.
fn sign_out_page(document: &Document, client_id: &str, back: &str) -> Option<String> {
    let Document { issuer, authorization_endpoint, .. } = document;
    let is_local = issuer.starts_with("http://");
    let is_cognito = issuer.starts_with("https://cognito-idp.");
    // Cognito's has its own name for the way back, and stands beside its sign-in page.
    let beside = || Some(format!("{}/logout", authorization_endpoint.strip_suffix(COGNITO_PAGE)?));
    let page = document.end_session_endpoint.clone();
    let page = page.or_else(|| beside().filter(|_| is_cognito))?;
    let back_name = if is_cognito { "logout_uri" } else { "post_logout_redirect_uri" };
    let joint = if page.contains('?') { '&' } else { '?' };
    let query = encoded(&[("client_id", client_id), (back_name, back)]);
    is_secure_url(&page, is_local).then(|| format!("{page}{joint}{query}"))
}

/// The provider's keys (RFC 7517, section 5).
#[derive(Deserialize)]
struct KeyDocument {
    keys: Vec<Value>,
}

/// What the person can do nothing about but try again.
pub fn refused(cause: &'static str) -> Error {
    let rule = "Sign in again; if it happens twice, ask an owner to look at the log.".to_owned();
    Error::SignInRefused { rule, cause }
}

const fn unavailable(cause: &'static str) -> Error {
    Error::SignInUnavailable { cause }
}

/// `application/x-www-form-urlencoded`.
fn encoded(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded_text(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded_text(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(issuer: &str, sign_in: &str, end: Option<&str>) -> Option<String> {
        let document = serde_json::json!({
            "issuer": issuer, "authorization_endpoint": sign_in, "token_endpoint": "https://x",
            "jwks_uri": "https://x", "end_session_endpoint": end,
        });
        let document = serde_json::from_value(document).unwrap();
        sign_out_page(&document, "a client", "https://llm.example.com/prod/admin/console")
    }

    #[test]
    fn a_person_is_signed_out_where_the_provider_says_and_nowhere_else() {
        let plain = |end| page("https://idp.example.com", "https://idp.example.com/a", end);
        let back = "https%3A%2F%2Fllm.example.com%2Fprod%2Fadmin%2Fconsole";
        let query = format!("client_id=a+client&post_logout_redirect_uri={back}");

        let end = "https://idp.example.com/end";
        assert_eq!(plain(Some(end)), Some(format!("{end}?{query}")));
        let end = "https://idp.example.com/end?p=1";
        assert_eq!(plain(Some(end)), Some(format!("{end}&{query}")));
        assert_eq!(plain(None), None);
        for end in ["http://idp.example.com/end", "javascript:alert(1)", "", "//x"] {
            assert_eq!(plain(Some(end)), None, "{end}");
        }
    }

    #[test]
    fn cognito_has_a_page_of_its_own() {
        let pool = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x";
        let own = "https://own.auth.eu-central-1.amazoncognito.com";
        let back = "https%3A%2F%2Fllm.example.com%2Fprod%2Fadmin%2Fconsole";
        let expected = Some(format!("{own}/logout?client_id=a+client&logout_uri={back}"));

        let sign_in = format!("{own}/oauth2/authorize");
        assert_eq!(page(pool, &sign_in, None), expected);
        assert_eq!(page(pool, &sign_in, Some(&format!("{own}/logout"))), expected);
    }
}
