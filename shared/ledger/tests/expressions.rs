//! The strings that are sent are those of `docs/money.md` section 3, with `tc` and `ts` moved
//! beside month and day as section 2.1 says.

use crate::support::{check_placeholders, owner};
use farebox_core::rollup::{Counter, Place, Sums};
use farebox_core::{Day, Money, Month, Outcome, Rid, Timestamp, Zone};
use farebox_ledger::alert::{self, Alert, Channel, Fault, Notice};
use farebox_ledger::{
    Attr, Budget, Claim, Hold, Key, Limits, Mode, Reach, Settings, Table, Temporary, Terms, Update,
    Write, update,
};

const RID: &str = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F";

fn rid() -> Rid {
    RID.parse().unwrap()
}

fn pico(pico: i128) -> Money {
    Money::from_pico(pico).unwrap()
}

fn hold() -> Hold {
    "60.20261123.900".parse().unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_ms(1_763_900_000_000)
}

fn terms(mode: Mode, month: Option<i128>, day: Option<i128>, total: Option<i128>) -> Terms {
    let limits = Limits { month: month.map(pico), day: day.map(pico), total: total.map(pico) };
    let settings = Settings { mode, zone: Zone::utc(), limits, thresholds: vec![50, 80, 95] };
    Terms { epoch: 7, version: 3, settings, ..Budget::unmade().terms }
}

/// Compares one write with the design: expression, condition, and every placeholder's meaning.
#[track_caller]
pub fn golden(update: &Update, expression: &str, condition: &str, places: &str) {
    check_placeholders(update);
    let text = match &update.write {
        Write::Update(text) => text.as_str(),
        Write::Put(_) => "PUT",
        Write::Delete => "DELETE",
    };
    assert_eq!(text, expression);
    assert_eq!(update.condition, condition);
    let names = update.names.iter().map(|(place, name)| format!("{place}={name}"));
    let values = update.values.iter().map(|(place, value)| match value {
        Attr::N(number) => format!("{place}={number}"),
        Attr::S(text) => format!("{place}={text}"),
    });
    let mut found: Vec<String> = names.chain(values).collect();
    found.sort();
    let mut expected: Vec<String> =
        places.split_whitespace().map(|place| place.replace("RID", RID)).collect();
    expected.sort();
    assert_eq!(found, expected);
}

const RESERVE: &str = "SET #h = :h ADD #mc :a, #dc :a, tc :a, n :one";
const GUARD: &str =
    "ep = :ep AND attribute_not_exists(#h) AND attribute_not_exists(#x) AND n < :nmax";
const RESERVE_PLACES: &str = "#h=h_RID #x=x_RID #mc=mc_202611 #dc=dc_20261123 \
     :h=60.20261123.900 :a=60 :one=1 :ep=7 :nmax=200";

#[test]
fn reserve_has_a_clause_for_each_limit_that_stands() {
    let m = "(attribute_not_exists(#mc) OR #mc <= :mroom)";
    let d = "(attribute_not_exists(#dc) OR #dc <= :droom)";
    let cases = [
        (
            terms(Mode::Hard, Some(100), Some(90), None),
            format!(" AND {m} AND {d}"),
            ":mroom=40 :droom=30",
        ),
        (
            terms(Mode::Hard, Some(100), Some(90), Some(80)),
            format!(" AND {m} AND {d} AND tc <= :troom"),
            ":mroom=40 :droom=30 :troom=20",
        ),
        (terms(Mode::Hard, Some(60), None, None), format!(" AND {m}"), ":mroom=0"),
        (terms(Mode::Hard, None, Some(100), None), format!(" AND {d}"), ":droom=40"),
        (
            terms(Mode::Hard, Some(59), Some(50), Some(40)),
            " AND #mc <= :mroom AND #dc <= :droom AND tc <= :troom".to_owned(),
            ":mroom=-1 :droom=-10 :troom=-20",
        ),
        (
            terms(Mode::Soft, Some(59), Some(1), Some(40)),
            format!(" AND {m} AND {d} AND tc <= :troom"),
            ":mroom=58 :droom=0 :troom=39",
        ),
        (terms(Mode::Soft, Some(0), None, None), " AND #mc <= :mroom".to_owned(), ":mroom=-1"),
        (terms(Mode::Hard, None, None, None), String::new(), ""),
        (terms(Mode::Observe, Some(1), Some(1), Some(1)), String::new(), ""),
    ];

    for (terms, clauses, rooms) in cases {
        let write = update::reserve(&owner(), rid(), &hold(), &terms);
        golden(&write, RESERVE, &format!("{GUARD}{clauses}"), &format!("{RESERVE_PLACES} {rooms}"));
        assert_eq!((write.key.pk.as_str(), write.key.sk.as_str()), ("B#acme#user:u1", "0"));
    }
}

