//! A deployment with everybody in it, and for each route a request that would do it.

use std::collections::BTreeMap;

use farebox_aws::Contents;
use farebox_aws::control::{Control, Entry, SignedIn, Trail};
use farebox_aws::expression::Store;
use farebox_core::{Money, Outcome, Rid, Timestamp};
use farebox_ledger::alert::{Fault, Notice};
use farebox_ledger::update::{quarantine_key, quarantine_put};
use serde_json::{Value, json};

use crate::own::{log, record};
use crate::prices::{discount, list};
use crate::roles::Cast;
use crate::world::{By, ISSUER, Reply};

/// A call that was never made.
const NO_CALL: &str = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F";
/// The content of a call.
const KEPT: &[u8] = br#"{"endpoint":"chat","request":{},"answer":[],"error":null}"#;
const ARN: &str = "arn:aws:iam::111122223333";

/// What a route is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    There,
    Others,
    Absent,
}

/// A request that would do it.
#[derive(Clone)]
pub struct Ask {
    pub path: String,
    pub body: Value,
    /// What stands for the thing in the path or body.
    pub name: String,
}

/// A deployment with everybody in it.
pub struct Stage {
    pub cast: Cast,
    control: Control,
    /// The tokens of the sessions by role.
    sessions: BTreeMap<char, String>,
    count: u32,
}

/// The roles by their letters.
pub const ROLES: [(char, &str); 4] =
    [('o', "owner"), ('a', "admin"), ('d', "auditor"), ('m', "member")];

impl Stage {
    pub async fn new() -> Self {
        let cast = Cast::new().await;
        let control = Control::new(cast.world.gate.aws());
        let mut stage = Self { cast, control, sessions: BTreeMap::new(), count: 0 };
        let allowed = json!({"self_service": {"keys": 50, "credentials": true}});
        stage.root("PUT", "users/u1", allowed).await;
        stage.root("PUT", "webhook", json!({"url": "https://a.example/"})).await;
        for scope in ["user:u1", "user:u2"] {
            let limits = json!({"month_limit_usd": "1000"});
            stage.root("PUT", &format!("budgets/{scope}"), limits).await;
        }
        for (letter, role) in ROLES {
            let user = if letter == 'm' { json!("u1") } else { Value::Null };
            let mut binding = json!({"role": role});
            if letter == 'm' {
                binding["user"] = user;
            }
            let subject = format!("email:{role}@example.com");
            stage.root("PUT", &format!("sso/{subject}"), binding).await;
            let token = stage.session(&subject).await.0;
            stage.sessions.insert(letter, token);
        }
        stage
    }

    /// Somebody signs in: the token and the identity of the session.
    async fn session(&mut self, subject: &str) -> (String, String) {
        let binding = self.control.binding(subject).await.unwrap().unwrap();
        let state = self.fresh("state");
        let email = "someone@example.com";
        let person = SignedIn { issuer: ISSUER, subject: "1", email, state: &state };
        let aws = self.cast.world.gate.aws();
        let entry = Entry {
            id: aws.new_rid(),
            actor: format!("sso:{email}"),
            role: "auditor",
            action: "SIGN-IN".to_owned(),
            target: "/admin/v1/sso-sessions".to_owned(),
            before: Value::Null,
        };
        let control = self.control.on_trail(Trail::new(aws, entry));
        let (token, row) = control.begin_session(&person, &binding).await.unwrap().unwrap();
        (token.expose().to_owned(), row.id.to_string())
    }

    fn fresh(&mut self, name: &str) -> String {
        self.count += 1;
        format!("{name}{}", self.count)
    }

    /// Makes what a request is about.
    async fn root(&self, method: &str, path: &str, body: Value) -> Value {
        let reply = self.cast.world.ask(method, &format!("/admin/v1/{path}"), body).await;
        assert!(reply.status < 300, "{method} {path}: {}", reply.body);
        reply.body
    }

