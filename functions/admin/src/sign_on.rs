//! Single sign-on: a person goes to the deployment's `OpenID` provider and comes back with a code
//! (OpenID Connect Core 1.0, section 3.1, with PKCE, RFC 7636). Signing in gives nobody a role:
//! the verified address or a group must have one that an owner gave it (`/admin/v1/sso`).
//!
//! What is kept on the way stands sealed in the browser's own cookie, so a stranger who begins
//! sign-ins fills no table. A session is one item with a keyed hash of its token; the token is in
//! a cookie that no program of a page can read.

use core::future::Future;
use core::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_api::{ConsoleSession, Session, SignedOut};
use farebox_aws::control::{BindingRow, End, Entry, Expected, LIFETIME_S, SignedIn, Trail};
use farebox_aws::{Sealer, random_bytes};
use farebox_core::{Error, Rid, Secret};
use lambda_http::http::header::{ORIGIN, SET_COOKIE};
use lambda_http::{Body, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::auth::{Member, Principal, Role};
use crate::call::Call;
use crate::reply::{Answer, Refusal};
use crate::{Gate, admins, console, sso};

mod cookies;
mod id_token;
mod provider;

pub use id_token::{address, is_plain};
pub use provider::Provider;

use id_token::Person;
use provider::{Question, Return};

/// What the console's program sends with each request. Another site's page cannot: a browser
/// would ask first whether it may, and is never told yes.
const OWN_HEADER: &str = "x-farebox-console";
/// How long a person may take at the provider.
const SIGN_IN_S: i64 = 600;
/// Longest place in the console that a person comes back to.
const BACK_BYTES_MAX: usize = 256;
/// The most groups of one person that are looked at.
const GROUPS_MAX: usize = 100;
/// For which use the pepper's key seals.
const SEALED: &str = "console sign-in";

/// Boxed, so that the future of every request is not as large as that of a sign-in.
type Flow<'a> = Pin<Box<dyn Future<Output = Result<Option<Answer>, Refusal>> + Send + 'a>>;

/// A path below the console: its method, whether a person sees its answer as a page.
const PATHS: [(&str, &str, bool); 4] = [
    ("GET", "/admin/console/session", false),
    ("GET", "/admin/console/sign-in", true),
    ("GET", "/admin/console/callback", true),
    ("POST", "/admin/console/sign-out", false),
];

/// A sign-in under way.
#[derive(Serialize, Deserialize)]
struct Begun {
    at_s: i64,
    state: String,
    nonce: String,
    verifier: String,
    back: String,
}

/// The answer, where the path is one of the sign-in's and there is one to answer.
///
/// # Errors
/// Why nobody is signed in or out.
pub fn answer<'a>(gate: &'a Gate, call: &'a Call, rid: Rid) -> Flow<'a> {
    Box::pin(async move {
        let row = PATHS.iter().find(|(_, path, _)| *path == call.path());
        let Some((method, path, _)) = row else { return Ok(None) };
        if call.method() != *method {
            let (path, allowed) = (call.path().to_owned(), (*method).to_owned());
            return Err(Error::MethodNotAllowed { path, allowed }.into());
        }
        let base = base(gate, call);
        let name = path.rsplit('/').next().unwrap_or_default();
        let answer = match (name, gate.sign_on.as_deref().zip(base.as_deref())) {
            ("session", _) => session(gate, call).await?,
            (_, None) => return Ok(None),
            ("sign-in", Some((provider, base))) => begin(gate, call, provider, base).await?,
            ("callback", Some((provider, base))) => finish(gate, call, provider, base, rid).await?,
            (_, Some((provider, base))) => end(gate, call, provider, base, rid).await?,
        };
        Ok(Some(answer))
    })
}

/// A refusal, as a page where a person sees it.
pub fn refused(call: &Call, refusal: Refusal) -> Response<Body> {
    let is_page = PATHS.iter().any(|(_, path, is_page)| *is_page && *path == call.path());
    if !is_page {
        return refusal.into_response();
    }
    let error = refusal.error();
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Not signed in – Farebox</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n\
         <header><p class=\"brand\">Farebox</p></header>\n<main class=\"login card\">\n\
         <h1>Not signed in</h1>\n<p id=\"why\">{}</p>\n\
         <p><a href=\"../console\">Back to the console</a></p>\n</main>\n</body>\n</html>\n",
        escaped(&error.to_string())
    );
    console::page(error.row().status, text).into_response()
}

