//! The provider's word about a person: a signed statement (OpenID Connect Core 1.0, section
//! 3.1.3.7), verified in one place. *ring* checks the signature; it is in this binary as rustls'
//! cryptography, where a library for tokens would bring a second set and leave `nonce` and `azp`
//! to us all the same. Which key may check which algorithm is a table of two rows, so a token
//! cannot choose: `none` and the shared-secret algorithms are not among them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token: a person in many groups has some kilobytes.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// How far the provider's clock may be from this one.
const LEEWAY_S: i64 = 60;
/// Longest address (RFC 5321, section 4.5.3.1.3) and subject (Core 1.0, section 2).
const EMAIL_BYTES_MAX: usize = 254;
const SUBJECT_BYTES_MAX: usize = 255;
/// Longest identifier that a role can be given to.
const PLAIN_BYTES_MAX: usize = 200;

/// A key of the provider's key document (RFC 7517). What else stands in it is not read.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// What a token must say.
pub struct Wanted<'wanted> {
    /// Who has made it.
    pub issuer: &'wanted str,
    /// Whom it is for.
    pub client_id: &'wanted str,
    /// Which sign-in it answers.
    pub nonce: &'wanted str,
    /// The claim that lists groups.
    pub groups_claim: &'wanted str,
    /// Now, in seconds.
    pub now_s: i64,
}

/// Who has signed in.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    /// The provider's identifier.
    pub subject: String,
    /// The address, in small letters; none where the provider has not verified it.
    pub email: Option<String>,
    /// The groups, as the provider writes them.
    pub groups: Vec<String>,
}

impl Person {
    /// What the audit and the list of sessions call it.
    pub fn name(&self) -> String {
        self.email.clone().unwrap_or_else(|| format!("sub:{}", self.subject))
    }
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Signed by a key that is not among those that were read: they may have changed.
    UnknownKey,
    /// The provider has not verified the person's address, and its identifier is none that a role
    /// can be given to.
    Unverified,
    /// Anything else, for the log.
    Wrong(&'static str),
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// How a kind of key checks a signature.
type Check = fn(&Jwk, message: &[u8], signature: &[u8]) -> Option<bool>;

/// Algorithm, the kind of its keys, their check.
const ALGORITHMS: [(&str, &str, Check); 2] = [("RS256", "RSA", rsa), ("ES256", "EC", p256)];

/// The person of whom a token speaks.
///
/// # Errors
/// [`Fault`].
pub fn verify(token: &str, keys: &[Jwk], wanted: &Wanted<'_>) -> Result<Person, Fault> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Fault::Wrong("the id token is too long"));
    }
    let not_a_token = Fault::Wrong("the id token is not of three parts");
    let (message, signature) = token.rsplit_once('.').ok_or(not_a_token)?;
    let (head, claims) = message.split_once('.').ok_or(not_a_token)?;
    let unreadable = Fault::Wrong("the id token is not base64url of JSON");
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| unreadable);
    let head: Head = serde_json::from_slice(&bytes(head)?).map_err(|_| unreadable)?;
    check_signature(&head, keys, message.as_bytes(), &bytes(signature)?)?;
    // Nothing below was read before the signature was good.
    let claims: Map<String, Value> =
        serde_json::from_slice(&bytes(claims)?).map_err(|_| unreadable)?;
    check_claims(&claims, wanted)?;
    person(&claims, wanted.groups_claim)
}

fn check_signature(
    head: &Head,
    keys: &[Jwk],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Fault> {
    if head.crit.is_some() {
        return Err(Fault::Wrong("the id token needs an extension"));
    }
    let row = ALGORITHMS.iter().find(|(alg, ..)| *alg == head.alg);
    let (alg, kind, check) = row.ok_or(Fault::Wrong("the id token's algorithm is refused"))?;
    let fits = |key: &&Jwk| {
        key.kty == *kind
            && key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && key.alg.as_deref().is_none_or(|known| known == *alg)
            && (head.kid.is_none() || key.kid == head.kid)
    };
    let mut fitting = keys.iter().filter(fits);
    let key = fitting.next().ok_or(Fault::UnknownKey)?;
    // A token that names no key may be of the only one; which of several is not guessed.
    if head.kid.is_none() && fitting.next().is_some() {
        return Err(Fault::Wrong("the id token does not say which key signed it"));
    }
    match check(key, message, signature) {
        Some(true) => Ok(()),
        Some(false) => Err(Fault::Wrong("the id token's signature is wrong")),
        None => Err(Fault::Wrong("the provider's key is not readable")),
    }
}

/// An unsigned big-endian number without zeros before it, as *ring* wants it.
fn number(text: Option<&String>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).map(<[u8]>::to_vec)
}

