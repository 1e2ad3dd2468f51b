//! Reserve, settle, void and finish by the driver.

use farebox_aws::expression::Store;
use farebox_aws::{Ask, Aws, Ledger, Refusal};
use farebox_core::{Decision, Money, Scope, Zone};
use farebox_ledger::{Budget, Limits, Mode, Owner, Settings, Wait};

use crate::deployment;

const USER: &str = "user:u1";
const KEY: &str = "key:k1";

/// A deployment with a user's and a key's budget.
async fn deployment(user_limit: i128) -> Aws {
    let aws = deployment::empty().await;
    put_budget(&aws, USER, Mode::Hard, Some(user_limit)).await;
    put_budget(&aws, KEY, Mode::Observe, None).await;
    aws
}

async fn put_budget(aws: &Aws, scope: &str, mode: Mode, month: Option<i128>) {
    let month = month.map(pico);
    let limits = Limits { month, day: None, total: None };
    let settings = Settings { mode, zone: Zone::utc(), limits, thresholds: vec![80] };
    let create = Budget::create(&owner(aws, scope), &settings, aws.now());
    assert!(Store::patient(aws).record(&create).await.unwrap());
}

fn owner(aws: &Aws, scope: &str) -> Owner {
    Owner::new(&aws.config().tenant, scope.parse().unwrap())
}

fn scopes() -> Vec<Scope> {
    vec![USER.parse().unwrap(), KEY.parse().unwrap()]
}

fn pico(pico: i128) -> Money {
    Money::from_pico(pico).unwrap()
}

/// Settled, committed and open holds of both scopes.
async fn books(aws: &Aws) -> Vec<(i128, i128, u32)> {
    let budgets = Ledger::new(aws).budgets(&scopes()).await.unwrap();
    let books = budgets
        .iter()
        .map(|budget| (budget.total.settled().pico(), budget.total.committed.pico(), budget.open));
    books.collect()
}

#[tokio::test]
async fn a_call_is_held_and_settled_in_every_scope() {
    let aws = deployment(100).await;
    let ledger = Ledger::new(&aws);

    let mut held =
        ledger.reserve(&scopes(), aws.new_rid(), Ask::worst(pico(60)), None).await.unwrap();
    assert_eq!(books(&aws).await, [(0, 60, 1), (0, 60, 1)]);
    let [user, key] = held.rooms().try_into().unwrap();
    assert_eq!((user.1, user.2, user.3.is_some()), ("month", Some(pico(40)), true));
    assert_eq!((key.1, key.2, key.3), ("total", None, None));

    ledger.end(&mut held, Decision::Settle(pico(10))).await;

    assert_eq!(books(&aws).await, [(10, 10, 0), (10, 10, 0)]);
    assert!(held.parts().iter().all(|part| part.ended && !part.ambiguous));
    assert_eq!(held.rooms()[0].2, Some(pico(90)));
    assert!(held.capacity_tenths() >= 40, "{}", held.capacity_tenths());
}

#[tokio::test]
async fn a_refusal_in_one_scope_voids_the_others() {
    let aws = deployment(100).await;

    let refused =
        Ledger::new(&aws).reserve(&scopes(), aws.new_rid(), Ask::worst(pico(101)), None).await;

    let Err(Refusal { error, room, parts, restart, .. }) = refused else { panic!("held") };
    assert_eq!(error.row().code, "budget_exceeded");
    assert_eq!((room, restart), (Some(pico(100)), false));
    assert!(parts.is_empty());
    assert_eq!(books(&aws).await, [(0, 0, 0), (0, 0, 0)]);
}

#[tokio::test]
async fn room_that_open_holds_take_is_contention() {
    let aws = deployment(100).await;
    let ledger = Ledger::new(&aws);
    let mut held =
        ledger.reserve(&scopes(), aws.new_rid(), Ask::worst(pico(60)), None).await.unwrap();

    let refused = ledger.reserve(&scopes(), aws.new_rid(), Ask::worst(pico(60)), None).await;

    let Err(refusal) = refused else { panic!("held") };
    assert_eq!(refusal.error.row().code, "budget_contention");
    ledger.end(&mut held, Decision::Void).await;
    assert_eq!(books(&aws).await, [(0, 0, 0), (0, 0, 0)]);
}

