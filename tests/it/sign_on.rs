//! Single sign-on of the console, against a provider that signs really, and one that lies.

use farebox_core::Timestamp;
use farebox_tests::oidc::{CLIENT, Signature, Typed};
use farebox_tests::{Browser, Call, Moved, Oidc, Settings, Stack, fresh, run};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::stacks::executable;

const SESSION: &str = "/admin/console/session";

/// A stack with a provider, for tests whose own addresses are isolation enough.
async fn signed_on() -> &'static (Stack, Oidc) {
    static SHARED: OnceCell<(Stack, Oidc)> = OnceCell::const_new();
    SHARED.get_or_init(|| async { start(None).await }).await
}

/// A stack of its own, and a provider whose client has this secret.
async fn start(secret: Option<&str>) -> (Stack, Oidc) {
    let provider = Oidc::start(secret, json!({})).await;
    let mut variables = provider.variables();
    if secret.is_some() {
        variables.push(("FAREBOX_OIDC_CLIENT_SECRET", "farebox/local/oidc"));
    }
    let settings = Settings { variables, environments: 2, ..Settings::default() };
    (Stack::start(executable(), &settings).await, provider)
}

fn address() -> String {
    fresh("ann") + "@example.com"
}

/// A browser of somebody with this role, who has signed in.
async fn signed_in(stack: &Stack, email: &str, role: &Value) -> Browser {
    stack.put(&format!("/sso/email:{email}"), role).await;
    let mut browser = Browser::new(stack);
    browser.sign_in(&Typed::email(email)).await.expect(303);
    browser
}

async fn session(browser: &mut Browser) -> Value {
    browser.ask(Method::GET, SESSION, None).await.expect(200).json()
}

#[test]
fn each_role_signs_in_and_may_what_it_may() {
    run(async {
        let (stack, _) = signed_on().await;
        let (user, group) = (fresh("u"), fresh("g"));
        stack.add_user(&user).await;
        stack.put(&format!("/sso/group:{group}-ops"), &json!({"role": "admin"})).await;
        stack.put(&format!("/sso/group:{group}-all"), &json!({"role": "auditor"})).await;
        let of_groups = |groups: Value| Typed::email(&address()).with("groups", groups);
        let in_both = json!([format!("{group}-all"), "unknown", format!("{group}-ops")]);
        let by_address = |role: Value| async move {
            let email = address();
            stack.put(&format!("/sso/email:{email}"), &role).await;
            Typed::email(&email.to_uppercase().replace("EXAMPLE", "Example"))
        };
        let change = format!("/admin/v1/users/{}", fresh("u"));
        for (role, typed, looks, changes) in [
            ("owner", by_address(json!({"role": "owner"})).await, 200, 200),
            ("admin", of_groups(in_both).signed(Signature::Ec), 200, 200),
            ("auditor", of_groups(json!(format!("{group}-all"))), 200, 403),
            ("member", by_address(json!({"role": "member", "user": user})).await, 403, 403),
        ] {
            let mut browser = Browser::new(stack);
            assert_eq!(session(&mut browser).await["session"], Value::Null);
            let place = browser.go_and_type("budgets%3Fkind%3Duser", &typed).await;

            let back = browser.open(&place).await.expect(303);

            let console = stack.url("/admin/console#budgets?kind=user");
            assert_eq!(back.header("location"), Some(console.as_str()));
            let found = session(&mut browser).await;
            let email = typed.claims["email"].as_str().unwrap().to_lowercase();
            assert_eq!(found["single_sign_on"], true);
            assert_eq!(found["session"]["actor"], format!("sso:{email}"), "{role}");
            assert_eq!(found["session"]["role"], role);
            let looked = browser.ask(Method::GET, "/admin/v1/users", None).await;
            assert_eq!(looked.code(), looks, "{role}");
            let changed = browser.ask(Method::PUT, &change, Some(&json!({"name": role}))).await;
            assert_eq!(changed.code(), changes, "{role}: {}", changed.text());
            let own = browser.ask(Method::GET, "/admin/v1/me", None).await;
            assert_eq!(own.code(), if role == "member" { 200 } else { 403 });
            let told = stack.read(&format!("/audit?actor=sso:{email}")).await;
            let told = told["entries"].as_array().unwrap();
            let actions: Vec<_> = told.iter().map(|one| one["action"].as_str().unwrap()).collect();
            let expected: &[_] = if changes == 200 { &["PUT", "SIGN-IN"] } else { &["SIGN-IN"] };
            assert_eq!(actions, expected, "{role}");
        }
    });
}