fn rsa(key: &Jwk, message: &[u8], signature: &[u8]) -> Option<bool> {
    let (n, e) = (number(key.n.as_ref())?, number(key.e.as_ref())?);
    let key = RsaPublicKeyComponents { n, e };
    Some(key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok())
}

fn p256(key: &Jwk, message: &[u8], signature: &[u8]) -> Option<bool> {
    let coordinate = |text: Option<&String>| {
        let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
        <[u8; 32]>::try_from(bytes).ok()
    };
    let (x, y) = (coordinate(key.x.as_ref())?, coordinate(key.y.as_ref())?);
    if key.crv.as_deref() != Some("P-256") {
        return None;
    }
    let point = [&[4][..], &x, &y].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    Some(key.verify(message, signature).is_ok())
}

fn check_claims(claims: &Map<String, Value>, wanted: &Wanted<'_>) -> Result<(), Fault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let must = |holds: bool, fault| if holds { Ok(()) } else { Err(Fault::Wrong(fault)) };
    must(text("iss") == Some(wanted.issuer), "the id token is of another issuer")?;
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().map(|one| one.as_str().unwrap_or("")).collect(),
        _ => Vec::new(),
    };
    must(audiences.contains(&wanted.client_id), "the id token is for another client")?;
    let party = claims.get("azp").map(|party| party.as_str().unwrap_or_default());
    let is_ours = party.map_or(audiences.len() == 1, |party| party == wanted.client_id);
    must(is_ours, "the id token was asked for by another client")?;
    must(text("nonce") == Some(wanted.nonce), "the id token answers another sign-in")?;
    let time = |name: &str| claims.get(name).map(|at| at.as_i64().ok_or(()));
    let wrong = |()| Fault::Wrong("the id token has a time that is none");
    let end = time("exp").transpose().map_err(wrong)?;
    let is_live = |end: i64| wanted.now_s < end.saturating_add(LEEWAY_S);
    must(end.is_some_and(is_live), "the id token has expired")?;
    for name in ["iat", "nbf"] {
        let begin = time(name).transpose().map_err(wrong)?;
        let is_past = |begin: i64| begin <= wanted.now_s.saturating_add(LEEWAY_S);
        must(begin.is_none_or(is_past), "the id token is of the future")?;
    }
    Ok(())
}

fn person(claims: &Map<String, Value>, groups_claim: &str) -> Result<Person, Fault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_subject = |text: &&str| (1..=SUBJECT_BYTES_MAX).contains(&text.len());
    let subject = text("sub").filter(is_subject);
    let subject = subject.ok_or(Fault::Wrong("the id token names nobody"))?.to_owned();
    // Some providers write it as text.
    let is_verified = match claims.get("email_verified") {
        Some(Value::Bool(is_verified)) => *is_verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    let email = text("email").and_then(address).filter(|_| is_verified);
    if email.is_none() && !is_plain(&subject) {
        return Err(Fault::Unverified);
    }
    let groups = match claims.get(groups_claim) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    let groups = groups.into_iter().map(str::to_owned).collect();
    Ok(Person { subject, email, groups })
}

/// Whether a provider's identifier is one that a role can be given to.
pub fn is_plain(subject: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~|:@+=-".contains(&byte);
    (1..=PLAIN_BYTES_MAX).contains(&subject.len()) && subject.bytes().all(is_plain)
}

