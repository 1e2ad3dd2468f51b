//! A budget that is divided into shares: the strings that are sent, and what is decided.

use farebox_core::{Day, Money, Month, Timestamp};
use farebox_ledger::share::share_settings;
use farebox_ledger::{
    Answer, Budget, Divided, Mode, Move, Next, Owner, Period, Prospect, Reserve, Shares, Step,
    Terms, Transaction, Why, Write, update,
};

use crate::bench::{NOON, at, day, rid};
use crate::expressions::golden;
use crate::support::Store;
use crate::world::{pico, settings};

fn whole() -> Owner {
    Owner::new("acme", "org:o1".parse().unwrap())
}

fn share(number: u8) -> Owner {
    Owner { scope: whole().scope.with_share(number), ..whole() }
}

/// A divided budget, a good network, and a clock that stands still.
pub struct Hot {
    store: Store,
    pub now: Timestamp,
}

impl Hot {
    pub fn new(mode: Mode, limits: [Option<i128>; 3], used: u8) -> Self {
        let (mut store, now) = (Store::default(), at(NOON));
        store.apply(&Budget::create(&whole(), &settings(mode, limits), now));
        let mut hot = Self { store, now };
        let shares = Shares { used, made: used };
        let switch = update::switch(&whole(), shares, hot.budget(&whole()).terms.epoch);
        assert_eq!(hot.store.apply(&switch), Answer::Applied);
        let terms = hot.budget(&whole()).terms;
        for number in 0..used {
            let create = update::create_share(&share(number), &share_settings(&terms, number), now);
            assert_eq!(hot.store.apply(&create), Answer::Applied);
        }
        hot
    }

    fn budget(&self, owner: &Owner) -> Budget {
        Budget::parse(&self.store.get(&owner.budget()).unwrap()).unwrap()
    }

    pub fn divided(&self) -> Divided {
        let budget = self.budget(&whole());
        let shares = (0..budget.terms.shares.made).map(|number| self.budget(&share(number)));
        Divided { owner: whole(), shares: shares.collect(), budget }
    }

    fn move_it(&mut self, moved: &Transaction) {
        assert_eq!(self.store.transact(moved), Answer::Applied, "{moved:?}");
    }

    /// Gets a share room for a call, whatever it takes; why not, where there is none.
    fn need(&mut self, number: impl Into<Option<u8>>, amount: i128) -> Result<u32, Why> {
        let number = number.into();
        for moves in 0..9 {
            match self.divided().next(number, pico(amount), self.now) {
                Next::Ready => return Ok(moves),
                Next::Move(moved) => self.move_it(&moved),
                Next::Refused(refusal) => return Err(refusal.why),
                Next::Gone => panic!("gone"),
            }
        }
        panic!("it does not end");
    }

    fn hold(&mut self, number: u8, call: u128, amount: i128) {
        self.need(number, amount).unwrap();
        let terms = self.budget(&share(number)).terms;
        let reserve = self.machine(number, call, amount, terms);
        let mut reserve = reserve;
        let Step::Send(write) = reserve.step(self.now) else { panic!("a write") };
        assert_eq!(self.store.apply(&write), Answer::Applied);
    }

    fn machine(&self, number: u8, call: u128, amount: i128, terms: Terms) -> Reserve {
        Reserve::new(share(number), rid(call), pico(amount), terms, self.now, 900)
    }

    fn settle(&mut self, number: u8, call: u128, cost: i128) {
        let hold = self.budget(&share(number)).holds[&rid(call)];
        let write = update::settle(&share(number), rid(call), &hold, pico(cost), None);
        assert_eq!(self.store.apply(&write), Answer::Applied);
    }

    fn allowed(&self, number: u8) -> i128 {
        self.budget(&share(number)).terms.limit(Period::Month(day().month())).unwrap().pico()
    }

    fn granted(&self) -> i128 {
        let budget = self.budget(&whole());
        budget.granted.get(&Period::Month(day().month())).map_or(0, |amount| amount.pico())
    }

    fn change(&mut self, mode: Mode, limits: [Option<i128>; 3]) {
        let epoch = self.budget(&whole()).terms.epoch;
        let change = update::limit_change(&whole(), &settings(mode, limits), epoch);
        assert_eq!(self.store.apply(&change), Answer::Applied);
    }

    /// Tends until nothing is left to do; the passes that it took.
    fn tend(&mut self) -> usize {
        for pass in 0..9 {
            let writes = self.divided().tend(self.now);
            if writes.is_empty() {
                return pass;
            }
            for write in &writes {
                self.store.transact(write);
            }
        }
        panic!("it does not end");
    }
}