#[test]
fn extend_swaps_the_hold_and_asks_for_room_for_the_difference() {
    let expression = "SET #h = :h2 ADD #mc :d, #dc :d, tc :d";
    let swap = "#h = :h1 AND ep = :ep";
    let places = "#h=h_RID #mc=mc_202611 #dc=dc_20261123 \
                  :h1=60.20261123.900 :h2=85.20261123.900 :d=25 :ep=7";
    let m = "(attribute_not_exists(#mc) OR #mc <= :mroom)";
    let d = "(attribute_not_exists(#dc) OR #dc <= :droom)";
    let cases = [
        (
            terms(Mode::Hard, Some(100), Some(90), Some(24)),
            format!(" AND {m} AND {d} AND tc <= :troom"),
            ":mroom=75 :droom=65 :troom=-1",
        ),
        (terms(Mode::Hard, Some(24), None, None), " AND #mc <= :mroom".to_owned(), ":mroom=-1"),
        (terms(Mode::Soft, Some(1), Some(1), Some(1)), String::new(), ""),
        (terms(Mode::Observe, Some(1), Some(1), Some(1)), String::new(), ""),
    ];

    for (terms, clauses, rooms) in cases {
        let write = update::extend(&owner(), rid(), &hold(), pico(85), &terms);
        golden(&write, expression, &format!("{swap}{clauses}"), &format!("{places} {rooms}"));
    }
}

#[test]
fn settle_void_and_fence() {
    let settle = "ADD #mc :d, #ms :c, #dc :d, #ds :c, tc :d, ts :c, n :neg1 REMOVE #h";
    let places = "#h=h_RID #mc=mc_202611 #ms=ms_202611 #dc=dc_20261123 #ds=ds_20261123 \
                  :h=60.20261123.900 :d=-50 :c=10 :neg1=-1";
    let fenced = format!("{places} #x=x_RID :exp=1763900900");
    let plain = update::settle(&owner(), rid(), &hold(), pico(10), None);
    let after = update::settle(&owner(), rid(), &hold(), pico(10), Some(now()));
    golden(&plain, settle, "#h = :h", places);
    golden(&after, &format!("SET #x = :exp {settle}"), "#h = :h", &fenced);

    let void = "ADD #mc :na, #dc :na, tc :na, n :neg1 REMOVE #h";
    let places = "#h=h_RID #mc=mc_202611 #dc=dc_20261123 :h=60.20261123.900 :na=-60 :neg1=-1";
    let fenced = format!("{places} #x=x_RID :exp=1763900900");
    golden(&update::void(&owner(), rid(), &hold(), None), void, "#h = :h", places);
    let after = update::void(&owner(), rid(), &hold(), Some(now()));
    golden(&after, &format!("SET #x = :exp {void}"), "#h = :h", &fenced);

    golden(
        &update::fence(&owner(), rid(), now()),
        "SET #x = :exp",
        "attribute_exists(pk) AND attribute_not_exists(#h) AND attribute_not_exists(#x)",
        "#h=h_RID #x=x_RID :exp=1763900900",
    );
}

#[test]
fn adjust_reaches_as_far_as_the_watermarks_let_it() {
    let both =
        "(attribute_not_exists(am) OR am < :month) AND (attribute_not_exists(ad) OR ad < :day)";
    let day = hold().day;
    let adjust = |reach| update::adjust(&owner(), rid(), day, pico(60), pico(10), reach).actions;

    let open = adjust(Reach::Open);
    golden(&open[0], "SET st = :A, c = :c", "st = :P", ":A=A :c=10 :P=P");
    assert_eq!(open[0].key, owner().tombstone(rid()));
    golden(
        &open[1],
        "ADD #mc :d, #ms :d, #dc :d, #ds :d, tc :d, ts :d",
        &format!("attribute_exists(pk) AND {both}"),
        "#mc=mc_202611 #ms=ms_202611 #dc=dc_20261123 #ds=ds_20261123 :d=-50 :month=202611 \
         :day=20261123",
    );
    assert_eq!(open.len(), 2);

    golden(
        &adjust(Reach::DayPruned)[1],
        "ADD #mc :d, #ms :d, tc :d, ts :d",
        "attribute_exists(pk) AND (attribute_not_exists(am) OR am < :month)",
        "#mc=mc_202611 #ms=ms_202611 :d=-50 :month=202611",
    );

    let archived = adjust(Reach::Archived);
    golden(&archived[1], "ADD tc :d, ts :d", "attribute_exists(pk)", ":d=-50");
    golden(&archived[2], "ADD s :d", "attribute_exists(pk)", ":d=-50");
    assert_eq!(archived[2].key.pk, "A#acme#user:u1");
    assert_eq!(archived[2].key.sk, "M#202611");
}

