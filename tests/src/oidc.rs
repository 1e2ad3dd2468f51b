//! An `OpenID` provider on a socket of this machine: discovery, keys, a sign-in page that asks
//! nothing, and codes that are given a signed token for once. What somebody "types" at the
//! sign-in page stands in the page's own query, so tests share one provider.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use farebox_aws::{Clock, random_bytes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Farebox' client there.
pub const CLIENT: &str = "farebox-console";
/// The key that the tests of service accounts have too; it opens nothing.
const RSA_KEY: &str = include_str!("../../shared/providers/fixtures/account-key.base64");
/// How long a token lives.
const TOKEN_S: i64 = 300;

/// How a token is signed, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signature {
    /// RS256, by the provider's own key.
    #[default]
    Rsa,
    /// ES256, by the provider's other key.
    Ec,
    /// `alg` is `none`, and nothing is signed.
    Nothing,
    /// HS256 under the provider's public key, which everybody has.
    PublicKey,
    /// By a key that is not among the provider's, and says so.
    UnknownKey,
    /// By a key that is not among the provider's, under the name of one that is.
    StrangersKey,
}

/// What is "typed" at the sign-in page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Typed {
    /// Claims that the token has, or another value than it would have.
    pub claims: Value,
    /// How it is signed.
    pub signature: Signature,
    /// Seconds from this machine's clock to the provider's.
    pub clock_s: i64,
}

/// The provider. Cloning shares.
#[derive(Clone)]
pub struct Oidc {
    origin: String,
    secret: Option<String>,
    shared: Arc<Shared>,
}

struct Shared {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    stranger: EcdsaKeyPair,
    /// Who signs in where nobody types anything.
    person: Mutex<Value>,
    codes: Mutex<HashMap<String, Code>>,
}

/// What a code is given for.
struct Code {
    query: HashMap<String, String>,
    typed: Typed,
}

impl Typed {
    /// A person with this verified address.
    #[must_use]
    pub fn email(email: &str) -> Self {
        Self::claims(json!({"sub": email, "email": email, "email_verified": true}))
    }

    /// A token with these claims beside those that every token has.
    #[must_use]
    pub fn claims(claims: Value) -> Self {
        Self { claims, signature: Signature::Rsa, clock_s: 0 }
    }

    /// The same with another value of a claim; `null` takes it away.
    #[must_use]
    pub fn with(mut self, claim: &str, value: Value) -> Self {
        self.claims[claim] = value;
        self
    }

    /// The same, signed in another way.
    #[must_use]
    pub fn signed(self, signature: Signature) -> Self {
        Self { signature, ..self }
    }
}