fn moved(month: i128, day_amount: i128, total: i128) -> Move {
    Move { day: day(), amounts: [month, day_amount, total].map(pico) }
}

const MARKS: &str =
    "(attribute_not_exists(am) OR am < :month) AND (attribute_not_exists(ad) OR ad < :day)";
const NAMES: &str = "#mc=mc_202611 #dc=dc_20261123";

#[test]
fn a_draw_asks_the_whole_for_room_and_gives_the_share_an_allowance() {
    let hot = Hot::new(Mode::Hard, [Some(100), None, Some(80)], 2);
    let mut terms = hot.budget(&whole()).terms;
    terms.epoch = 7;
    let [of_whole, of_share] =
        update::draw(&whole(), &share(1), &moved(10, 20, 30), &terms).actions.try_into().unwrap();

    golden(
        &of_whole,
        "ADD #mc :m, #mg :m, #dc :d, #dg :d, tc :t, tg :t",
        "ep = :ep AND (attribute_not_exists(#mc) OR #mc <= :mroom) AND tc <= :troom",
        &format!(
            "{NAMES} #mg=mg_202611 #dg=dg_20261123 :m=10 :d=20 :t=30 :ep=7 :mroom=90 :troom=50"
        ),
    );
    golden(
        &of_share,
        "ADD #ma :m, #mc :zero, #da :d, #dc :zero, ta :t, tc :zero",
        &format!("attribute_exists(ta) AND {MARKS}"),
        &format!(
            "{NAMES} #ma=ma_202611 #da=da_20261123 :m=10 :d=20 :t=30 :zero=0 :month=202611 \
             :day=20261123"
        ),
    );
    let [of_whole, of_share] =
        update::draw(&whole(), &share(1), &moved(0, 5, 0), &terms).actions.try_into().unwrap();
    golden(
        &of_whole,
        "ADD #dc :d, #dg :d",
        "ep = :ep",
        "#dc=dc_20261123 #dg=dg_20261123 :d=5 :ep=7",
    );
    let condition = "attribute_exists(ta) AND (attribute_not_exists(ad) OR ad < :day)";
    let places = "#da=da_20261123 #dc=dc_20261123 :d=5 :zero=0 :day=20261123";
    golden(&of_share, "ADD #da :d, #dc :zero", condition, places);
}

#[test]
fn a_return_leaves_what_is_committed_and_raises_the_shares_epoch() {
    let mut hot = Hot::new(Mode::Hard, [Some(100), None, None], 2);
    hot.move_it(&update::draw(
        &whole(),
        &share(0),
        &moved(50, 50, 50),
        &hot.budget(&whole()).terms,
    ));
    let mut read = hot.budget(&share(0));
    read.terms.epoch = 7;
    let [of_share, of_whole] = update::give_back(&whole(), &share(0), &moved(20, 0, 30), &read)
        .actions
        .try_into()
        .unwrap();

    golden(
        &of_share,
        "SET ep = ep + :one ADD #ma :m, ta :t",
        "ep = :ep AND #mc <= :mroom AND tc <= :troom",
        "#ma=ma_202611 #mc=mc_202611 :m=-20 :t=-30 :mroom=30 :troom=20 :one=1 :ep=7",
    );
    golden(
        &of_whole,
        "ADD #mc :m, #mg :m, tc :t, tg :t",
        "attribute_exists(pk) AND (attribute_not_exists(am) OR am < :month)",
        "#mc=mc_202611 #mg=mg_202611 :m=-20 :t=-30 :month=202611",
    );
}

#[test]
fn a_cover_is_told_once_and_asks_for_no_room() {
    let mut hot = Hot::new(Mode::Hard, [Some(10), None, None], 2);
    let mut read = hot.budget(&share(0));
    let epoch = std::mem::replace(&mut read.terms.epoch, 7);
    let [of_whole, of_share] =
        update::cover(&whole(), &share(0), &moved(20, 0, 20), &read).actions.try_into().unwrap();

    golden(
        &of_whole,
        "ADD #mc :m, #mg :m, tc :t, tg :t",
        "attribute_exists(pk) AND (attribute_not_exists(am) OR am < :month)",
        "#mc=mc_202611 #mg=mg_202611 :m=20 :t=20 :month=202611",
    );
    golden(
        &of_share,
        "ADD #ma :m, #mc :zero, ta :t, tc :zero",
        "attribute_exists(ta) AND (attribute_not_exists(am) OR am < :month) \
         AND ep = :ep AND attribute_not_exists(#ma) AND ta = :troom",
        "#ma=ma_202611 #mc=mc_202611 :m=20 :t=20 :zero=0 :month=202611 :ep=7 :troom=0",
    );
    read.terms.epoch = epoch;
    let cover = update::cover(&whole(), &share(0), &moved(20, 0, 20), &read);
    hot.move_it(&cover);
    assert!(matches!(hot.store.transact(&cover), Answer::Cancelled(_)), "twice");
    let back = update::give_back(&whole(), &share(0), &moved(20, 0, 20), &hot.budget(&share(0)));
    hot.move_it(&back);
    assert!(matches!(hot.store.transact(&cover), Answer::Cancelled(_)), "it comes late");
}

