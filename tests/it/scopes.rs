//! Budgets of organisations, teams, and of single models within any owner.

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, Stack, fresh, run};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::money::{assert_exceeded, exact, exact_cost, times};
use crate::periods::moved;
use crate::stacks::shared;

/// An organisation and a team, each with users of the tests.
pub struct Group<'s> {
    stack: &'s Stack,
    org: String,
    team: String,
}

impl<'s> Group<'s> {
    pub async fn new(stack: &'s Stack) -> Self {
        let (org, team) = (fresh("o"), fresh("t"));
        stack.put(&format!("/orgs/{org}"), &json!({})).await;
        stack.put(&format!("/teams/{team}"), &json!({"name": "Search"})).await;
        Self { stack, org, team }
    }

    pub async fn member(&self) -> Caller<'s> {
        let caller = Caller::new(self.stack).await;
        let body = json!({"org": self.org, "team": self.team});
        self.stack.put(&format!("/users/{}", caller.user), &body).await;
        caller
    }

    fn org_scope(&self) -> String {
        format!("org:{}", self.org)
    }

    fn team_scope(&self) -> String {
        format!("team:{}", self.team)
    }

    /// The label and the scope of all eight budgets that a call of one model can have.
    pub fn all_of(&self, caller: &Caller<'_>, model: &str) -> Vec<(String, String)> {
        let owners = [
            ("org", self.org_scope()),
            ("team", self.team_scope()),
            ("user", caller.user_scope()),
            ("key", caller.key_scope()),
        ];
        let models = owners.clone().map(|(label, scope)| {
            (format!("model-{label}"), format!("model:{scope}/demo/{model}"))
        });
        owners.map(|(label, scope)| (label.to_owned(), scope)).into_iter().chain(models).collect()
    }

    async fn limit(&self, scope: &str, limit: Money) {
        self.stack.set_budget(scope, &json!({"month_limit_usd": limit.to_string()})).await;
    }
}

fn assert_refused_by(answer: &Answer, label: &str) {
    assert_eq!(answer.code(), 402, "{}", answer.text());
    let header = answer.header("x-farebox-budget").unwrap();
    assert!(header.starts_with(&format!("{label};month;")), "{header}");
    assert!(answer.text().contains(&format!("Budget exceeded: {label} ")), "{}", answer.text());
}

#[test]
fn a_call_is_held_and_settled_in_all_eight_scopes() {
    run(async {
        let group = Group::new(shared().await).await;
        let caller = group.member().await;
        let scopes = group.all_of(&caller, "drip");
        for (_, scope) in &scopes {
            group.limit(scope, Money::parse_usd("1").unwrap()).await;
        }

        let body = openai("demo/drip", &json!({"stream": true, "max_tokens": 20}));
        let mut answer = caller.post("/v1/chat/completions", &body).open().await;
        answer.piece().await.unwrap().unwrap();
        for (label, scope) in &scopes {
            let books = group.stack.books(scope).await;
            assert_eq!(books.item.names("h_").count(), 1, "{scope}");
            assert!(books.held() > Money::ZERO, "{scope}");
            let room = format!("x-farebox-room-usd-{label}");
            assert!(answer.headers.contains_key(&room), "{room}");
        }
        answer.whole().await;

        let bill = caller.assert_settled_to_the_bill().await;
        assert!(bill > Money::ZERO);
        for (_, scope) in &scopes {
            let books = group.stack.books(scope).await;
            books.assert_quiet();
            assert_eq!(books.settled(), bill, "{scope}");
        }
        let shown = caller.read("/v1/budget").await;
        for (_, scope) in &scopes {
            let (kind, id) = scope.split_once(':').unwrap();
            let rows = shown["scopes"].as_array().unwrap();
            assert!(rows.iter().any(|row| row["kind"] == kind && row["id"] == id), "{scope}");
        }
    });
}

