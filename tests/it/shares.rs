//! A hot budget that is divided into shares: it binds as if it were one, while it is switched
//! and while its limit falls, too.

use std::time::Duration;

use farebox_aws::{Ask, Aws, Config, Held, Ledger};
use farebox_core::{Decision, Error, Money, Scope};
use farebox_tests::caller::native;
use farebox_tests::{Caller, Stack, fresh, run};
use futures_util::StreamExt;
use futures_util::future::join;
use http::Method;
use serde_json::{Value, json};

use crate::money::{exact, exact_cost, times};
use crate::stacks::shared;
use crate::waiting::ROOM_WAIT;

const SHARES: u8 = 4;
/// Calls that one budget holds at once (money.md 4.2).
const PLACES: usize = 200;
/// A busy machine may leave an answer out so often.
const TRIES: usize = 40;

/// An organisation of some users, with a month's limit.
pub struct Org<'s> {
    pub stack: &'s Stack,
    pub id: String,
    pub members: Vec<Caller<'s>>,
}

impl<'s> Org<'s> {
    pub async fn new(stack: &'s Stack, budget: &Value) -> Self {
        let id = fresh("o");
        stack.put(&format!("/orgs/{id}"), &json!({})).await;
        let mut members = Vec::new();
        for _ in 0..4 {
            let member = Caller::new(stack).await;
            stack.put(&format!("/users/{}", member.user), &json!({"org": id})).await;
            members.push(member);
        }
        let org = Self { stack, id, members };
        org.set(budget).await;
        org
    }

    /// With a month's limit for so many exact calls.
    async fn of_calls(calls: i128, shares: u8) -> Self {
        let limit = times(exact_cost().await, calls).to_string();
        Self::new(shared().await, &json!({"month_limit_usd": limit, "shares": shares})).await
    }

    pub fn scope(&self) -> String {
        format!("org:{}", self.id)
    }

    /// Sets the budget; on a busy machine a second time, which is the same change.
    pub async fn set(&self, budget: &Value) -> Value {
        for _ in 0..TRIES {
            let put = self.stack.admin(Method::PUT, &format!("/budgets/{}", self.scope()));
            let answer = put.json(budget).with("if-match", "*").send().await;
            if answer.code() < 500 {
                return answer.expect(200).json();
            }
        }
        panic!("{TRIES} times no answer");
    }

    /// The same until the change has reached all shares.
    async fn set_whole(&self, budget: &Value) -> Value {
        for _ in 0..TRIES {
            let set = self.set(budget).await;
            if set["shares"]["pending"] == false {
                return set;
            }
        }
        panic!("it stays pending");
    }

    pub async fn shown(&self) -> Value {
        self.stack.read(&format!("/budgets/{}", self.scope())).await
    }

    /// Calls, some at once, of all users in turn; how many were served. What a busy machine
    /// cannot do in time is refused as such, and holds nothing in the end.
    async fn calls(&self, count: usize, at_once: usize) -> usize {
        let calls = (0..count).map(|number| {
            let member = &self.members[number % self.members.len()];
            let call = member.post("/v1/chat", &native("exact", &exact()));
            async move { call.with(ROOM_WAIT, "0").send().await }
        });
        let answers: Vec<_> =
            futures_util::stream::iter(calls).buffer_unordered(at_once).collect().await;
        for answer in answers.iter().filter(|answer| answer.code() != 200) {
            let header = answer.header("x-farebox-budget").unwrap_or("org;month;");
            assert!([402, 429, 503].contains(&answer.code()), "{}", answer.text());
            assert!(header.starts_with("org;month;"), "{header}");
        }
        answers.iter().filter(|answer| answer.code() == 200).count()
    }

    /// So many calls are served, one after another.
    pub async fn serve(&self, count: usize) {
        let mut served = 0;
        for _ in 0..count + TRIES {
            served += self.calls(1, 1).await;
            if served == count {
                return;
            }
        }
        panic!("{served} of {count} served");
    }

    /// Calls until the money is spent: whatever a share still has is found by the calls of the
    /// others. How many were served.
    pub async fn spend(&self) -> usize {
        let mut served = 0;
        for _ in 0..TRIES * TRIES {
            let call = self.members[0].post("/v1/chat", &native("exact", &exact()));
            let answer = call.with(ROOM_WAIT, "0").send().await;
            match answer.code() {
                200 => served += 1,
                402 => return served,
                // Something is still on its way.
                429 | 503 => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => panic!("{}", answer.text()),
            }
        }
        panic!("it is never spent");
    }

    pub async fn bill(&self) -> Money {
        let mut bill = Money::ZERO;
        for member in &self.members {
            bill = bill.plus(member.bill().await).unwrap();
        }
        bill
    }

    /// The one hold in its shares: where, whose, and what it says.
    pub async fn hold_in_shares(&self, made: u8) -> (String, String, String) {
        for share in 0..made {
            let scope = format!("{}~{share}", self.scope());
            let item = self.stack.books(&scope).await.item;
            if let Some(name) = item.names("h_").next() {
                let value = item.0[name]["S"].as_str().unwrap().to_owned();
                return (scope, name["h_".len()..].to_owned(), value);
            }
        }
        panic!("no hold in a share");
    }