#[test]
fn an_entry_is_a_receipt_and_a_signed_sum_that_stays_above_zero() {
    let both =
        "(attribute_not_exists(am) OR am < :month) AND (attribute_not_exists(ad) OR ad < :day)";
    let day = hold().day;
    let entry =
        |amount, reach| update::entry(&owner(), rid(), day, pico(amount), reach, now()).actions;
    let all = "ADD #mc :d, #ms :d, #dc :d, #ds :d, tc :d, ts :d";
    let places = "#mc=mc_202611 #ms=ms_202611 #dc=dc_20261123 #ds=ds_20261123 :month=202611 \
                  :day=20261123";

    let more = entry(7, Reach::Open);
    golden(&more[0], "PUT", "attribute_not_exists(pk)", "");
    assert_eq!(more[0].key, owner().tombstone(rid()));
    let Write::Put(receipt) = &more[0].write else { panic!("no put") };
    assert_eq!((&receipt["st"], &receipt["c"]), (&Attr::S("A".to_owned()), &Attr::N(7)));
    assert_eq!(receipt["ttl"], Attr::N(i128::from(now().seconds() + 400 * 86_400)));
    golden(&more[1], all, &format!("attribute_exists(pk) AND {both}"), &format!("{places} :d=7"));

    let less = entry(-7, Reach::Open);
    let floor = "#ms >= :abs AND #ds >= :abs AND ts >= :abs";
    golden(
        &less[1],
        all,
        &format!("attribute_exists(pk) AND {both} AND {floor}"),
        &format!("{places} :d=-7 :abs=7"),
    );
    golden(
        &entry(-7, Reach::DayPruned)[1],
        "ADD #mc :d, #ms :d, tc :d, ts :d",
        "attribute_exists(pk) AND (attribute_not_exists(am) OR am < :month) \
         AND #ms >= :abs AND ts >= :abs",
        "#mc=mc_202611 #ms=ms_202611 :d=-7 :month=202611 :abs=7",
    );
    let archived = entry(-7, Reach::Archived);
    let exists = "attribute_exists(pk)";
    let floor = |counter: &str| format!("{exists} AND {counter} >= :abs");
    golden(&archived[1], "ADD tc :d, ts :d", &floor("ts"), ":d=-7 :abs=7");
    golden(&archived[2], "ADD s :d", &floor("s"), ":d=-7 :abs=7");
}

#[test]
fn the_journal_keeps_a_name_once() {
    let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
    let record = farebox_core::CallRecord::new(rid(), "acme".to_owned(), user, key);

    let put = update::journal_put("E#refund-7", &record, "{}");
    golden(&put, "PUT", "attribute_not_exists(pk)", "");
    assert_eq!((put.key.pk.as_str(), put.key.sk.as_str()), ("C#acme", "E#refund-7"));
    let done = update::journal_done(put.key.clone(), now());
    golden(&done, "SET done = :now", "attribute_exists(pk)", ":now=1763900000");
    golden(&update::journal_drop(put.key), "DELETE", "attribute_not_exists(done)", "");
}

#[test]
fn an_unheld_charge_is_a_receipt_and_a_sum() {
    let day = hold().day;
    let charge = update::unheld_charge(&owner(), rid(), day, pico(3), Reach::Open, now()).actions;

    golden(&charge[0], "PUT", "attribute_not_exists(pk)", "");
    golden(
        &charge[1],
        "ADD #mc :c, #ms :c, #dc :c, #ds :c, tc :c, ts :c",
        "attribute_exists(pk) AND (attribute_not_exists(am) OR am < :month) \
         AND (attribute_not_exists(ad) OR ad < :day)",
        "#mc=mc_202611 #ms=ms_202611 #dc=dc_20261123 #ds=ds_20261123 :c=3 :month=202611 \
         :day=20261123",
    );
}