#[test]
fn a_day_a_month_and_a_total_bind_in_each_of_all_eight_scopes() {
    run(async {
        let cost = exact_cost().await;
        for period in ["day", "month", "total"] {
            for place in 0..8 {
                let group = Group::new(shared().await).await;
                let caller = group.member().await;
                let (label, scope) = group.all_of(&caller, "exact").swap_remove(place);
                let budget = json!({format!("{period}_limit_usd"): times(cost, 2).to_string()});
                group.stack.set_budget(&scope, &budget).await;

                for _ in 0..2 {
                    caller.chat("exact", &exact()).await.expect(200);
                }
                assert_exceeded(&caller.chat("exact", &exact()).await, &label, period);

                let books = group.stack.books(&scope).await;
                books.assert_quiet();
                assert_eq!(books.settled(), times(cost, 2), "{scope} {period}");
                assert_eq!(caller.posts().len(), 2, "{scope} {period}");
            }
        }
    });
}

#[test]
fn an_organisations_budget_holds_for_all_its_users_together() {
    run(async {
        let cost = exact_cost().await;
        for kind in ["org", "team"] {
            let group = Group::new(shared().await).await;
            let members = [group.member().await, group.member().await];
            let scope = if kind == "org" { group.org_scope() } else { group.team_scope() };
            group.limit(&scope, times(cost, 5)).await;

            let calls = members.iter().flat_map(|member| {
                (0..8).map(|_| member.post("/v1/chat", &native("exact", &exact())).send())
            });
            let answers = join_all(calls.collect::<Vec<_>>()).await;

            let served = answers.iter().filter(|answer| answer.code() == 200).count();
            assert_eq!(served, 5, "{kind}");
            let refused = answers.iter().filter(|answer| answer.code() == 402);
            refused.for_each(|answer| assert_refused_by(answer, kind));
            let mut bill = Money::ZERO;
            for member in &members {
                bill = bill.plus(member.assert_settled_to_the_bill().await).unwrap();
            }
            let books = group.stack.books(&scope).await;
            books.assert_quiet();
            assert_eq!((books.settled(), bill), (times(cost, 5), times(cost, 5)), "{kind}");
        }
    });
}