#[test]
fn a_place_is_free_while_a_share_in_use_has_one() {
    let mut hot = Hot::new(Mode::Hard, [Some(1_000), None, None], 2);
    for (number, call) in [(0, 1), (1, 2), (1, 3)] {
        hot.hold(number, call, 1);
    }
    assert_eq!(hot.divided().merged().open, 1);
    for (used, open) in [(1, 1), (0, 0)] {
        let epoch = hot.budget(&whole()).terms.epoch;
        let switch = update::switch(&whole(), Shares { used, made: 2 }, epoch);
        assert_eq!(hot.store.apply(&switch), Answer::Applied);
        assert_eq!(hot.divided().merged().open, open, "{used} in use");
    }
    // In a share that is not in use nobody is let in, however many are open in the whole.
    let mut reserve =
        Reserve::new(whole(), rid(4), pico(1), hot.budget(&whole()).terms, hot.now, 900);
    let Step::Send(write) = reserve.step(hot.now) else { panic!("a write") };
    assert_eq!(hot.store.apply(&write), Answer::Applied);
    assert_eq!(hot.divided().merged().open, 1);
}

#[test]
fn the_switch_and_a_new_share() {
    golden(
        &update::switch(&whole(), Shares { used: 8, made: 16 }, 7),
        "SET sn = :sn, sm = :sm, ep = ep + :one",
        "ep = :ep",
        ":sn=8 :sm=16 :one=1 :ep=7",
    );
    let terms = Hot::new(Mode::Balanced, [Some(1), None, None], 2).budget(&whole()).terms;
    let create = update::create_share(&share(1), &share_settings(&terms, 1), at(NOON));
    golden(&create, "PUT", "attribute_not_exists(pk)", "");
    let Write::Put(item) = &create.write else { panic!("not a put") };
    let made = Budget::parse(item).unwrap();
    assert_eq!(made.terms.settings.mode, Mode::Balanced);
    assert!(made.terms.is_metered(), "its allowance is a limit");
    assert_eq!(made.terms.limit(Period::Total), Some(Money::ZERO));
    assert_eq!(share_settings(&terms, 2).mode, Mode::Closed, "it is not in use");
}

#[test]
fn a_period_closes_with_what_shares_have_drawn_of_it() {
    let month = Month::from_number(202_610).unwrap();
    let day = Day::from_number(20_261_031).unwrap();
    let terms = Hot::new(Mode::Hard, [Some(100), None, None], 2).budget(&whole()).terms;
    let (settled, granted) = (Some(pico(9)), Some(pico(30)));
    let archive = update::archive_month(&whole(), month, settled, granted, &terms, at(NOON));

    let [_, prune] = archive.actions.try_into().unwrap();
    golden(
        &prune,
        "SET am = :p, ep = ep + :one REMOVE #mc, #ms, #mg",
        "#mc = :mc AND #ms = :ms AND #mg = :mg AND (attribute_not_exists(am) OR am < :p)",
        "#mc=mc_202610 #ms=ms_202610 #mg=mg_202610 :p=202610 :one=1 :mc=39 :ms=9 :mg=30",
    );
    golden(
        &update::prune_day(&whole(), day, None, granted, None),
        "SET ad = :p, ep = ep + :one REMOVE #dc, #ds, #dg",
        "#dc = :dc AND attribute_not_exists(#ds) AND #dg = :dg \
         AND (attribute_not_exists(ad) OR ad < :p)",
        "#dc=dc_20261031 #ds=ds_20261031 #dg=dg_20261031 :p=20261031 :one=1 :dc=30 :dg=30",
    );
    golden(
        &update::prune_day(&share(1), day, settled, None, None),
        "SET ad = :p, ep = ep + :one REMOVE #dc, #ds, #da",
        "#dc = :ds AND #ds = :ds AND (attribute_not_exists(ad) OR ad < :p)",
        "#dc=dc_20261031 #ds=ds_20261031 #da=da_20261031 :p=20261031 :one=1 :ds=9",
    );
}

