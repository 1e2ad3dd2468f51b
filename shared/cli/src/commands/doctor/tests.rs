use farebox_api::Queues;
use farebox_core::Timestamp;

use super::behind::*;
use super::*;

#[test]
fn a_long_list_is_cut() {
    assert_eq!(some(&["a", "b"]), "a, b");
    assert_eq!(some(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
}

#[tokio::test]
async fn what_is_not_there_is_told_and_asked_no_further() {
    let client = Client::new("http://127.0.0.1:9", "sk-fba-x").unwrap();

    let told = doctor(&client, false).await.unwrap();

    let text = told.text;
    assert!(told.is_bad && text.contains("reachable  FAIL"), "{text}");
    assert!(text.contains("refused") && !text.contains("budgets"), "{text}");
    assert_eq!(told.json[1]["state"], "FAIL", "programs are told, too");
}

#[test]
fn what_waits_too_long_is_told_with_what_to_mend() {
    let now = Timestamp::parse("2026-11-30T12:00:00Z").unwrap();
    let queues = |dead_letters, scanned_at: Option<&str>| Queues {
        dead_letters,
        scanned_at: scanned_at.map(str::to_owned),
        ..Queues::default()
    };

    for (count, state) in [(None, "skip"), (Some(0), "ok"), (Some(2), "FAIL")] {
        assert_eq!(dead_letters(&queues(count, None)).state.name(), state, "{count:?}");
    }
    for (at, state) in [
        (None, "warn"),
        (Some("2026-11-30T11:55:00Z"), "ok"),
        (Some("2026-11-30T11:30:00Z"), "FAIL"),
    ] {
        let check = scheduler(&queues(None, at), now);
        assert_eq!(check.state.name(), state, "{at:?}");
        assert_eq!(check.next.is_empty(), state == "ok", "{at:?}");
    }
    let busy = Queues { waiting: 20_000, ..Queues::default() };
    assert_eq!(
        (waiting(&[busy]).state, waiting(&[queues(None, None)]).state),
        (State::Warning, State::Good)
    );
}

#[test]
fn a_queue_that_nothing_comes_out_of_is_told() {
    let looks = |counts: [(u64, u64); LOOKS]| {
        let look = |(waiting, in_flight)| Queues { waiting, in_flight, ..Queues::default() };
        counts.map(look)
    };

    for (counts, state, says) in [
        ([(3, 0); LOOKS], State::Bad, "nobody takes them"),
        ([(0, 2), (0, 2), (0, 2), (0, 2), (1, 2)], State::Warning, "none was finished"),
        ([(3, 0), (0, 3), (0, 1), (4, 0), (4, 0)], State::Good, "4 records wait"),
    ] {
        let check = waiting(&looks(counts));
        assert_eq!(check.state, state, "{counts:?}");
        assert!(check.found.contains(says), "{}", check.found);
    }
    let first = looks([(3, 0); LOOKS]);
    assert!(is_stuck(&first[..1]), "one look at what waits is not enough");
    assert_eq!(waiting(&first[..1]).state, State::Good);
}

#[test]
fn a_key_that_is_not_taken_says_where_another_is_given() {
    let session = |role: &str| {
        let who = Session { actor: "x".into(), role: role.into(), ..Session::default() };
        Ok(who)
    };
    let refused = Err(Failure::new("This is not allowed.", ""));

    assert_eq!(admitted(session("auditor")).state, State::Good);
    let member = admitted(session("member"));
    assert!(member.state == State::Bad && member.next.contains("farebox login"));
    assert_eq!(admitted(refused).next, "farebox login");
}

#[test]
fn a_team_or_an_organisation_bounds_its_users() {
    let user = |id: &str, org: Option<&str>, team: Option<&str>| -> User {
        let user = json!({"id": id, "org": org, "team": team, "created_at": "", "version": "1"});
        serde_json::from_value(user).unwrap()
    };
    let budget = |kind: &str, id: &str, mode: &str, month: Option<&str>| -> Budget {
        let budget = json!({"kind": kind, "id": id, "mode": mode, "month_limit_usd": month,
                            "version": "1", "time_zone": "UTC", "alert_thresholds": [],
                            "periods": []});
        serde_json::from_value(budget).unwrap()
    };
    let budgets = [
        budget("org", "acme", "hard", Some("5")),
        budget("team", "search", "observe", Some("5")),
        budget("team", "ads", "closed", None),
        budget("user", "lin", "soft", Some("1")),
        budget("user", "ann", "hard", None),
    ];
    let users = [
        user("ann", Some("acme"), None),
        user("bob", None, Some("search")),
        user("cy", None, Some("ads")),
        user("lin", None, None),
        user("new", None, None),
    ];

    let found = bounded(&users, &budgets);

    assert!(found.found.ends_with(": bob, new"), "{}", found.found);
    assert!(found.next.starts_with("farebox budget set user:bob"), "{}", found.next);
    assert_eq!(bounded(&users[2..4], &budgets).state, State::Good);
}