/// Who has signed in, where the request is of the console's own page.
///
/// # Errors
/// Where it cannot be found out.
pub async fn principal(gate: &Gate, call: &Call) -> Result<Option<Principal>, Error> {
    let Some(base) = base(gate, call).filter(|base| is_own(call, base)) else { return Ok(None) };
    let token = cookies::read(call, &base, cookies::SESSION);
    let Some(token) = token.filter(|_| gate.sign_on.is_some()) else { return Ok(None) };
    let Some((session, binding)) = gate.control.session(token).await? else { return Ok(None) };
    let Some(role) = Role::named(&binding.role) else { return Ok(None) };
    let member = binding.user.map(|user| Member { user, key: None });
    // Only a member has a user, and every member has one.
    if member.is_some() != (role == Role::Member) {
        return Ok(None);
    }
    let actor = format!("sso:{}", session.email);
    Ok(Some(Principal { actor, role, member, session: Some(session.id) }))
}

/// Where browsers find the gateway.
fn base(gate: &Gate, call: &Call) -> Option<String> {
    let config = gate.aws().config();
    config.public_url.clone().or_else(|| call.base().map(str::to_owned))
}

/// Whether a request is of the console's own page, as the browser says: by a header that no other
/// site's page can send, by the origin, which every change carries, and by what fetches it.
fn is_own(call: &Call, base: &str) -> bool {
    let origin = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let is_origin = match call.header(ORIGIN) {
        Some(given) => given == origin,
        None => call.method() == "GET",
    };
    let is_same_site = call.header("sec-fetch-site").is_none_or(|site| site == "same-origin");
    call.header(OWN_HEADER) == Some("1") && is_origin && is_same_site
}

/// `GET /admin/console/session`: what the console begins with. It refuses nobody.
async fn session(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let session: Option<Session> = match principal(gate, call).await? {
        Some(who) => Some(admins::session_of(gate, &who).await?),
        None => None,
    };
    Answer::ok(&ConsoleSession { single_sign_on: gate.sign_on.is_some(), session })
}

/// `GET /admin/console/sign-in?back=`: to the provider.
async fn begin(
    gate: &Gate,
    call: &Call,
    provider: &Provider,
    base: &str,
) -> Result<Answer, Refusal> {
    let random = || URL_SAFE_NO_PAD.encode(random_bytes::<32>());
    let (state, nonce, verifier) = (random(), random(), random());
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let redirect_uri = redirect_uri(base);
    let (state_sent, nonce_sent) = (state.as_str(), nonce.as_str());
    let question = Question {
        state: state_sent,
        nonce: nonce_sent,
        challenge: &challenge,
        redirect_uri: &redirect_uri,
    };
    let page = provider.sign_in_page(&question).await?;
    let back = call.query("back").filter(|back| is_place(back)).unwrap_or_default().to_owned();
    let begun = Begun { at_s: gate.aws().now().seconds(), state, nonce, verifier, back };
    let plain = serde_json::to_vec(&begun).map_err(Error::internal)?;
    let sealer = Sealer::new(&gate.control.directory().pepper().await?);
    let sealed = sealer.seal(SEALED, &place(gate, base), &plain)?;
    let cookie = cookies::set(base, cookies::SIGN_IN, &sealed, SIGN_IN_S);
    Ok(Answer::moved(page).with_header(SET_COOKIE, cookie))
}

/// `GET /admin/console/callback?code=&state=`: back from the provider.
async fn finish(
    gate: &Gate,
    call: &Call,
    provider: &Provider,
    base: &str,
    rid: Rid,
) -> Result<Answer, Refusal> {
    let begun = begun(gate, call, base).await?;
    if let Some(error) = call.query("error") {
        return Err(turned_away(error).into());
    }
    let none = || provider::refused("the provider sends no code");
    let redirect_uri = redirect_uri(base);
    let back = Return {
        code: call.query("code").ok_or_else(none)?,
        issuer: call.query("iss"),
        verifier: &Secret::new(begun.verifier),
        nonce: &begun.nonce,
        redirect_uri: &redirect_uri,
    };
    let person = provider.person(&back).await?;
    let binding = binding_of(gate, provider, &person).await?;
    let token = open(gate, provider, &person, &binding, &begun.state, rid).await?;
    let place = if begun.back.is_empty() { String::new() } else { format!("#{}", begun.back) };
    Ok(Answer::moved(format!("{base}{}{place}", console::PATH))
        .with_header(SET_COOKIE, cookies::set(base, cookies::SIGN_IN, "", 0))
        .with_header(SET_COOKIE, cookies::set(base, cookies::SESSION, token.expose(), LIFETIME_S)))
}