#[test]
fn a_draw_takes_ahead_but_leaves_the_others_half_of_the_pool() {
    let mut hot = Hot::new(Mode::Hard, [Some(1_600), None, None], 2);

    // An eighth of the limit, over the shares in use: 100; and four calls' worth.
    assert_eq!(hot.need(0, 10), Ok(1));
    assert_eq!((hot.allowed(0), hot.granted()), (100, 100));
    assert_eq!(hot.need(1, 400), Ok(1));
    assert_eq!((hot.allowed(1), hot.granted()), (750, 850));
    assert_eq!(hot.need(0, 10), Ok(0), "there is room");
    let counter = hot.divided().merged().counter(Period::Month(day().month()));
    assert_eq!(counter.committed, Money::ZERO, "nothing is spent yet");
}

#[test]
fn an_empty_pool_is_filled_by_the_richest_share_and_then_refuses() {
    let mut hot = Hot::new(Mode::Hard, [Some(100), None, None], 3);
    hot.hold(0, 1, 20);
    hot.hold(1, 2, 20);
    hot.hold(2, 3, 20);
    // 40 are left, in parts that none of the shares has by itself.
    let moves = hot.need(0, 40).unwrap();
    assert!(moves > 1, "{moves}");
    hot.hold(0, 4, 40);

    assert!(matches!(hot.need(1, 1), Err(Why::Contention(_))), "holds stand in the way");
    hot.settle(0, 4, 40);
    for (number, call) in [(0, 1), (1, 2), (2, 3)] {
        hot.settle(number, call, 20);
    }
    let Err(Why::Exceeded(short)) = hot.need(1, 1) else { panic!("room") };
    assert_eq!((short.limit, short.counter.committed), (pico(100), pico(100)));
    assert_eq!(hot.divided().merged().prospect(short.period, pico(1)), Prospect::Refused);
}

#[test]
fn what_a_share_may_commit_grows_under_a_reserve_that_does_not_know_it() {
    let mut hot = Hot::new(Mode::Hard, [Some(100), None, None], 2);
    hot.hold(0, 1, 5);
    let old = hot.budget(&share(0)).terms;
    hot.need(0, 60).unwrap();

    let mut reserve = hot.machine(0, 2, 60, old);
    let Step::Send(first) = reserve.step(hot.now) else { panic!("a write") };
    let answer = hot.store.apply(&first);
    assert!(matches!(answer, Answer::ConditionFailed(Some(_))));
    reserve.observe(answer, hot.now, 0);
    let Step::Send(second) = reserve.step(hot.now) else { panic!("it follows") };
    assert_eq!(hot.store.apply(&second), Answer::Applied);
}

#[test]
fn a_share_draws_ahead_when_half_of_a_draw_is_left() {
    let mut hot = Hot::new(Mode::Hard, [Some(1_600), None, None], 2);
    hot.hold(0, 1, 49);
    assert_eq!(hot.allowed(0), 196, "four calls' worth");
    hot.hold(0, 2, 96);
    assert_eq!(hot.divided().ahead(0, hot.now), None, "51 of a hundred are left");
    hot.hold(0, 3, 2);

    let draw = hot.divided().ahead(0, hot.now).unwrap();
    hot.move_it(&draw);

    assert_eq!(hot.allowed(0), 247, "a hundred are left");
    assert_eq!(hot.divided().ahead(0, hot.now), None);
}

#[test]
fn a_lowered_limit_is_pending_until_what_is_idle_is_back() {
    let mut hot = Hot::new(Mode::Hard, [Some(1_600), None, None], 2);
    hot.hold(0, 1, 10);
    hot.hold(1, 2, 10);
    assert!(!hot.divided().is_pending(hot.now));
    hot.change(Mode::Hard, [Some(50), None, None]);
    assert!(hot.divided().is_pending(hot.now));

    hot.tend();

    assert!(!hot.divided().is_pending(hot.now));
    assert!(hot.granted() <= 50, "E1 for the new limit: {}", hot.granted());
    assert!(hot.allowed(0) >= 10 && hot.allowed(1) >= 10, "what is held stays");
    assert!(matches!(hot.need(0, 31), Err(Why::Contention(_))));
    hot.need(0, 30).unwrap();
}