#[test]
fn a_member_who_has_signed_in_has_its_own_and_nothing_else() {
    run(async {
        let (stack, _) = signed_on().await;
        let (user, other) = (fresh("u"), fresh("u"));
        let own = json!({"self_service": {"keys": 1}});
        stack.put(&format!("/users/{user}"), &own).await;
        stack.add_user(&other).await;
        let (others_key, _) = stack.add_key(&other, &json!({})).await;
        stack.set_budget(&format!("user:{user}"), &json!({"month_limit_usd": "7"})).await;
        let email = address();
        let role = json!({"role": "member", "user": user});
        let mut browser = signed_in(stack, &email, &role).await;

        let me = browser.ask(Method::GET, "/admin/v1/me", None).await.expect(200).json();
        assert_eq!((&me["user"], &me["key_id"]), (&json!(user), &Value::Null));
        let budgets = browser.ask(Method::GET, "/admin/v1/me/budgets", None).await.json();
        assert_eq!(budgets["budgets"][0]["id"], user.as_str(), "{budgets}");
        let new = json!({"name": "laptop"});
        let made = browser.ask(Method::POST, "/admin/v1/me/keys", Some(&new)).await.expect(201);
        assert_eq!(made.json()["user"], user.as_str());
        let path = format!("/admin/v1/me/keys/{others_key}");
        browser.ask(Method::DELETE, &path, None).await.expect(404);
        for path in ["users", "keys", "requests", "sso", "audit"] {
            let refused = browser.ask(Method::GET, &format!("/admin/v1/{path}"), None).await;
            assert_eq!(refused.code(), 403, "{path}");
        }
    });
}

#[test]
fn a_token_that_is_not_as_it_must_be_signs_nobody_in() {
    run(async {
        let (stack, provider) = signed_on().await;
        let email = address();
        stack.put(&format!("/sso/email:{email}"), &json!({"role": "owner"})).await;
        let typed = || Typed::email(&email);
        let mut late = typed();
        late.clock_s = -3_600;
        let mut early = typed();
        early.clock_s = 3_600;
        for (what, typed) in [
            ("another nonce", typed().with("nonce", json!("x"))),
            ("no nonce", typed().with("nonce", Value::Null)),
            ("another audience", typed().with("aud", json!("other"))),
            ("two audiences", typed().with("aud", json!([CLIENT, "other"]))),
            ("another party", typed().with("azp", json!("other"))),
            ("another issuer", typed().with("iss", json!("https://evil.example"))),
            ("a longer issuer", typed().with("iss", json!(format!("{}/", provider.issuer())))),
            ("expired", late),
            ("of the future", early),
            ("no end", typed().with("exp", Value::Null)),
            ("no signature", typed().signed(Signature::Nothing)),
            ("signed with the public key", typed().signed(Signature::PublicKey)),
            ("an unknown key", typed().signed(Signature::UnknownKey)),
            ("a stranger's key", typed().signed(Signature::StrangersKey)),
            ("an address that is not verified", typed().with("email_verified", json!(false))),
            ("an address nobody verifies", typed().with("email_verified", Value::Null)),
            ("no address", typed().with("email", Value::Null)),
        ] {
            let mut browser = Browser::new(stack);
            let refused = browser.sign_in(&typed).await;
            assert_eq!(refused.code(), 403, "{what}");
            let page = refused.text();
            assert!(page.contains("<h1>Not signed in</h1>"), "{what}: {page}");
            assert!(refused.header("content-security-policy").is_some());
            assert_eq!(session(&mut browser).await["session"], Value::Null, "{what}");
        }
        Browser::new(stack).sign_in(&typed()).await.expect(303);
    });
}