/// `POST /admin/console/sign-out`: ends the session, and is as good where there is none. Then it
/// says where the provider ends its own.
async fn end(
    gate: &Gate,
    call: &Call,
    provider: &Provider,
    base: &str,
    rid: Rid,
) -> Result<Answer, Refusal> {
    if !is_own(call, base) {
        return Err(Error::AdminForbidden.into());
    }
    let gone = |next| {
        let cookie = cookies::set(base, cookies::SESSION, "", 0);
        Ok(Answer::ok(&SignedOut { next })?.with_header(SET_COOKIE, cookie))
    };
    let Some(who) = principal(gate, call).await? else { return gone(None) };
    let Some(id) = &who.session else { return gone(None) };
    let target = format!("{}/{id}", sso::SESSIONS);
    let trail = trail(gate, rid, &who.actor, who.role, ("SIGN-OUT", &target));
    let ended = gate.on_trail(trail.clone()).control.end_session(id, Expected::Any).await;
    let status = if ended.is_ok() { 200 } else { 503 };
    trail.end(&gate.control, End { status, after: Value::Null }).await;
    ended?;
    gone(provider.sign_out_page(&format!("{base}{}", console::PATH)).await)
}

/// The sign-in that this browser has begun, if the provider's answer is to that.
async fn begun(gate: &Gate, call: &Call, base: &str) -> Result<Begun, Refusal> {
    let other = |cause| Error::SignInRefused {
        rule: "The sign-in took longer than ten minutes, or was begun in another browser or \
               window. Begin again from the console."
            .to_owned(),
        cause,
    };
    let sealed = cookies::read(call, base, cookies::SIGN_IN);
    let sealed = sealed.ok_or_else(|| other("no sign-in was begun here"))?;
    let sealer = Sealer::new(&gate.control.directory().pepper().await?);
    let plain = sealer.open(SEALED, &place(gate, base), sealed);
    let plain = plain.map_err(|_| other("the sign-in's cookie does not open"))?;
    let begun: Begun = serde_json::from_slice(&plain).map_err(Error::internal)?;
    let age_s = gate.aws().now().seconds().saturating_sub(begun.at_s);
    if !(0..SIGN_IN_S).contains(&age_s) {
        return Err(other("the sign-in is too old").into());
    }
    if call.query("state") != Some(&begun.state) {
        return Err(other("the state is of another sign-in").into());
    }
    Ok(begun)
}

/// The role of a person: that of its verified address, else of its identifier at this provider,
/// else the strongest of its groups'.
async fn binding_of(
    gate: &Gate,
    provider: &Provider,
    person: &Person,
) -> Result<BindingRow, Refusal> {
    if let Some(address) = &person.email
        && let Some(row) = gate.control.binding(&format!("email:{address}")).await?
    {
        return Ok(row);
    }
    let own = format!("sub:{}", person.subject);
    // An identifier is somebody else's at another provider.
    let is_its = |row: &BindingRow| row.issuer.as_deref() == Some(provider.issuer());
    if is_plain(&person.subject)
        && let Some(row) = gate.control.binding(&own).await?.filter(is_its)
    {
        return Ok(row);
    }
    let own = person.email.as_ref().map_or(own, |address| format!("email:{address}"));
    if person.groups.len() > GROUPS_MAX {
        let rule = format!(
            "Your provider names more than {GROUPS_MAX} groups of yours. Ask an owner to give \
             {} itself a role, or to let the provider send fewer groups.",
            person.name()
        );
        return Err(Error::SignInRefused { rule, cause: "too many groups" }.into());
    }
    let groups = person.groups.iter().filter_map(|group| sso::group(group));
    let mut subjects: Vec<String> = groups.collect();
    subjects.sort();
    subjects.dedup();
    let rows = gate.control.bindings_of(&subjects).await?;
    let strongest = rows.into_iter().min_by(|a, b| {
        let rank = |row: &BindingRow| Role::named(&row.role).map_or(usize::MAX, Role::rank);
        (rank(a), &a.subject).cmp(&(rank(b), &b.subject))
    });
    let rule = || {
        format!(
            "{} has no role here. Ask an owner to give it one, or one of its groups: \
             farebox sso set {own} --role ROLE.",
            person.name()
        )
    };
    let nobody = || Error::SignInRefused { rule: rule(), cause: "no role" };
    Ok(strongest.ok_or_else(nobody)?)
}