    /// What the budget and its shares have settled, each at rest, and E1: what is committed in
    /// the budget is what it has settled itself and what its shares may commit.
    pub async fn settled(&self, made: u8) -> Money {
        self.stack.drain().await;
        let whole = self.stack.books(&self.scope()).await;
        let (mut settled, mut allowed) = (whole.settled(), Money::ZERO);
        for share in 0..made {
            let books = self.stack.books(&format!("{}~{share}", self.scope())).await;
            books.assert_quiet();
            assert!(books.item.money("tc") <= books.item.money("ta"), "E2 of {share}");
            settled = settled.plus(books.settled()).unwrap();
            allowed = allowed.plus(books.item.money("ta")).unwrap();
        }
        assert_eq!(whole.item.money("tg"), allowed, "E1: what is granted is what is allowed");
        let own = whole.item.money("tc").minus(whole.settled()).unwrap();
        assert_eq!(own, allowed, "E1: what is committed is settled or granted");
        settled
    }
}

#[test]
fn a_storm_on_a_divided_budget_for_seventeen_calls_serves_seventeen() {
    run(async {
        let cost = exact_cost().await;
        let limit = times(cost, 17);
        let org = Org::of_calls(17, SHARES).await;

        let served = org.calls(120, 60).await + org.spend().await;

        assert_eq!(served, 17);
        assert_eq!(org.bill().await, limit, "the provider's bill is the limit");
        assert_eq!(org.settled(SHARES).await, limit);
        let whole = org.stack.books(&org.scope()).await;
        assert!(whole.item.money("tg") > Money::ZERO, "the shares have drawn");
        let refused = org.members[0].chat("exact", &exact()).await.expect(402);
        let header = refused.header("x-farebox-budget").unwrap().to_owned();
        assert_eq!(header, format!("org;month;{limit};{limit};{cost}"));
    });
}

/// Calls of one process that hold until all have an answer: those that hold, and how many have
/// heard of no contention and still hold nothing.
async fn held_at_once(
    ledger: &Ledger,
    aws: &Aws,
    scope: &Scope,
    calls: usize,
) -> (Vec<Held>, usize) {
    let amount = Money::parse_usd("0.01").unwrap();
    let calls = (0..calls).map(|_| {
        let scopes = std::slice::from_ref(scope);
        ledger.reserve(scopes, aws.new_rid(), Ask::worst(amount), None)
    });
    let answers: Vec<_> = futures_util::stream::iter(calls).buffer_unordered(40).collect().await;
    let (mut held, mut unclear) = (Vec::new(), 0);
    for answer in answers {
        match answer {
            Ok(one) => held.push(one),
            Err(refusal) => {
                let is_full = matches!(refusal.error, Error::BudgetContention { .. });
                unclear += usize::from(!is_full);
            }
        }
    }
    (held, unclear)
}

/// A short form of `cargo prove hot`.
#[test]
fn a_divided_budget_has_places_for_more_calls_than_one_has() {
    run(async {
        let org = Org::new(shared().await, &json!({"month_limit_usd": "1000000"})).await;
        let environment = org.stack.chat_environment();
        let known = |wanted: &str| {
            environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
        };
        let aws = Aws::new(Config::from_lookup(known).unwrap());
        let scope: Scope = org.scope().parse().unwrap();

        for (shares, least) in [(0, PLACES), (2, PLACES + 40)] {
            if shares > 0 {
                org.set_whole(&json!({"month_limit_usd": "1000000", "shares": shares})).await;
            }
            // Its caches are new: it sees the shares at once.
            let ledger = Ledger::new(&aws);
            let (mut held, unclear) = held_at_once(&ledger, &aws, &scope, PLACES + 40).await;

            assert!(held.len() <= PLACES * usize::from(shares.max(1_u8)), "{}", held.len());
            assert!(held.len() + unclear >= least, "{} and {unclear}", held.len());
            for one in &mut held {
                ledger.end(one, Decision::Void).await;
            }
        }
        assert_eq!(org.settled(2).await, Money::ZERO);
    });
}