#[test]
fn a_models_budget_refuses_that_model_only() {
    run(async {
        let cost = exact_cost().await;
        for owner in ["org", "team", "user", "key"] {
            let group = Group::new(shared().await).await;
            let caller = group.member().await;
            let scopes = group.all_of(&caller, "exact");
            let label = format!("model-{owner}");
            let (_, scope) = scopes.iter().find(|(known, _)| *known == label).unwrap();
            group.limit(scope, cost).await;

            caller.chat("exact", &exact()).await.expect(200);
            assert_refused_by(&caller.chat("exact", &exact()).await, &label);
            caller.chat("chat", &exact()).await.expect(200);

            assert_eq!(group.stack.books(scope).await.settled(), cost, "{scope}");
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_refusal_in_any_scope_leaves_nothing_held_in_the_others() {
    run(async {
        let group = Group::new(shared().await).await;
        let caller = group.member().await;
        let scopes = group.all_of(&caller, "exact");
        let rich = Money::parse_usd("1").unwrap();
        for (_, scope) in &scopes {
            group.limit(scope, rich).await;
        }
        for (label, scope) in &scopes {
            group.limit(scope, Money::ONE_PICO).await;
            assert_refused_by(&caller.chat("exact", &exact()).await, label);
            group.limit(scope, rich).await;
        }

        caller.assert_untouched().await;
        for (_, scope) in &scopes {
            let books = group.stack.books(scope).await;
            books.assert_quiet();
            assert_eq!(books.settled(), Money::ZERO, "{scope}");
        }
    });
}

#[test]
fn a_new_key_opens_no_fresh_budget() {
    run(async {
        let cost = exact_cost().await;
        let group = Group::new(shared().await).await;
        let first = group.member().await;
        group.limit(&group.org_scope(), cost).await;
        let model = format!("model:{}/demo/exact", first.user_scope());
        group.limit(&model, times(cost, 9)).await;
        first.chat("exact", &exact()).await.expect(200);

        let second = first.another_key().await;

        assert_refused_by(&second.chat("exact", &exact()).await, "org");
        group.limit(&group.org_scope(), times(cost, 2)).await;
        second.chat("exact", &exact()).await.expect(200);
        assert_eq!(group.stack.books(&group.org_scope()).await.settled(), times(cost, 2));
        assert_eq!(group.stack.books(&model).await.settled(), times(cost, 2));
    });
}

#[test]
fn a_first_budget_binds_a_key_in_use_after_thirty_seconds() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-03-10T12:00:00Z")).await;
        let group = Group::new(&clock.stack).await;
        let caller = group.member().await;
        caller.chat("exact", &exact()).await.expect(200);
        group.limit(&group.org_scope(), Money::ONE_PICO).await;

        // A slow machine has let some of the first thirty seconds pass already.
        clock.to(&format!("{year}-03-10T12:01:31Z"));

        assert_refused_by(&caller.chat("exact", &exact()).await, "org");
    });
}

#[test]
fn a_key_made_beside_a_first_budget_does_not_miss_it() {
    run(async {
        let stack = shared().await;
        for _ in 0..4 {
            let group = Group::new(stack).await;
            let caller = group.member().await;
            let org = group.org_scope();
            let limit = async {
                let limits = (0..2).map(|_| group.limit(&org, Money::ONE_PICO));
                join_all(limits.collect::<Vec<_>>()).await;
            };
            let keys = join_all((0..4).map(|_| caller.another_key()));

            let ((), keys) = futures_util::future::join(limit, keys).await;

            for key in keys.iter().chain([&caller]) {
                assert_refused_by(&key.chat("exact", &exact()).await, "org");
            }
        }
    });
}

#[test]
fn telling_the_keys_twice_changes_nothing() {
    run(async {
        let group = Group::new(shared().await).await;
        let caller = group.member().await;
        let key = format!("K#{}", caller.key_id);
        let team = group.team_scope();
        group.limit(&team, Money::ONE_PICO).await;
        let once = group.stack.query("main", &key).await;
        assert!(serde_json::to_string(&once[0].0).unwrap().contains(&team));

        group.limit(&team, Money::ONE_PICO).await;

        let twice = group.stack.query("main", &key).await;
        assert_eq!(once[0].0, twice[0].0);
    });
}

#[test]
fn a_budget_that_nobody_made_has_version_0_and_is_made_once() {
    run(async {
        let stack = shared().await;
        let group = Group::new(stack).await;
        let path = format!("/budgets/{}", group.org_scope());
        let seen = stack.read(&path).await;
        assert_eq!((&seen["version"], &seen["mode"]), (&json!("0"), &json!("observe")));
        let put = |limit: &str| {
            let call = stack.admin(Method::PUT, &path).json(&json!({"day_limit_usd": limit}));
            call.with("if-match", "\"0\"").send()
        };

        put("5").await.expect(200);

        put("6").await.expect(412);
        assert_eq!(stack.read(&path).await["day_limit_usd"], "5");
        let nobody = stack.admin(Method::GET, "/budgets/org:nobody").send().await;
        assert_eq!(nobody.code(), 404);
        let put = stack.admin(Method::PUT, "/budgets/team:nobody").json(&json!({}));
        assert_eq!(put.with("if-match", "*").send().await.code(), 404);
    });
}

#[test]
fn a_model_that_nobody_serves_has_no_budget() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let scope = format!("model:{}%2Fdemo%2Fnone", caller.user_scope());

        let put = stack.admin(Method::PUT, &format!("/budgets/{scope}")).json(&json!({}));
        let answer = put.with("if-match", "*").send().await;

        assert_eq!((answer.code(), &answer.json()["error"]["field"]), (400, &json!("scope")));
        let known = format!("model:{}%2Fdemo%2Fexact", caller.user_scope());
        stack.set_budget(&known, &json!({"day_limit_usd": "1"})).await;
        let listed = stack.read(&format!("/budgets/{known}")).await;
        let id: &Value = &listed["id"];
        assert_eq!(id, &json!(format!("{}/demo/exact", caller.user_scope())));
    });
}