impl Oidc {
    /// Listens on a free port; a client with a secret must show it.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn start(secret: Option<&str>, person: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let der = STANDARD.decode(RSA_KEY.replace('\n', "")).expect("base64");
        let shared = Shared {
            rsa: RsaKeyPair::from_pkcs8(&der).expect("a key"),
            ec: new_key(),
            stranger: new_key(),
            person: Mutex::new(person),
            codes: Mutex::default(),
        };
        let secret = secret.map(str::to_owned);
        let provider = Self { origin, secret, shared: Arc::new(shared) };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = serving.clone();
                let service = service_fn(move |request| {
                    let provider = provider.clone();
                    async move { Ok::<_, Infallible>(provider.answer(request).await) }
                });
                let stream = TokioIo::new(stream);
                tokio::spawn(async move {
                    drop(http1::Builder::new().serve_connection(stream, service).await);
                });
            }
        });
        provider
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.origin
    }

    /// The variables that tell a stack of it.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, &'static str)> {
        // A handful of bytes for each provider of a test process.
        let issuer = Box::leak(self.origin.clone().into_boxed_str());
        vec![("FAREBOX_OIDC_ISSUER", issuer), ("FAREBOX_OIDC_CLIENT_ID", CLIENT)]
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let query = fields(request.uri().query().unwrap_or_default().as_bytes());
        match path.as_str() {
            "/.well-known/openid-configuration" => json_answer(200, &self.discovery()),
            "/keys" => json_answer(200, &self.keys()),
            "/authorize" => self.authorize(query),
            "/end-session" => Self::end_session(&query),
            "/token" => {
                let headers = request.headers().clone();
                let header = headers.get("authorization").and_then(|value| value.to_str().ok());
                self.token(&fields(&whole(request).await), header)
            }
            "/person" => {
                let person = serde_json::from_slice(&whole(request).await).expect("JSON");
                *locked(&self.shared.person) = person;
                json_answer(200, &Value::Null)
            }
            _ => json_answer(404, &Value::Null),
        }
    }

    fn discovery(&self) -> Value {
        let place = |path: &str| format!("{}{path}", self.origin);
        json!({
            "issuer": self.origin, "authorization_endpoint": place("/authorize"),
            "token_endpoint": place("/token"), "jwks_uri": place("/keys"),
            "end_session_endpoint": place("/end-session"),
            "authorization_response_iss_parameter_supported": true,
            "code_challenge_methods_supported": ["S256"],
        })
    }

    fn keys(&self) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.shared.rsa.public());
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (number(&public.n), number(&public.e));
        let point = self.shared.ec.public_key().as_ref();
        let (x, y) = (number(&point[1..33]), number(&point[33..]));
        json!({"keys": [
            {"kty": "OKP", "kid": "other", "crv": "Ed25519", "x": 7},
            {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": n, "e": e},
            {"kty": "EC", "kid": "ec", "use": "sig", "crv": "P-256", "x": x, "y": y},
        ]})
    }

    /// The sign-in page: it sends whoever comes back at once.
    fn authorize(&self, query: HashMap<String, String>) -> Response<Full<Bytes>> {
        let said = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let is_whole = said("response_type") == "code"
            && said("client_id") == CLIENT
            && said("code_challenge_method") == "S256"
            && said("scope").split(' ').any(|scope| scope == "openid");
        if !is_whole {
            return json_answer(400, &json!({"error": "invalid_request"}));
        }
        let typed = query.get("typed").and_then(|text| serde_json::from_str(text).ok());
        let typed = typed.unwrap_or_else(|| Typed::claims(locked(&self.shared.person).clone()));
        let (back, state) = (said("redirect_uri").to_owned(), said("state").to_owned());
        let code = URL_SAFE_NO_PAD.encode(random_bytes::<16>());
        locked(&self.shared.codes).insert(code.clone(), Code { query, typed });
        let mut answer = form_urlencoded::Serializer::new(format!("{back}?"));
        answer.append_pair("code", &code).append_pair("state", &state);
        let place = answer.append_pair("iss", &self.origin).finish();
        let response = Response::builder().status(302).header("location", place);
        response.body(Full::default()).expect("an answer")
    }

    /// The sign-out page: it asks nothing, and sends back to the client's own console alone.
    fn end_session(query: &HashMap<String, String>) -> Response<Full<Bytes>> {
        let said = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let back = said("post_logout_redirect_uri");
        if said("client_id") != CLIENT || !back.ends_with("/admin/console") {
            return json_answer(400, &json!({"error": "invalid_request"}));
        }
        let response = Response::builder().status(302).header("location", back);
        response.body(Full::default()).expect("an answer")
    }

    fn token(&self, form: &HashMap<String, String>, header: Option<&str>) -> Response<Full<Bytes>> {
        let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        // RFC 6749, section 2.3.1: both halves are encoded as a form's before they are joined.
        let basic = |secret: &str| {
            let secret: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{secret}")))
        };
        let wanted = self.secret.as_deref().map(basic);
        if said("client_id") != CLIENT || header != wanted.as_deref() {
            return json_answer(401, &json!({"error": "invalid_client"}));
        }
        // Once: whatever comes of it, the code is gone.
        let code = locked(&self.shared.codes).remove(said("code"));
        let challenge = digest::digest(&digest::SHA256, said("code_verifier").as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let fits = |code: &Code| {
            code.query.get("code_challenge") == Some(&challenge)
                && code.query.get("redirect_uri").map(String::as_str) == Some(said("redirect_uri"))
        };
        match code.filter(fits) {
            Some(code) => {
                let id_token = self.signed(&code);
                json_answer(200, &json!({"access_token": "opaque", "id_token": id_token}))
            }
            None => json_answer(400, &json!({"error": "invalid_grant"})),
        }
    }

    fn signed(&self, code: &Code) -> String {
        let now_s = Clock::machine_now().seconds() + code.typed.clock_s;
        let mut claims = json!({
            "iss": self.origin, "aud": CLIENT, "nonce": code.query.get("nonce"),
            "iat": now_s, "exp": now_s + TOKEN_S,
        });
        for (name, value) in code.typed.claims.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let (alg, kid) = match code.typed.signature {
            Signature::Rsa => ("RS256", "rsa"),
            Signature::Ec | Signature::StrangersKey => ("ES256", "ec"),
            Signature::Nothing => ("none", "rsa"),
            Signature::PublicKey => ("HS256", "rsa"),
            Signature::UnknownKey => ("ES256", "nobody"),
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = json!({"alg": alg, "kid": kid, "typ": "JWT"});
        let message = format!("{}.{}", part(&head), part(&claims));
        let signature = self.signature(code.typed.signature, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, kind: Signature, message: &[u8]) -> Vec<u8> {
        let (shared, random) = (&self.shared, SystemRandom::new());
        let ec = |key: &EcdsaKeyPair| key.sign(&random, message).expect("signs").as_ref().to_vec();
        match kind {
            Signature::Rsa => {
                let mut signature = vec![0; shared.rsa.public().modulus_len()];
                let signed = shared.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.expect("signs");
                signature
            }
            Signature::Ec => ec(&shared.ec),
            Signature::Nothing => Vec::new(),
            Signature::PublicKey => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, shared.rsa.public_key().as_ref());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Signature::UnknownKey | Signature::StrangersKey => ec(&shared.stranger),
        }
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn whole(request: Request<Incoming>) -> Bytes {
    let body = request.into_body().collect().await;
    body.map(|body| body.to_bytes()).unwrap_or_default()
}

fn new_key() -> EcdsaKeyPair {
    let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).expect("the same key")
}

fn fields(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}

fn json_answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}