#[test]
fn a_divided_budget_shows_what_all_its_shares_have_spent() {
    run(async {
        let cost = exact_cost().await;
        let org = Org::of_calls(100, SHARES).await;
        org.serve(12).await;
        let spent = times(cost, 12);
        assert_eq!(org.settled(SHARES).await, spent);

        let shown = org.shown().await;
        assert_eq!(shown["shares"], json!({"count": SHARES, "pending": false}));
        let own = org.members[1].read("/v1/budget").await;
        let own = own["scopes"].as_array().unwrap().iter();
        let mut of_org = own.filter(|row| row["kind"] == "org" && row["id"] == org.id);
        let of_org = of_org.find(|row| row["period"] == "month").unwrap();
        for period in [&shown["periods"][0], of_org] {
            assert_eq!(period["settled_usd"], spent.to_string());
            assert_eq!(period["held_usd"], "0");
            assert_eq!(period["room_usd"], times(cost, 88).to_string());
        }
        let listed = org.stack.read("/budgets?kind=org&limit=100").await;
        let listed = listed["budgets"].as_array().unwrap().iter();
        let is_own = |row: &&Value| row["id"].as_str().unwrap().starts_with(&org.id);
        assert!(listed.filter(is_own).count() <= 1, "a share is nobody's budget");
        let call = org.members[0].chat("exact", &exact()).await.expect(200);
        let row = org.members[0].row(call.header("x-request-id").unwrap()).await;
        assert_eq!(row["outcome"], "settled");
    });
}

#[test]
fn a_budget_is_divided_and_united_again_while_calls_are_in_flight() {
    run(async {
        let limit = times(exact_cost().await, 30);
        let org = Org::of_calls(30, 0).await;

        let switches = async {
            for shares in [SHARES, 0, 2, SHARES, 0] {
                org.set(&json!({"month_limit_usd": limit.to_string(), "shares": shares})).await;
            }
        };
        let (served, ()) = join(org.calls(80, 16), switches).await;
        let served = served + org.spend().await;

        assert_eq!(served, 30);
        assert_eq!((org.bill().await, org.settled(SHARES).await), (limit, limit));
        // The last switch is done when nothing is held in a share any more.
        let united = org.set_whole(&json!({"month_limit_usd": limit.to_string()})).await;
        assert_eq!(united["shares"], json!({"count": 0, "pending": false}));
    });
}

#[test]
fn a_lowered_limit_takes_back_what_shares_have_drawn() {
    run(async {
        let cost = exact_cost().await;
        let org = Org::of_calls(100, SHARES).await;
        org.serve(10).await;
        org.stack.drain().await;

        let lowered = json!({"month_limit_usd": times(cost, 12).to_string()});
        let lowered = org.set_whole(&lowered).await;

        assert_eq!(lowered["shares"]["count"], SHARES);
        let month = &lowered["periods"][0];
        assert_eq!(month["room_usd"], times(cost, 2).to_string());
        let whole = org.stack.books(&org.scope()).await;
        let committed = whole.item.names("mc_").map(|name| whole.item.money(name)).next().unwrap();
        assert!(committed <= times(cost, 12), "E1 holds for the new limit");
        assert_eq!(org.calls(20, 10).await + org.spend().await, 2);
        assert_eq!(org.bill().await, times(cost, 12));
    });
}

#[test]
fn a_divided_budget_follows_its_mode() {
    run(async {
        let cost = exact_cost().await;
        let org = Org::of_calls(2, SHARES).await;
        let limit = times(cost, 2).to_string();
        assert_eq!(org.spend().await, 2);

        // It only counts: in its own item, beside what the shares have.
        let observed = org.set(&json!({"month_limit_usd": limit, "mode": "observe"})).await;
        assert_eq!(observed["shares"]["count"], 0, "{observed}");
        assert_eq!(observed["warnings"].as_array().unwrap().len(), 1, "{observed}");
        org.serve(2).await;
        org.set(&json!({"month_limit_usd": limit, "mode": "closed"})).await;
        assert_eq!(org.spend().await, 0);

        let raised = times(cost, 5).to_string();
        let back = org.set_whole(&json!({"month_limit_usd": raised})).await;
        assert_eq!(back["shares"]["count"], SHARES);
        assert_eq!(back["periods"][0]["settled_usd"], times(cost, 4).to_string());
        assert_eq!(org.calls(3, 3).await + org.spend().await, 1);
        assert_eq!(org.settled(SHARES).await, times(cost, 5));
    });
}

#[test]
fn what_is_wrong_with_shares_is_said_and_changes_nothing() {
    run(async {
        let budget = json!({"month_limit_usd": "1", "shares": SHARES});
        let org = Org::new(shared().await, &budget).await;
        let path = format!("/budgets/{}", org.scope());
        for body in [
            json!({"month_limit_usd": "1", "shares": 1}),
            json!({"month_limit_usd": "1", "shares": 65}),
            json!({"month_limit_usd": "1", "shares": 4, "mode": "soft"}),
        ] {
            let put = org.stack.admin(Method::PUT, &path).json(&body).with("if-match", "*");
            let refused = put.send().await.expect(400);
            assert_eq!(refused.json()["error"]["field"], "shares", "{}", refused.text());
        }
        for path in [format!("{path}~0"), format!("/counters/{}~0?month=2026-11", org.scope())] {
            org.stack.admin(Method::GET, &path).send().await.expect(404);
        }
        let put = org.stack.admin(Method::PUT, &format!("{path}~0")).json(&json!({}));
        put.with("if-match", "*").send().await.expect(404);
        assert_eq!(org.shown().await["shares"], json!({"count": SHARES, "pending": false}));
    });
}