#[test]
fn who_has_no_verified_address_signs_in_by_its_identifier_and_by_no_address() {
    run(async {
        let (stack, _) = signed_on().await;
        let (email, id) = (address(), format!("auth0|{}", fresh("p")));
        // The address has a role, which nobody gets who only says that it is his.
        stack.put(&format!("/sso/email:{email}"), &json!({"role": "owner"})).await;
        for unverified in [json!(false), Value::Null] {
            let typed = || {
                Typed::email(&email)
                    .with("sub", json!(id))
                    .with("email_verified", unverified.clone())
            };
            let refused = Browser::new(stack).sign_in(&typed()).await.expect(403).text();
            assert!(refused.contains(&format!("farebox sso set sub:{id}")), "{refused}");

            let path = format!("/sso/sub:{}", id.replace('|', "%7C"));
            stack.put(&path, &json!({"role": "auditor"})).await;
            let mut browser = Browser::new(stack);
            browser.sign_in(&typed()).await.expect(303);
            let found = session(&mut browser).await["session"].clone();
            assert_eq!(found["role"], "auditor");
            assert_eq!(found["actor"], format!("sso:sub:{id}"));

            stack.admin(Method::DELETE, &path).send().await.expect(204);
            assert_eq!(session(&mut browser).await["session"], Value::Null);
        }
    });
}

#[test]
fn an_identifier_is_nobodys_at_another_provider() {
    run(async {
        let (stack, _) = signed_on().await;
        let id = fresh("p");
        let typed = || Typed::email(&address()).with("sub", json!(id));
        stack.put(&format!("/sso/sub:{id}"), &json!({"role": "owner"})).await;
        Browser::new(stack).sign_in(&typed()).await.expect(303);
        // The role was given when the deployment had another provider.
        let key = json!({"pk": {"S": "E#main"}, "sk": {"S": format!("sso:sub:{id}")}});
        let moved = json!({
            "TableName": "farebox-main", "Key": key, "UpdateExpression": "SET iss = :other",
            "ConditionExpression": "attribute_exists(iss)",
            "ExpressionAttributeValues": {":other": {"S": "https://other.example"}},
        });
        stack.dynamodb("UpdateItem", &moved).await;

        let mut browser = Browser::new(stack);
        let refused = browser.sign_in(&typed()).await.expect(403).text();

        assert!(refused.contains("has no role here"), "{refused}");
        assert_eq!(session(&mut browser).await["session"], Value::Null);
    });
}

#[test]
fn to_sign_in_gives_nobody_a_role() {
    run(async {
        let (stack, _) = signed_on().await;
        let email = format!("<{}", address());
        let plain = address();
        for (typed, told) in [
            (Typed::email(&plain), format!("{plain} has no role here")),
            (Typed::email(&email), "address is verified".to_owned()),
            (Typed::email(&plain).with("groups", json!(vec!["g"; 101])), "100 groups".to_owned()),
        ] {
            let mut browser = Browser::new(stack);
            let refused = browser.sign_in(&typed).await.expect(403).text();
            assert!(refused.contains(&told) && !refused.contains("<an"), "{refused}");
            assert_eq!(session(&mut browser).await["session"], Value::Null);
        }
    });
}

#[test]
fn a_way_back_is_gone_once_and_by_the_browser_that_began() {
    run(async {
        let (stack, _) = signed_on().await;
        let email = address();
        stack.put(&format!("/sso/email:{email}"), &json!({"role": "owner"})).await;
        let typed = Typed::email(&email);
        let mut ann = Browser::new(stack);
        let place = ann.go_and_type("", &typed).await;
        let eve_place = Browser::new(stack).go_and_type("", &typed).await;
        let state = |place: &str| {
            let query = place.split_once('?').unwrap().1.split('&');
            query.filter_map(|pair| pair.strip_prefix("state=")).next().unwrap().to_owned()
        };

        // Another browser has not begun it, and hers has not begun another's.
        Browser::new(stack).open(&place).await.expect(403);
        ann.open(&eve_place).await.expect(403);
        ann.open(&place.replace(&state(&place), "")).await.expect(403);
        let swapped = eve_place.replace(&state(&eve_place), &state(&place));
        ann.open(&swapped).await.expect(403);
        let begun = ann.clone();
        // The answer of another provider, and of one that does not say who it is.
        for other in ["iss=https%3A%2F%2Fevil.example", ""] {
            let at = place.find("iss=").unwrap();
            begun.clone().open(&format!("{}{other}", &place[..at])).await.expect(403);
        }
        let denied = format!("/admin/console/callback?error=access_denied&state={}", state(&place));
        let denied = begun.clone().open(&denied).await.expect(403);
        assert!(denied.text().contains("access_denied"));

        ann.open(&place).await.expect(303);
        begun.clone().open(&place).await.expect(403);
        ann.open(&place).await.expect(403);
        assert_eq!(session(&mut ann).await["session"]["role"], "owner");
    });
}