#[test]
fn switched_off_a_budget_is_pending_until_no_call_is_held_in_a_share() {
    let mut hot = Hot::new(Mode::Hard, [Some(1_600), None, None], 2);
    hot.hold(0, 1, 10);
    let (shares, epoch) = (Shares { used: 0, made: 2 }, hot.budget(&whole()).terms.epoch);
    hot.store.apply(&update::switch(&whole(), shares, epoch));

    hot.tend();
    assert_eq!((hot.granted(), hot.allowed(0)), (10, 10), "all but the open hold is back");
    assert!(hot.divided().is_pending(hot.now));
    assert_eq!(hot.divided().next(Some(0), pico(1), hot.now), Next::Gone);
    hot.settle(0, 1, 4);
    assert!(hot.divided().is_pending(hot.now), "what the call did not cost is on its way");
    hot.tend();

    assert!(!hot.divided().is_pending(hot.now));
    assert_eq!(hot.granted(), 4, "what was spent in the share stays spent");
    let month = Period::Month(day().month());
    assert_eq!(hot.divided().merged().counter(month).settled(), pico(4));
}

#[test]
fn a_budget_that_is_united_again_gets_what_its_shares_have_left_and_knows_what_they_spent() {
    let mut hot = Hot::new(Mode::Hard, [Some(100), None, None], 2);
    hot.hold(0, 1, 20);
    hot.hold(1, 2, 30);
    let (shares, epoch) = (Shares { used: 0, made: 2 }, hot.budget(&whole()).terms.epoch);
    hot.store.apply(&update::switch(&whole(), shares, epoch));
    hot.tend();
    hot.settle(0, 1, 5);
    hot.settle(1, 2, 30);

    // 15 are left in a share, and no scan has given them back yet.
    assert_eq!(hot.budget(&whole()).room(Period::Month(day().month())), Some(pico(50)));
    assert_eq!(hot.need(None, 60), Ok(1));
    assert_eq!(hot.need(None, 65), Ok(1));
    assert_eq!(hot.need(None, 65), Ok(0));
    let Err(Why::Exceeded(short)) = hot.need(None, 66) else { panic!("room") };
    assert_eq!((short.limit, short.counter.committed), (pico(100), pico(35)));
    hot.change(Mode::Soft, [Some(35), None, None]);
    assert!(matches!(hot.need(None, 1), Err(Why::Exceeded(_))), "soft lets one more in below");
    hot.change(Mode::Soft, [Some(36), None, None]);
    hot.need(None, 50).unwrap();
}

#[test]
fn shares_follow_the_mode_and_the_zone_of_the_whole() {
    let mut hot = Hot::new(Mode::Hard, [Some(1_600), None, None], 2);
    hot.hold(0, 1, 10);
    for (mode, follows) in [
        (Mode::Balanced, Mode::Balanced),
        (Mode::Soft, Mode::Closed),
        (Mode::Observe, Mode::Closed),
        (Mode::Closed, Mode::Closed),
        (Mode::Hard, Mode::Hard),
    ] {
        hot.change(mode, [Some(1_600), None, None]);
        hot.tend();

        let share = hot.budget(&share(0));
        assert_eq!(share.terms.settings.mode, follows, "{mode:?}");
        let back = follows == Mode::Closed;
        assert!(!back || hot.allowed(0) == 10, "{mode:?}: only the open hold is left there");
    }
}

#[test]
fn a_cost_above_its_hold_is_covered_by_the_whole() {
    let mut hot = Hot::new(Mode::Hard, [Some(100), None, None], 2);
    hot.hold(0, 1, 10);
    let allowed = hot.allowed(0);
    hot.settle(0, 1, allowed + 7);

    hot.tend();

    assert_eq!(hot.allowed(0), allowed + 7);
    let whole = hot.budget(&whole());
    assert_eq!(whole.counter(Period::Month(day().month())).committed, pico(allowed + 7));
}

#[test]
fn what_a_call_cost_in_a_share_is_the_wholes() {
    let mut hot = Hot::new(Mode::Hard, [Some(100), None, None], 2);
    hot.hold(0, 1, 10);
    hot.hold(1, 2, 20);
    hot.settle(0, 1, 6);

    let merged = hot.divided().merged();

    let counter = merged.counter(Period::Month(day().month()));
    assert_eq!((counter.settled(), counter.held()), (pico(6), pico(20)));
    assert_eq!(merged.room(Period::Month(day().month())), Some(pico(74)));
    assert_eq!((merged.total.settled(), merged.open), (pico(6), 0));
}