    /// Takes something away, if it is there.
    async fn clear(&self, path: &str) {
        self.cast.world.ask("DELETE", &format!("/admin/v1/{path}"), Value::Null).await;
    }

    /// A request for budget of the first or the second member.
    async fn budget_request(&self, member: usize) -> String {
        let user = ["u1", "u2"][member];
        let open = format!("budget-requests?user={user}&state=open");
        let open = self.root("GET", &open, Value::Null).await;
        for one in open["budget_requests"].as_array().unwrap() {
            let path = format!("budget-requests/{user}/{}", one["id"].as_str().unwrap());
            self.root("PUT", &path, json!({"state": "denied"})).await;
        }
        let (path, body) = ("/admin/v1/me/budget-requests", asked());
        let made = self.cast.world.ask_as(&self.cast.members[member].1, "POST", path, body).await;
        made.body["id"].as_str().unwrap().to_owned()
    }

    async fn call_of(&self, member: usize) -> String {
        let (user, key) = (["u1", "u2"][member], &self.cast.members[member].0);
        let scope = format!("user:{user}");
        let id = log(&self.cast.world, user, key, Outcome::Settled, &scope).await;
        let pepper = self.control.directory().pepper().await.unwrap();
        let (contents, user) = (Contents::new(self.cast.world.gate.aws()), user.parse().unwrap());
        contents.keep(&user, id, 1, KEPT, &pepper).await.unwrap();
        id.to_string()
    }