/// Opens the session and tells the audit; gives its token.
async fn open(
    gate: &Gate,
    provider: &Provider,
    person: &Person,
    binding: &BindingRow,
    state: &str,
    rid: Rid,
) -> Result<Secret, Refusal> {
    let broken = || Error::internal("a role that is none");
    let role = Role::named(&binding.role).ok_or_else(broken)?;
    let name = person.name();
    let actor = format!("sso:{name}");
    let trail = trail(gate, rid, &actor, role, ("SIGN-IN", sso::SESSIONS));
    let signed_in =
        SignedIn { issuer: provider.issuer(), subject: &person.subject, email: &name, state };
    let gate_on_trail = gate.on_trail(trail.clone());
    let outcome = gate_on_trail.control.begin_session(&signed_in, binding).await;
    let (status, after) = match &outcome {
        Ok(Some((_, row))) => (200, sso::session(row, gate.aws().now())),
        Ok(None) => (403, Value::Null),
        Err(_) => (503, Value::Null),
    };
    trail.end(&gate.control, End { status, after }).await;
    let (token, _) = outcome?.ok_or_else(|| provider::refused("the sign-in is used"))?;
    Ok(token)
}

fn trail(gate: &Gate, id: Rid, actor: &str, role: Role, (action, target): (&str, &str)) -> Trail {
    let entry = Entry {
        id,
        actor: actor.to_owned(),
        role: role.name(),
        action: action.to_owned(),
        target: target.to_owned(),
        before: Value::Null,
    };
    Trail::new(gate.aws(), entry)
}

/// The provider's own refusal (RFC 6749, section 4.1.2.1), where it is a word.
fn turned_away(error: &str) -> Error {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let is_code = error.len() <= 64 && error.bytes().all(is_word);
    let code = if is_code { format!(" ({error})") } else { String::new() };
    let rule = format!("Your provider let you not in{code}. Sign in again, or ask who runs it.");
    Error::SignInRefused { rule, cause: "the provider refused" }
}

fn redirect_uri(base: &str) -> String {
    format!("{base}/admin/console/callback")
}

/// What a sealed sign-in is for: this deployment at this address.
fn place(gate: &Gate, base: &str) -> String {
    let config = gate.aws().config();
    format!("{}/{}/{base}", config.tenant, config.stage)
}

/// A place in the console, such as `budgets?kind=user`: it follows a `#`, so it leads nowhere
/// else, and it has no character that could end an address.
fn is_place(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%?=&:+".contains(&byte);
    text.len() <= BACK_BYTES_MAX && text.bytes().all(is_plain)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_consoles_own_page_is_believed() {
        let base = "https://llm.example.com/prod";
        let own = |method| Call::of(method, "/", "").with_header(OWN_HEADER, "1");
        let from = |method, origin: &str| own(method).with_header("origin", origin);

        assert!(is_own(&own("GET"), base));
        assert!(is_own(&from("POST", "https://llm.example.com"), base));
        assert!(!is_own(&Call::of("GET", "/", ""), base));
        for method in ["POST", "PUT", "DELETE"] {
            assert!(!is_own(&own(method), base), "{method} without an origin");
        }
        for origin in
            ["null", "https://evil.example", "http://llm.example.com", "https://llm.example.com:1"]
        {
            assert!(!is_own(&from("POST", origin), base), "{origin}");
            assert!(!is_own(&from("GET", origin), base), "{origin}");
        }
        for site in ["cross-site", "same-site", "none"] {
            assert!(!is_own(&own("GET").with_header("sec-fetch-site", site), base), "{site}");
        }
        assert!(is_own(&own("GET").with_header("sec-fetch-site", "same-origin"), base));
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert!(is_place("budgets?kind=user&cursor=a%3Ab"));
        for other in ["//evil.example", "https://evil.example", "a b", "a\r\nb", "a#b", "<x>", "\\"]
        {
            assert!(!is_place(other), "{other:?}");
        }
        assert!(!is_place(&"a".repeat(BACK_BYTES_MAX + 1)));
    }

    #[test]
    fn a_page_never_takes_text_for_markup() {
        assert_eq!(escaped("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
        let told = |error| turned_away(error).to_string();
        assert!(told("access_denied").contains("(access_denied)"));
        assert!(!told("<script>").contains("script"));
    }
}