#[test]
fn a_sweep_makes_the_hold_a_charge_and_leaves_a_tombstone() {
    let sweep = update::sweep(&owner(), rid(), &hold(), now()).actions;

    golden(
        &sweep[0],
        "ADD #ms :a, #ds :a, ts :a, n :neg1 REMOVE #h",
        "#h = :h",
        &format!(
            "#h=h_{} #ms=ms_202611 #ds=ds_20261123 :h={} :a={} :neg1=-1",
            rid(),
            hold(),
            hold().amount.pico()
        ),
    );
    golden(&sweep[1], "PUT", "attribute_not_exists(pk)", "");
    let Write::Put(tombstone) = &sweep[1].write else { panic!("no put") };
    assert_eq!(tombstone["st"], Attr::S("P".to_owned()));
    assert_eq!(tombstone["a"], Attr::N(hold().amount.pico()));
    assert_eq!(tombstone["ttl"], Attr::N(i128::from(now().seconds() + 100 * 86_400)));
}

#[test]
fn a_limit_change_sets_what_stands_and_removes_what_does_not() {
    let all = terms(Mode::Hard, Some(3), Some(2), Some(1)).settings;
    golden(
        &update::limit_change(&owner(), &all, 7),
        "SET lm = :lm, ld = :ld, lt = :lt, md = :md, tz = :tz, th = :th, lv = lv + :one, \
         ep = ep + :one",
        "ep = :ep",
        ":lm=3 :ld=2 :lt=1 :md=h :tz=UTC :th=50,80,95 :one=1 :ep=7",
    );

    let one = terms(Mode::Closed, None, Some(2), None).settings;
    golden(
        &update::limit_change(&owner(), &one, 7),
        "SET ld = :ld, md = :md, tz = :tz, th = :th, lv = lv + :one, ep = ep + :one REMOVE lm, lt",
        "ep = :ep",
        ":ld=2 :md=closed :tz=UTC :th=50,80,95 :one=1 :ep=7",
    );
}

#[test]
fn a_change_with_an_end_date_is_written_with_its_end_and_ends_once() {
    let before = terms(Mode::Hard, None, Some(2), None).settings;
    let raised = terms(Mode::Hard, Some(3), Some(2), Some(1)).settings;
    let temporary = Temporary { until: now(), version: 4, settings: before.clone() };

    let begun = temporary.begin(&owner(), &raised, 7).actions;
    golden(&begun[0], "PUT", "", "");
    let Write::Put(item) = &begun[0].write else { panic!("not a put") };
    assert_eq!(Temporary::parse(item), Ok(temporary.clone()));
    assert_eq!(item["due"], Attr::S("1".to_owned()));
    assert_eq!(begun[1], update::limit_change(&owner(), &raised, 7));

    let ended = temporary.end(&owner(), 9).actions;
    golden(&ended[0], "DELETE", "lv = :lv", ":lv=4");
    assert_eq!(ended[1], update::limit_change(&owner(), &before, 9));
}

#[test]
fn a_new_budget_starts_its_epoch_at_the_time_and_its_counters_at_zero() {
    let settings = terms(Mode::Observe, Some(3), None, None).settings;
    let create = Budget::create(&owner(), &settings, now());

    golden(&create, "PUT", "attribute_not_exists(pk)", "");
    let Write::Put(item) = &create.write else { panic!("not a put") };
    let budget = Budget::parse(item).unwrap();
    assert_eq!((budget.terms.epoch, budget.terms.version), (1_763_900_000_000, 1));
    assert_eq!(budget.terms.settings, settings);
    assert_eq!((&item["tc"], &item["ts"]), (&Attr::N(0), &Attr::N(0)));
}

