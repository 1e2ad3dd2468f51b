//! A service account of Google and a client of Microsoft's: what is stored, what is signed, and
//! where they call.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use farebox_core::{ChatCall, Format, Secret, Timestamp};
use farebox_providers::credential::Scheme;
use farebox_providers::{Facts, find};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

/// A key that was made for the tests and opens nothing: PKCS #8 in base64.
const KEY: &str = include_str!("../fixtures/account-key.base64");

fn account(change: impl Fn(&mut Value)) -> Secret {
    let pem = format!("-----BEGIN {0}-----\n{KEY}\n-----END {0}-----\n", "PRIVATE KEY");
    let mut fields = json!({
        "type": "service_account", "project_id": "my-project", "private_key_id": "k1",
        "private_key": pem, "client_email": "me@my-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
    });
    change(&mut fields);
    Secret::new(fields.to_string())
}

fn scheme() -> &'static dyn Scheme {
    find("vertexai").unwrap().scheme.unwrap()
}

#[test]
fn a_service_account_signs_a_statement_for_its_token() {
    let now = Timestamp::from_ms(1_796_000_000_500);

    let grant = scheme().grant(&account(|_| ()), now).unwrap().unwrap();

    assert_eq!(grant.url, "https://oauth2.googleapis.com/token");
    let form = grant.form.expose();
    let start = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let statement = form.strip_prefix(start).unwrap();
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let der = STANDARD.decode(KEY.replace('\n', "")).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let part = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(head), json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let expected = json!({
        "iss": "me@my-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_796_000_000, "exp": 1_796_003_600,
    });
    assert_eq!(part(claims), expected);
    let granted = scheme().granted(br#"{"access_token":"ya29.x","expires_in":3599}"#).unwrap();
    assert_eq!((granted.token.expose(), granted.lifetime_s), ("ya29.x", 3_599));
    assert!(scheme().granted(br#"{"access_token":"","expires_in":3599}"#).is_none());
}

#[test]
fn the_location_is_a_host_and_a_path_and_global_where_none_is_given() {
    for (location, host) in [
        (None, "aiplatform.googleapis.com"),
        (Some("global"), "aiplatform.googleapis.com"),
        (Some("europe-west4"), "europe-west4-aiplatform.googleapis.com"),
        (Some("eu"), "aiplatform.eu.rep.googleapis.com"),
    ] {
        let secret = account(|fields| {
            if let Some(location) = location {
                fields["location"] = json!(location);
            }
        });
        let place = location.unwrap_or("global");
        let path = format!("/v1/projects/my-project/locations/{place}/publishers/google");
        let base = scheme().base_url(&secret).unwrap();
        assert_eq!(base, format!("https://{host}{path}"));
        let row = find("vertexai").unwrap();
        assert_eq!((row.dearer_at)("gemini-3.5-flash", &base), Some(place != "global"));
        assert_eq!((row.dearer_at)("gemini-2.5-flash", &base), Some(false));
    }
    // Which it is stands in the credential: until it is read the hold counts with the dearer.
    let dearer = |model| {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
        let call = ChatCall::from_openai(body).unwrap();
        let facts = Facts { model, context_window: None, completion_max: None, price: None };
        let provider = find("vertexai").unwrap();
        let wire = provider.wire_for(model, Format::Chat).unwrap();
        let sent = wire.request(provider, &call, &facts, 100, false).unwrap();
        sent.bound.us_geography
    };
    assert!(dearer("gemini-3.5-flash") && !dearer("gemini-2.5-flash"));
    assert!(find("vertexai").unwrap().wire_for("claude-opus-5", Format::Chat).is_err());
}

#[test]
fn a_wrong_field_of_a_service_account_is_named_and_never_quoted() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 7] = [
        (|fields| fields["type"] = json!("authorized_user"), "secret.type"),
        (|fields| fields["client_email"] = json!("canary"), "secret.client_email"),
        (|fields| drop(fields.as_object_mut().unwrap().remove("project_id")), "secret.project_id"),
        (|fields| fields["project_id"] = json!("canary/../x"), "secret.project_id"),
        (|fields| fields["location"] = json!("evil.canary/"), "secret.location"),
        (|fields| fields["private_key"] = json!("canary"), "secret.private_key"),
        (
            |fields| {
                let pem = fields["private_key"].as_str().unwrap().replace("MII", "canary");
                fields["private_key"] = json!(pem);
            },
            "secret.private_key",
        ),
    ];
    for (change, named) in cases {
        let error = scheme().check(&account(change)).unwrap_err();
        assert_eq!(error.field(), Some(named), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert!(scheme().check(&Secret::new("AIzaSy".to_owned())).is_err());
    let urls = scheme().check(&account(|_| ())).unwrap();
    assert_eq!(urls[0].0, "secret.token_uri");
}

fn azure() -> &'static dyn Scheme {
    find("azure").unwrap().scheme.unwrap()
}

#[test]
fn a_client_of_entra_asks_the_fixed_host_of_its_tenant() {
    let client = Secret::new(
        json!({"tenant_id": "contoso.example", "client_id": "0-1", "client_secret": "a b&c"})
            .to_string(),
    );

    let urls = azure().check(&client).unwrap();
    let grant = azure().grant(&client, Timestamp::from_ms(0)).unwrap().unwrap();

    let url = "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token";
    assert_eq!(urls, [("secret.token_uri", url.to_owned())]);
    assert_eq!(grant.url, url);
    let expected = "grant_type=client_credentials&client_id=0-1&client_secret=a%20b%26c\
                    &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
    assert_eq!(grant.form.expose(), expected);
    let granted = azure().granted(br#"{"access_token":"eyJ","expires_in":3599}"#).unwrap();
    let wire = find("azure").unwrap().wire_for("gpt-5", Format::Responses).unwrap();
    assert_eq!(wire.auth(&granted.token), [("authorization", "Bearer eyJ".to_owned())]);
    assert_eq!(wire.auth(&Secret::new("0a1b".to_owned())), [("api-key", "0a1b".to_owned())]);
}

#[test]
fn a_stored_token_and_a_key_of_azure_stand_in_headers_of_their_own_in_each_format() {
    let secret = |fields: &Value| Secret::new(fields.to_string());
    let wire_for = |format| find("azure").unwrap().wire_for("gpt-4.1", format).unwrap();
    for format in [Format::Chat, Format::Responses, Format::Embeddings] {
        let auth = |fields: &Value| wire_for(format).auth(&secret(fields));
        let token = json!({"token": "eyJ", "api_version": "2024-10-21"});
        assert_eq!(auth(&token), [("authorization", "Bearer eyJ".to_owned())]);
        assert_eq!(auth(&json!({"api_key": "k"})), [("api-key", "k".to_owned())]);
    }
}

#[test]
fn a_version_of_the_api_asks_for_the_deployment_in_the_path() {
    let secret = |fields: &Value| Secret::new(fields.to_string());
    let place = |fields: &Value, base: &str| azure().place(&secret(fields), base.to_owned());
    let versioned = json!({"api_key": "k", "api_version": "2024-10-21"});
    for base in ["https://n.openai.azure.com/openai", "https://n.openai.azure.com/openai/v1"] {
        let expected = "https://n.openai.azure.com/openai/deployments?api-version=2024-10-21";
        assert_eq!(place(&versioned, base).unwrap(), expected);
        assert_eq!(place(&json!({"api_key": "k"}), base).unwrap(), base);
    }
    assert!(find("azure").unwrap().is_nowhere() && !find("vertexai").unwrap().is_nowhere());
}

#[test]
fn a_wrong_field_of_a_client_is_named_and_never_quoted() {
    for (fields, named) in [
        (json!({}), "secret"),
        (json!({"api_key": "canary", "token": "canary"}), "secret"),
        (json!({"api_key": ""}), "secret.api_key"),
        (json!({"api_key": "k", "api_version": "canary?x"}), "secret.api_version"),
        (json!({"client_secret": "s", "client_id": "0"}), "secret.tenant_id"),
        (
            json!({"client_secret": "s", "client_id": "0", "tenant_id": "canary/x"}),
            "secret.tenant_id",
        ),
        (json!({"client_secret": "s", "tenant_id": "t"}), "secret.client_id"),
    ] {
        let error = azure().check(&Secret::new(fields.to_string())).unwrap_err();
        assert_eq!(error.field(), Some(named), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