#[tokio::test]
async fn cached_terms_give_way_to_a_new_limit_at_once() {
    let aws = deployment(100).await;
    let ledger = Ledger::new(&aws);
    let mut held =
        ledger.reserve(&scopes(), aws.new_rid(), Ask::worst(pico(60)), None).await.unwrap();
    ledger.end(&mut held, Decision::Worst).await;
    let [budget, _] = ledger.budgets(&scopes()).await.unwrap().try_into().unwrap();
    let mut settings = budget.terms.settings;
    settings.limits.month = Some(pico(70));
    let change =
        farebox_ledger::update::limit_change(&owner(&aws, USER), &settings, budget.terms.epoch);
    assert!(Store::patient(&aws).record(&change).await.unwrap());

    let refused = ledger.reserve(&scopes(), aws.new_rid(), Ask::worst(pico(20)), None).await;

    let Err(refusal) = refused else { panic!("held") };
    assert_eq!((refusal.error.row().status, refusal.room), (402, Some(pico(10))));
}

#[tokio::test]
async fn a_call_that_its_process_left_is_finished_once_by_another() {
    let aws = deployment(100).await;
    let mut held = Ledger::new(&aws)
        .reserve(&scopes(), aws.new_rid(), Ask::worst(pico(60)), None)
        .await
        .unwrap();
    let (rid, parts, logger) = (held.rid, held.parts(), Ledger::new(&aws));

    for _ in 0..2 {
        for part in &parts {
            let decision = Decision::Settle(pico(7));
            logger.finish(rid, part, decision, Some(pico(60))).await.unwrap();
        }
    }
    Ledger::new(&aws).end(&mut held, Decision::Settle(pico(7))).await;

    assert_eq!(books(&aws).await, [(7, 7, 0), (7, 7, 0)]);
}

#[tokio::test]
async fn a_storm_admits_exactly_what_fits() {
    let aws = deployment(37 * 5).await;
    let ledger = Ledger::new(&aws);

    let calls = (0..100).map(|_| async {
        let mut held =
            ledger.reserve(&scopes(), aws.new_rid(), Ask::worst(pico(5)), None).await.ok()?;
        ledger.end(&mut held, Decision::Settle(pico(5))).await;
        Some(())
    });
    let served = futures_util::future::join_all(calls).await.into_iter().flatten().count();

    assert!(served <= 37, "{served}");
    let settled = i128::try_from(served).unwrap() * 5;
    assert_eq!(books(&aws).await, [(settled, settled, 0), (settled, settled, 0)]);
}

#[tokio::test]
async fn a_scope_without_a_budget_fails_closed() {
    let aws = deployment(100).await;
    let unknown: Vec<Scope> = vec![USER.parse().unwrap(), "key:nobody".parse().unwrap()];

    let refused =
        Ledger::new(&aws).reserve(&unknown, aws.new_rid(), Ask::worst(pico(1)), None).await;

    let Err(refusal) = refused else { panic!("held") };
    assert_eq!(refusal.error.row().status, 503);
    assert_eq!(books(&aws).await[0], (0, 0, 0));
}

/// Who waits for room looks once a pause, at most every 100 ms: at the budget's item, or where it
/// is divided at that and all its shares by one request. What that uses is told.
#[tokio::test]
async fn a_look_while_waiting_costs_half_a_unit_and_a_unit_an_item_of_a_divided_budget() {
    const PATIENCE_MS: u64 = 600;
    let cases = [(0, 5), (4, 50)];
    for (shares, tenths_a_look) in
        cases.into_iter().take(1 + usize::from(deployment::counts_batches()))
    {
        let aws = deployment(100).await;
        let ledger = Ledger::new(&aws);
        let user: Scope = USER.parse().unwrap();
        ledger.switch(&user, shares).await.unwrap();
        let ask = Ask::worst(pico(60));
        let mut held = ledger.reserve(&scopes(), aws.new_rid(), ask, None).await.unwrap();
        let refused = ledger.reserve(&scopes(), aws.new_rid(), ask, None).await;
        let contended = refused.err().unwrap().contended.unwrap();

        let (mut wait, mut used) = (Wait::new(PATIENCE_MS, aws.now()), 0);
        let has_room = ledger.wait(&mut wait, &contended, pico(60), &mut used).await;

        assert!(!has_room, "{shares} shares");
        assert_eq!((contended, used % tenths_a_look), (user, 0), "{shares} shares: {used}");
        let looks = used / tenths_a_look;
        assert!((1..=6).contains(&looks), "{shares} shares: {looks} looks");
        ledger.end(&mut held, Decision::Void).await;
    }
}
