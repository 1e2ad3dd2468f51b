//! Requests that an IAM principal signs, by AWS' own signer (`aws-sigv4`): ours is not asked about
//! itself.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use farebox_aws::Clock;

use crate::{Call, Stack};

/// Access keys, and when and for what they sign.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
    /// Of a session.
    pub token: Option<String>,
    /// The service that the signature counts for.
    pub service: &'static str,
    /// Seconds from now to the date of the signature.
    pub clock_s: i64,
}

impl Principal {
    /// The IAM user of this name at a local stack.
    #[must_use]
    pub fn user(stack: &Stack, name: &str) -> Self {
        Self::of(stack, format!("AKIALOCAL{}", name.to_uppercase()), None)
    }

    /// A session of the role of this name at a local stack.
    #[must_use]
    pub fn session(stack: &Stack, name: &str) -> Self {
        let id = format!("ASIALOCAL{}", name.to_uppercase());
        Self::of(stack, id, Some("a session's token".to_owned()))
    }

    fn of(stack: &Stack, id: String, token: Option<String>) -> Self {
        let secret = stack.ready().text("iam_secret").to_owned();
        Self { id, secret, token, service: "execute-api", clock_s: 0 }
    }

    /// The request with the headers that sign it.
    ///
    /// # Panics
    /// Where it cannot be signed.
    #[must_use]
    pub fn sign(&self, call: Call) -> Call {
        let (token, secret) = (self.token.clone(), self.secret.clone());
        let credentials = aws_credential_types::Credentials::new(&self.id, secret, token, None, "");
        let identity = Identity::from(credentials);
        let now = Clock::machine_now().plus_ms(self.clock_s * 1_000).ms().unsigned_abs();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(now))
            .settings(SigningSettings::default())
            .build()
            .expect("parameters");
        let signed = {
            let headers = call
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).expect("text")));
            let body = SignableBody::Bytes(&call.body);
            let request = SignableRequest::new(call.method.as_str(), &call.url, headers, body);
            sign(request.expect("a request"), &parameters.into()).expect("signs")
        };
        let (instructions, _) = signed.into_parts();
        instructions.headers().fold(call, |call, (name, value)| call.with(name, value))
    }
}