#[test]
fn a_state_makes_one_session_even_where_the_provider_takes_a_code_twice() {
    run(async {
        let (stack, _) = signed_on().await;
        let email = address();
        stack.put(&format!("/sso/email:{email}"), &json!({"role": "owner"})).await;
        let mut ann = Browser::new(stack);
        let typed = Typed::email(&email);
        let begun = ann.open("/admin/console/sign-in").await.expect(303);
        let page = begun.header("location").unwrap().to_owned();
        let typed = serde_json::to_string(&typed).unwrap();
        let typed: String = form_urlencoded::byte_serialize(typed.as_bytes()).collect();
        let code = async || {
            let answer = Call::get(format!("{page}&typed={typed}")).send().await.expect(302);
            let place = answer.header("location").unwrap().to_owned();
            place[place.find("/admin").unwrap()..].to_owned()
        };
        let (first, second) = (code().await, code().await);
        let mut again = ann.clone();

        ann.open(&first).await.expect(303);

        // Another code of the same question: the provider is content, the state is used.
        again.open(&second).await.expect(403);
        ann.ask(Method::POST, "/admin/console/sign-out", None).await.expect(200);
        again.open(&code().await).await.expect(403);
    });
}

#[test]
fn a_session_ends_by_sign_out_by_an_owner_and_with_its_role() {
    run(async {
        let (stack, provider) = signed_on().await;
        let email = address();
        let role = json!({"role": "admin"});
        let gone = async |browser: &mut Browser| {
            assert_eq!(session(browser).await["session"], Value::Null);
            browser.ask(Method::GET, "/admin/v1/users", None).await.expect(403);
        };

        let mut ann = signed_in(stack, &email, &role).await;
        let mut copy = ann.clone();
        let out = ann.ask(Method::POST, "/admin/console/sign-out", None).await.expect(200);
        assert!(ann.cookies.is_empty(), "{:?}", ann.cookies);
        gone(&mut copy).await;
        // The provider's page ends the sign-in there, and leads back.
        let page = out.json()["next"].as_str().unwrap().to_owned();
        assert!(page.starts_with(&format!("{}/end-session?", provider.issuer())), "{page}");
        let back = Call::get(page).send().await.expect(302);
        assert_eq!(back.header("location"), Some(stack.url("/admin/console").as_str()));
        let again = copy.ask(Method::POST, "/admin/console/sign-out", None).await.expect(200);
        assert_eq!(again.json()["next"], Value::Null, "nobody was signed in");

        let mut ann = signed_in(stack, &email, &role).await;
        let (id, token) = ann.cookies["farebox-session"].split_once('.').unwrap();
        let shown = stack.read(&format!("/sso-sessions/{id}")).await;
        assert_eq!((&shown["email"], &shown["state"]), (&json!(email), &json!("active")));
        assert!(!shown.to_string().contains(token));
        let path = format!("/sso-sessions/{id}");
        let end = stack.admin(Method::DELETE, &path).with("if-match", "*").send().await;
        assert_eq!(end.expect(200).json()["state"], "ended");
        gone(&mut ann).await;

        for change in [json!({"role": "auditor"}), Value::Null] {
            let mut ann = signed_in(stack, &email, &role).await;
            let path = format!("/sso/email:{email}");
            if change.is_null() {
                let end = stack.admin(Method::DELETE, &path).with("if-match", "*").send();
                end.await.expect(204);
            } else {
                stack.put(&path, &change).await;
            }
            gone(&mut ann).await;
        }
    });
}

#[test]
fn nobody_elses_page_acts_for_who_has_signed_in() {
    run(async {
        let (stack, _) = signed_on().await;
        let ann = signed_in(stack, &address(), &json!({"role": "owner"})).await;
        let user = format!("/admin/v1/users/{}", fresh("u"));
        let change = || ann.request(&Method::PUT, &user, Some(&json!({})));
        for (what, call) in [
            ("a form has no header", change().without("x-farebox-console")),
            ("another origin", change().with("origin", "https://evil.example")),
            ("a sandbox", change().with("origin", "null")),
            ("no origin", change().without("origin")),
            ("another site", change().with("sec-fetch-site", "cross-site")),
            ("another port", change().with("sec-fetch-site", "same-site")),
            ("a wrong key beside it", change().bearer("sk-fba-wrong")),
        ] {
            assert_eq!(call.send().await.code(), 403, "{what}");
        }
        let out = ann.request(&Method::POST, "/admin/console/sign-out", None);
        out.with("origin", "https://evil.example").send().await.expect(403);
        let look = ann.request(&Method::GET, "/admin/v1/users", None);
        look.without("x-farebox-console").send().await.expect(403);
        let preflight = Call::new(Method::OPTIONS, stack.url(&user))
            .with("origin", "https://evil.example")
            .with("access-control-request-headers", "x-farebox-console");
        let preflight = preflight.send().await;
        assert_eq!(preflight.header("access-control-allow-origin"), None);
        change().send().await.expect(200);
    });
}