#[test]
fn the_end_of_a_period() {
    let month = Month::from_number(202_610).unwrap();
    let day = Day::from_number(20_261_031).unwrap();
    let terms = terms(Mode::Hard, Some(100), None, None);
    let m = "(attribute_not_exists(am) OR am < :p)";
    let d = "(attribute_not_exists(ad) OR ad < :p)";

    let settled = Some(pico(9));
    let archive = update::archive_month(&owner(), month, settled, None, &terms, now()).actions;
    golden(&archive[0], "PUT", "attribute_not_exists(pk)", "");
    let Write::Put(item) = &archive[0].write else { panic!("not a put") };
    let ttl = i128::from(now().seconds()) + 34_560_000;
    assert_eq!(["s", "lm", "ttl"].map(|name| &item[name]), [9, 100, ttl].map(Attr::N).each_ref());
    let expression = "SET am = :p, ep = ep + :one REMOVE #mc, #ms";
    let condition = format!("#mc = :ms AND #ms = :ms AND {m}");
    let places = "#mc=mc_202610 #ms=ms_202610 :p=202610 :one=1 :ms=9";
    golden(&archive[1], expression, &condition, places);

    let voided = update::archive_month(&owner(), month, None, None, &terms, now()).actions;
    let condition = format!("#mc = :zero AND attribute_not_exists(#ms) AND {m}");
    let places = "#mc=mc_202610 #ms=ms_202610 :p=202610 :one=1 :zero=0";
    golden(&voided[1], expression, &condition, places);

    golden(
        &update::prune_day(&owner(), day, Some(pico(9)), None, None),
        "SET ad = :p, ep = ep + :one REMOVE #dc, #ds",
        &format!("#dc = :ds AND #ds = :ds AND {d}"),
        "#dc=dc_20261031 #ds=ds_20261031 :p=20261031 :one=1 :ds=9",
    );
    let left = update::prune_day(&owner(), day, Some(pico(9)), None, Some(day));
    let places = "#dc=dc_20261031 #ds=ds_20261031 :p=20261031 :ds=9";
    golden(&left, "REMOVE #dc, #ds", "#dc = :ds AND #ds = :ds AND ad >= :p", places);
    golden(&update::prune_fence(&owner(), rid(), 5), "REMOVE #x", "#x = :seen", "#x=x_RID :seen=5");
}

#[test]
fn a_restore_raises_the_epoch_by_a_million() {
    let raise = update::restore_fence(&owner());

    golden(&raise, "SET ep = ep + :restored", "attribute_exists(pk)", ":restored=1000000");
}

#[test]
fn alerts() {
    let name = "M#202611#80#3".parse().unwrap();
    let put = Alert { name, spent: pico(9), limit: pico(10) }.put(&owner(), now());
    golden(&put, "PUT", "attribute_not_exists(pk)", "");

    let key = || name.key(&owner());
    golden(
        &alert::lease(key(), "a", now()),
        "SET st=:L, lo=:me, lu=:until, tries = tries + :one",
        "st = :P OR (st = :L AND lu < :now)",
        ":L=L :me=a :until=1763900060 :one=1 :P=P :now=1763900000",
    );
    let owned = "st = :L AND lo = :me";
    golden(
        &alert::close(key(), "a", &[(Channel::Webhook, Ok(()))], 1, now()),
        "SET st=:st, to_webhook=:now, sent_at=:now REMOVE lo, lu, er_webhook, due",
        owned,
        ":st=S :L=L :me=a :now=1763900000",
    );
    let half = [(Channel::Sns, Ok(())), (Channel::Ses, Err("timeout".to_owned()))];
    golden(
        &alert::close(key(), "a", &half, 2, now()),
        "SET st=:st, to_sns=:now, er_ses=:ses, #at=:next REMOVE lo, lu, er_sns",
        owned,
        "#at=at :st=P :L=L :me=a :now=1763900000 :next=1763900120 :ses=timeout",
    );
    golden(
        &alert::close(key(), "a", &half[1..], 20, now()),
        "SET st=:st, er_ses=:ses REMOVE lo, lu, due",
        owned,
        ":st=F :L=L :me=a :ses=timeout",
    );
    golden(
        &alert::undeliverable(key()),
        "REMOVE #due",
        "st = :P AND attribute_exists(#due)",
        "#due=due :P=P",
    );
    golden(
        &alert::provisional_count(
            alert::provisional_key("acme", &"user:u1".parse().unwrap(), now()),
            now(),
        ),
        "SET #ttl=:ttl ADD #n :one",
        "",
        "#ttl=ttl #n=n :ttl=1764072800 :one=1",
    );
    let notice = Notice::new(Fault::Overrun, "openai/gpt-5".to_owned(), now());
    golden(&notice.put("acme", now()), "PUT", "attribute_not_exists(pk)", "");
}