/// An address in small letters; `None` where it is none that a role can be given to.
pub fn address(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>@,;\\".contains(&byte);
    let is_whole = |part: &str| !part.is_empty() && part.bytes().all(is_plain);
    let is_address = text.len() <= EMAIL_BYTES_MAX && is_whole(local) && is_whole(domain);
    is_address.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    const WANTED: Wanted<'static> = Wanted {
        issuer: "https://idp.example.com",
        client_id: "farebox",
        nonce: "n1",
        groups_claim: "cognito:groups",
        now_s: 1_800_000_000,
    };

    fn claims(changes: &Value) -> Value {
        let mut claims = json!({
            "iss": "https://idp.example.com", "aud": "farebox", "sub": "s1", "nonce": "n1",
            "exp": 1_800_000_300, "iat": 1_799_999_990, "email": "Ann@Example.com",
            "email_verified": true, "cognito:groups": ["ops", "dev"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
        }

        fn jwk(&self) -> Value {
            let point = self.0.public_key().as_ref();
            let (x, y) =
                (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
            json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "x": x, "y": y})
        }

        fn sign(&self, head: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(head), part(claims));
            let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        fn verified(&self, changes: &Value) -> Result<Person, Fault> {
            let token = self.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims(changes));
            verify(&token, &keys(&[self.jwk()]), &WANTED)
        }
    }

    fn keys(list: &[Value]) -> Vec<Jwk> {
        list.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect()
    }

    #[test]
    fn a_good_token_names_a_person_in_small_letters() {
        let person = Signer::new().verified(&json!({})).unwrap();

        assert_eq!(
            (person.subject.as_str(), person.email.as_deref()),
            ("s1", Some("ann@example.com"))
        );
        assert_eq!(person.groups, ["ops", "dev"]);
    }

    #[test]
    fn each_claim_that_is_not_as_it_must_be_is_refused() {
        let signer = Signer::new();
        for wrong in [
            json!({"iss": "https://idp.example.com/"}),
            json!({"aud": "other"}),
            json!({"aud": []}),
            json!({"aud": ["farebox", "other"]}),
            json!({"aud": ["farebox", "other"], "azp": "other"}),
            json!({"azp": "other"}),
            json!({"azp": 1}),
            json!({"nonce": "n2"}),
            json!({"nonce": null}),
            json!({"exp": 1_799_999_940}),
            json!({"exp": null}),
            json!({"exp": "1900000000"}),
            json!({"iat": 1_800_000_061}),
            json!({"nbf": 1_800_000_061}),
            json!({"sub": ""}),
        ] {
            let refused = signer.verified(&wrong).unwrap_err();
            assert!(matches!(refused, Fault::Wrong(_)), "{wrong}");
        }
        for unverified in [
            json!({"email_verified": false}),
            json!({"email_verified": "false"}),
            json!({"email_verified": null}),
            json!({"email": null}),
            json!({"email": "ann"}),
            json!({"email": "ann@x@example.com"}),
            json!({"email": "a b@example.com"}),
        ] {
            // Such an address is believed by nobody: the person is its identifier.
            let person = signer.verified(&unverified).unwrap();
            assert_eq!(
                (person.email.as_deref(), &*person.name()),
                (None, "sub:s1"),
                "{unverified}"
            );
            let mut nameless = unverified;
            nameless["sub"] = json!("<s1>");
            assert_eq!(signer.verified(&nameless).unwrap_err(), Fault::Unverified, "{nameless}");
        }
        let good = json!({"aud": ["farebox", "other"], "azp": "farebox", "email_verified": "true"});
        assert!(signer.verified(&good).is_ok());
    }

    #[test]
    fn a_key_checks_its_own_algorithm_alone() {
        let signer = Signer::new();
        let with = |head: Value, key: Value| {
            verify(&signer.sign(&head, &claims(&json!({}))), &keys(&[key]), &WANTED)
        };
        let own = || signer.jwk();
        let changed = |name: &str, value: Value| {
            let mut key = own();
            key[name] = value;
            key
        };

        assert!(with(json!({"alg": "ES256"}), own()).is_ok());
        for alg in ["none", "None", "HS256", "RS256", "ES384", ""] {
            assert!(with(json!({"alg": alg, "kid": "k1"}), own()).is_err(), "{alg}");
        }
        assert!(with(json!({"alg": "ES256", "kid": "k1", "crit": ["b64"]}), own()).is_err());
        let head = || json!({"alg": "ES256", "kid": "k1"});
        for key in [
            changed("kid", json!("k2")),
            changed("use", json!("enc")),
            changed("alg", json!("RS256")),
        ] {
            assert_eq!(with(head(), key), Err(Fault::UnknownKey));
        }
        for key in [
            changed("crv", json!("P-384")),
            changed("x", json!("AA")),
            changed("y", own()["x"].clone()),
        ] {
            assert!(matches!(with(head(), key), Err(Fault::Wrong(_))));
        }
        let token = signer.sign(&json!({"alg": "ES256"}), &claims(&json!({})));
        let two = keys(&[Signer::new().jwk(), own()]);
        assert!(verify(&token, &two, &WANTED).is_err(), "which of two keys is not guessed");
    }

    #[test]
    fn any_changed_part_breaks_it() {
        let signer = Signer::new();
        let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims(&json!({})));
        let keys = keys(&[signer.jwk()]);
        let parts: Vec<&str> = token.split('.').collect();
        let other =
            URL_SAFE_NO_PAD.encode(claims(&json!({"email": "eve@example.com"})).to_string());

        for broken in [
            format!("{}.{}.{}", parts[0], other, parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{token}.x"),
            String::new(),
            "..".to_owned(),
            "x".repeat(TOKEN_BYTES_MAX + 1),
        ] {
            assert!(verify(&broken, &keys, &WANTED).is_err(), "{broken}");
        }
    }
}