#[test]
fn nobody_is_sent_to_another_site() {
    run(async {
        let (stack, _) = signed_on().await;
        let email = address();
        stack.put(&format!("/sso/email:{email}"), &json!({"role": "owner"})).await;
        for back in
            ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%0d%0aset-cookie%3Aa", "%5C"]
        {
            let mut browser = Browser::new(stack);
            let place = browser.go_and_type(back, &Typed::email(&email)).await;
            let answer = browser.open(&place).await.expect(303);
            assert_eq!(answer.header("location"), Some(stack.url("/admin/console").as_str()));
        }
    });
}

#[test]
fn a_session_is_of_one_deployment_and_a_client_may_have_a_secret() {
    run(async {
        let secret = "shh +&=%: s";
        let (other, _) = start(Some(secret)).await;
        let (stack, _) = signed_on().await;
        let email = address();
        let failed = async |browser: &mut Browser| {
            let answer = browser.sign_in(&Typed::email(&email)).await;
            answer.expect(502).text()
        };
        let page = failed(&mut Browser::new(&other)).await;
        assert!(page.contains("sign-in service"), "{page}");
        let create = json!({"Name": "farebox/local/oidc", "SecretString": secret});
        let create = Call::post(other.ready().url("services_url"), &create)
            .with("x-amz-target", "secretsmanager.CreateSecret");
        create.send().await.expect(200);

        let there = signed_in(&other, &email, &json!({"role": "owner"})).await;
        let mut here = Browser::new(stack);
        here.cookies.clone_from(&there.cookies);

        assert_eq!(session(&mut here).await["session"], Value::Null);
        let token = there.cookies["farebox-session"].split_once('.').unwrap().1;
        let log = other.log();
        assert!(!log.contains(token) && !log.contains("shh"), "a secret is in the log");
    });
}

#[test]
fn a_session_ends_when_it_is_idle_and_after_a_working_day() {
    run(async {
        let provider = Oidc::start(None, json!({})).await;
        let settings =
            Settings { variables: provider.variables(), environments: 1, ..Settings::default() };
        let start = Timestamp::parse("2031-03-03T08:00:00Z").unwrap();
        let at = |minutes: i64| start.plus_ms(minutes * 60_000).to_string();
        let clock = Moved::start_with(executable(), settings, &at(0)).await;
        let stack = &clock.stack;
        let email = address();
        stack.put(&format!("/sso/email:{email}"), &json!({"role": "owner"})).await;
        let mut typed = Typed::email(&email);
        typed.clock_s = start.seconds() - farebox_aws::Clock::machine_now().seconds();
        let signed_in = async || {
            let mut browser = Browser::new(stack);
            browser.sign_in(&typed).await.expect(303);
            browser
        };
        let is_in = async |browser: &mut Browser| !session(browser).await["session"].is_null();

        let (mut idle, mut busy) = (signed_in().await, signed_in().await);
        for minutes in (50..720).step_by(50) {
            clock.to(&at(minutes));
            assert!(is_in(&mut busy).await, "{minutes}");
        }
        assert!(!is_in(&mut idle).await, "idle for eleven hours");
        clock.to(&at(721));
        assert!(!is_in(&mut busy).await, "twelve hours old");
    });
}

#[test]
fn without_a_provider_there_is_a_key_alone() {
    run(async {
        let stack = crate::stacks::shared().await;
        let mut browser = Browser::new(stack);

        assert_eq!(session(&mut browser).await, json!({"single_sign_on": false, "session": null}));
        for path in ["sign-in", "callback?code=a&state=b"] {
            browser.open(&format!("/admin/console/{path}")).await.expect(403);
        }
    });
}