#[test]
fn records() {
    let at = Key { table: Table::Logs, pk: "U#acme#u1#20261123".into(), sk: RID.into() };
    let row = update::log_put(at.clone(), [].into(), Outcome::Settled, None);
    golden(&row, "PUT", "attribute_not_exists(pk)", "");
    let over = update::log_put(at, [].into(), Outcome::Settled, Some(2));
    golden(&over, "PUT", "rk = :rk", ":rk=2");
    let mut sums = Sums::default();
    sums.add(Counter::Calls, 1);
    sums.add(Counter::Charged, -5);
    let day = Day::from_number(20_261_123).unwrap();
    let moved = update::rollup_add("acme", 3, day, (&Place::All, "openai/x"), &sums);
    let adds = "ADD c_calls :c_calls, c_usd :c_usd";
    golden(&moved[1], adds, "", ":c_calls=1 :c_usd=-5");
    let places = ":c_calls=1 :c_usd=-5 #ttl=ttl :ttl=1829995200";
    golden(&moved[0], &format!("SET #ttl = :ttl {adds}"), "", places);
    assert_eq!(moved[0].key.pk, "R#acme#all#202611#03");
    assert_eq!([&*moved[0].key.sk, &moved[1].key.sk], ["D#-#20261123#openai/x", "M#-#openai/x"]);
    let Write::Put(item) = &row.write else { panic!("not a put") };
    assert_eq!(item["rk"], Attr::N(4));

    let event = update::outbox_put(rid(), "e", now());
    golden(&event, "PUT", "attribute_not_exists(pk)", "");
    assert_eq!((event.key.pk.as_str(), event.key.sk.as_str()), ("OB#15", RID));
    golden(&update::outbox_delete(rid()), "DELETE", "", "");

    let key = Key { table: Table::Main, pk: "K#k1".to_owned(), sk: "0".to_owned() };
    golden(
        &update::last_used(key, now()),
        "SET last_used_at = :t",
        "attribute_exists(pk) AND (attribute_not_exists(last_used_at) \
         OR last_used_at < :t_minus_300)",
        ":t=1763900000 :t_minus_300=1763899700",
    );
}

#[test]
fn claims() {
    let user = "u1".parse().unwrap();
    let claim = Claim::new("acme", &user, "hash", rid(), "fp".to_owned());
    let take = claim.take(now(), now());
    golden(&take, "PUT", "attribute_not_exists(pk) OR #ttl < :now", "#ttl=ttl :now=1763900000");
    assert_eq!((take.key.pk.as_str(), take.key.sk.as_str()), ("I#acme#u1", "hash"));
    let Write::Put(item) = &take.write else { panic!("not a put") };
    assert_eq!((&item["until"], &item["ttl"]), (&Attr::N(1_763_900_060), &Attr::N(1_763_986_400)));

    let open = "rid = :rid AND st = :P";
    golden(&claim.unbilled(), "DELETE", open, ":rid=RID :P=P");
    golden(&claim.done(2), "SET st = :D, n = :n", open, ":rid=RID :P=P :D=D :n=2");
    let part = claim.part(1, 2, "sealed", now());
    golden(&part, "PUT", "", "");
    assert_eq!(part.key.sk, format!("hash#{RID}#0001"));
}

#[test]
fn content() {
    let key = update::content_key("acme", &"u1".parse().unwrap(), rid(), 1);
    assert_eq!((key.pk.as_str(), key.sk), ("X#acme#u1", format!("{RID}#0001")));
    let key = update::content_key("acme", &"u1".parse().unwrap(), rid(), 0);
    let put = update::content_put(key.clone(), "sealed", 2, now());
    golden(&put, "PUT", "", "");
    let Write::Put(item) = &put.write else { panic!("not a put") };
    assert_eq!((&item["n"], &item["ttl"]), (&Attr::N(2), &Attr::N(1_763_900_000)));
    golden(&update::content_delete(key), "DELETE", "", "");
}

#[test]
fn quarantine() {
    let key = update::quarantine_key("acme", "demo", "a/b#c");
    assert_eq!((key.pk.as_str(), key.sk.as_str()), ("P#acme", "!#demo#a/b#c"));
    let put = update::quarantine_put(key, rid(), pico(1), pico(2), now());
    golden(&put, "PUT", "attribute_not_exists(pk)", "");
}