    async fn key_of(&self, user: &str) -> String {
        let made = self.root("POST", "keys", json!({"user": user, "name": "n"})).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// The thing that a route is asked about, made where it must be there.
    async fn name(&mut self, method: &str, path: &str, thing: Thing) -> String {
        let is_there = thing == Thing::There;
        let member = usize::from(thing == Thing::Others);
        let is_made = thing != Thing::Absent;
        let mut nouns = path.split('/').skip(3);
        let (first, second) = (nouns.next().unwrap(), nouns.next());
        let kind = if first == "me" { second.unwrap_or(first) } else { first };
        match kind {
            "users" | "orgs" | "teams" => {
                let id = self.fresh("x");
                if is_there {
                    self.root("PUT", &format!("{kind}/{id}"), json!({})).await;
                }
                id
            }
            "keys" if path.contains("{id}") => {
                let user = ["u1", "u2"][member];
                if is_made { self.key_of(user).await } else { "0000000000".to_owned() }
            }
            "credentials" if first == "me" => self.own_credential(method, path, thing).await,
            "credentials" => self.credential(path, is_there).await,
            "prices" | "discounts" | "quarantine" | "models" | "catalogue" | "routes" => {
                self.priced(kind, is_there).await
            }
            "admin-keys" if !path.contains("{id}") => "none".to_owned(),
            "admin-keys" | "iam" | "sso" | "sso-sessions" => self.access(kind, is_there).await,
            "webhook" if !is_there => {
                self.clear("webhook").await;
                "webhook".to_owned()
            }
            "requests" => {
                if is_made {
                    self.call_of(member).await
                } else {
                    NO_CALL.to_owned()
                }
            }
            "budget-requests" if path.contains("{id}") => {
                if is_made {
                    self.budget_request(member).await
                } else {
                    NO_CALL.to_owned()
                }
            }
            // Only five may be open.
            "budget-requests" => self.budget_request(0).await,
            "alerts" if path.contains("{alert+}") => self.notice(is_there).await,
            "alerts" if first == "me" => {
                if is_made {
                    self.cast.members[member].0.clone()
                } else {
                    "0000000000".to_owned()
                }
            }
            "alerts" | "webhook" => {
                self.root("PUT", "webhook", json!({"url": "https://a.example/"})).await;
                if is_there { "u1" } else { "nobody" }.to_owned()
            }
            "limits" | "content-log" if is_there => {
                let body = json!({if kind == "limits" { "concurrent" } else { "days" }: 1});
                self.root("PUT", &format!("{kind}/user:u1"), body).await;
                "u1".to_owned()
            }
            _ => if is_there { "u1" } else { "nobody" }.to_owned(),
        }
    }

    /// The provider of a credential of one's own; of another, one that this member has not.
    async fn own_credential(&self, method: &str, path: &str, thing: Thing) -> String {
        let (user, provider) = match (thing, method) {
            (Thing::There, _) => ("u1", "openai"),
            (Thing::Others, _) => ("u2", "cohere"),
            (Thing::Absent, "PUT") => return "mistral".to_owned(),
            (Thing::Absent, _) => return "groq".to_owned(),
        };
        let name = if path.ends_with("{name}") { "/second" } else { "" };
        if path.contains("{provider}") {
            let place = format!("credentials/{user}/{provider}{name}");
            self.root("PUT", &place, json!({"secret": "s"})).await;
        }
        provider.to_owned()
    }

    async fn credential(&self, path: &str, is_there: bool) -> String {
        let place = path.replace("/admin/v1/", "").replace("{owner}", "u1");
        let place = place.replace("{provider}", "openai").replace("{name}", "second");
        if is_there && place.contains("openai") {
            self.root("PUT", &place, json!({"secret": "s"})).await;
        }
        if is_there { "u1" } else { "nobody" }.to_owned()
    }

    /// What calls are priced and sent by.
    async fn priced(&mut self, kind: &str, is_there: bool) -> String {
        let name = self.fresh("x");
        let target = format!("{kind}/openai/{name}");
        if kind != "catalogue" || !is_there {
            self.clear("catalogue").await;
        }
        match kind {
            "catalogue" if is_there => {
                let put = self.root("PUT", "catalogue", list("2030-01-01")).await;
                return put["list_version"].as_str().unwrap().to_owned();
            }
            "catalogue" => return "2030-01-01.00000000".to_owned(),
            "models" => return if is_there { "gpt-4o" } else { "nothing" }.to_owned(),
            _ if !is_there => {}
            "prices" => drop(self.root("PUT", &target, price()).await),
            "discounts" => drop(self.root("PUT", &target, discount("10")).await),
            "routes" => drop(self.root("PUT", &format!("routes/{name}"), route()).await),
            _ => self.quarantine(&name).await,
        }
        name
    }

    /// Who may use the API.
    async fn access(&mut self, kind: &str, is_there: bool) -> String {
        let (name, role) = (self.fresh("G"), json!({"role": "auditor"}));
        if !is_there {
            return name;
        }
        let subject = format!("group:{name}");
        match kind {
            "admin-keys" => {
                let body = json!({"name": "n", "role": "auditor"});
                let made = self.root("POST", "admin-keys", body).await;
                return made["id"].as_str().unwrap().to_owned();
            }
            "iam" => self.root("PUT", &format!("iam/{ARN}:role/{name}"), role).await,
            _ => self.root("PUT", &format!("sso/{subject}"), role).await,
        };
        if kind == "sso-sessions" { self.session(&subject).await.1 } else { name }
    }

    async fn quarantine(&self, model: &str) {
        let aws = self.cast.world.gate.aws();
        let key = quarantine_key(&aws.config().tenant, "openai", model);
        let cost = Money::parse_usd("1").unwrap();
        let put = quarantine_put(key, aws.new_rid(), cost, cost, aws.now());
        assert!(Store::patient(aws).record(&put).await.unwrap());
    }

    /// A model of which the operator is told, as the logger would, where it must be there.
    async fn notice(&mut self, is_there: bool) -> String {
        let model = self.fresh("x");
        let aws = self.cast.world.gate.aws();
        let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
        let put = Notice::new(Fault::Overrun, format!("openai/{model}"), now);
        if is_there {
            assert!(Store::patient(aws).record(&put.put(&aws.config().tenant, now)).await.unwrap());
        }
        model
    }

    /// A request for a route that would do it.
    pub async fn ask(&mut self, method: &str, route: &str, thing: Thing) -> Ask {
        let name = self.name(method, route, thing).await;
        let now = self.cast.world.gate.aws().now().to_string();
        let (day, month) = (&now[..10], &now[..7]);
        let model = if route.contains("/models/") { name.as_str() } else { "x" };
        let owner = if thing == Thing::Absent { "nobody" } else { "u1" };
        let id = |path: &str| match path {
            _ if path.starts_with("/admin/v1/me/credentials") => path.replace("{provider}", &name),
            _ if path.contains("/{model+}") => {
                let model = if model == "x" { name.as_str() } else { model };
                path.replace("{provider}", "openai").replace("{model+}", model)
            }
            _ => path.replace("{id}", &name),
        };
        let path = id(route)
            .replace("{owner}", owner)
            .replace("{user}", "u1")
            .replace("{provider}", "openai")
            .replace("{version}", &name)
            .replace("{day}", day)
            .replace("{target+}", &format!("openai/{name}"))
            .replace("{alert+}", &format!("overrun/20261124/openai/{name}"))
            .replace("{scope+}", &format!("user:{owner}"))
            .replace("{arn+}", &format!("{ARN}:role/{name}"))
            .replace("{subject+}", &format!("group:{name}"));
        let path = match route {
            _ if route.starts_with("/admin/v1/routes/") => path.replace("{name}", &name),
            _ => path.replace("{name}", "second"),
        };
        let query = match route {
            "/admin/v1/credentials" => format!("?user={owner}"),
            "/admin/v1/models" => "?provider=openai".to_owned(),
            "/admin/v1/me/alerts" => format!("?key={name}"),
            "/admin/v1/charges" | "/admin/v1/counters/{scope+}" => format!("?month={month}"),
            _ => String::new(),
        };
        let mut body = body(method, route, owner, day, &name, &self.fresh("c"));
        if route == "/admin/v1/settlements" {
            // One of today: an old one is refused.
            let id = self.cast.world.gate.aws().new_rid().to_string();
            (body["request_id"], body["rid"]) = (json!(id), json!(id));
        }
        Ask { path: format!("{path}{query}"), body, name }
    }

    /// All who ask: role, what they ask by.
    pub fn askers(&self) -> Vec<(char, &'static str, String)> {
        let key = |role: char| (role, "key", self.cast.keys[&role].clone());
        let session = |role: char| (role, "session", self.sessions[&role].clone());
        let signer = |(role, name): (char, &str)| (role, "iam", format!("{ARN}:user/{name}"));
        let roles = ROLES.map(|(role, _)| role);
        let keys = roles.into_iter().map(key);
        let signers = ROLES.into_iter().filter(|(role, _)| *role != 'm').map(signer);
        keys.chain(roles.into_iter().map(session)).chain(signers).collect()
    }

    pub async fn send(&self, how: &str, who: &str, method: &str, ask: &Ask) -> Reply {
        let is_versioned = matches!(method, "PUT" | "DELETE") || ask.path.ends_with("/rotate");
        let headers: &[_] = if is_versioned { &[("if-match", "*")] } else { &[] };
        self.send_with(how, who, method, ask, headers).await
    }

    /// The same with these headers.
    pub async fn send_with(
        &self,
        how: &str,
        who: &str,
        method: &str,
        ask: &Ask,
        headers: &[(&str, &str)],
    ) -> Reply {
        let by = match how {
            "key" => By::Key(who),
            "session" => By::Session(who),
            _ => By::Signer(who),
        };
        self.cast.world.ask_by(by, method, &ask.path, ask.body.clone(), headers).await
    }
}

/// A body that its route takes, as the description shows it: the tests send the same.
pub fn example(method: &str, route: &str) -> Option<Value> {
    let version = "2026-11-23.9f86d081";
    let body = body(method, route, "ada", "2026-11-23", version, "refund-7");
    Some(body).filter(|_| matches!(method, "PUT" | "POST"))
}

/// What a change of a route would have it do.
fn body(method: &str, route: &str, owner: &str, day: &str, name: &str, fresh: &str) -> Value {
    match (method, route.trim_start_matches("/admin/v1/")) {
        ("GET" | "DELETE", _) => Value::Null,
        (_, "users/{id}") => {
            let own = json!({"keys": 50, "key_max_cost_usd": "0.5", "credentials": true});
            json!({"name": "Ada", "self_service": own})
        }
        (_, "orgs/{id}" | "teams/{id}") => json!({"name": "Search"}),
        (_, "keys") => json!({
            "user": owner, "name": "ci", "models": ["openai/*"], "max_cost_usd": "0.5",
            "labels": {"team": "search"},
        }),
        (_, "keys/{id}") => json!({"name": "ci", "labels": {"team": "search"}, "clamp": "always"}),
        (_, "me/keys" | "me/keys/{id}") => json!({"name": "laptop", "max_cost_usd": "0.1"}),
        (_, "keys/{id}/rotate" | "me/keys/{id}/rotate") => json!({"grace_s": 0}),
        (_, "admin-keys/{id}/rotate") => json!({"overlap_s": 3600}),
        (_, path) if path.contains("credentials/") => json!({"secret": "sk-proj-0", "weight": 1}),
        (_, path) if path.starts_with("budgets/") => json!({
            "month_limit_usd": "1000", "day_limit_usd": "100", "mode": "hard",
            "time_zone": "Europe/Berlin", "alert_thresholds": [80, 100],
        }),
        (_, path) if path.starts_with("prices/") => price(),
        (_, path) if path.starts_with("discounts/") => discount("10"),
        (_, "catalogue" | "catalogue/preview") => list("2030-01-01"),
        (_, "catalogue/version") => json!({"version": name}),
        (_, path) if path.starts_with("routes/") => self::route(),
        (_, path) if path.starts_with("limits/") => {
            json!({"requests_per_minute": 600, "concurrent": 20})
        }
        (_, "webhook") => json!({"url": "https://a.example/"}),
        (_, path) if path.starts_with("content-log/") => json!({"days": 30}),
        (_, "alerts/test") => json!({"scope": format!("user:{owner}")}),
        (_, "corrections") => {
            let scope = format!("user:{owner}");
            json!({"id": fresh, "scope": scope, "amount_usd": "1.5", "reason": "The bill of May"})
        }
        (_, "rerate") => json!({"from": day, "to": day, "apply": false}),
        (_, "reconcile") => {
            let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T00:01:00Z"));
            let usage = json!([{"model": "gpt-4o", "prompt": 1000, "completion": 200}]);
            json!({"provider": "openai", "from": from, "to": to, "usage": usage})
        }
        (_, "settlements") => {
            let id: Rid = NO_CALL.parse().unwrap();
            let mut record = serde_json::to_value(record(id, "u1", "k1")).unwrap();
            let hold = "5.20261123.900";
            record["parts"] = json!([{"scope": "user:u1", "hold": hold, "day": 20_261_123}]);
            record
        }
        (_, "me/budget-requests") => asked(),
        (_, path) if path.starts_with("budget-requests/") => {
            json!({"state": "denied", "note": "Ask again in May"})
        }
        (_, "admin-keys") => json!({"name": "Grafana", "role": "auditor"}),
        (_, path) if path.starts_with("iam/") || path.starts_with("sso/") => {
            json!({"role": "auditor"})
        }
        _ => json!({}),
    }
}

fn price() -> Value {
    json!({"input": "2.5", "output": "10", "cached_input": "1.25"})
}

fn route() -> Value {
    json!({"targets": [{"model": "openai/gpt-4o"}]})
}

fn asked() -> Value {
    json!({"reason": "The evaluation of the new model", "day_limit_usd": "5"})
}
