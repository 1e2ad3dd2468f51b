//! Budgets that are divided into shares (money.md 4.3): where a call is held, and what a share
//! draws from the whole. What is to be done is decided by [`Divided`]; this performs it.

use core::iter::once;

use farebox_core::{Money, Rid, Scope, Timestamp};
use farebox_ledger::share::share_settings;
use farebox_ledger::{
    Admission, Answer, Budget, Cause, Divided, Mode, Next, Period, Refusal, Shares, Terms, Why,
    update,
};

use super::held::Part;
use super::{Attempt, Ledger, Traffic};
use crate::error::Error;
use crate::expression::Store;

/// Looks and moves for one call that a share has no room for: returns from the others, and draws.
const MOVES_MAX: u32 = 16;
/// How often a call is held again in a share that has drawn for it: others may be quicker.
const ROUNDS_MAX: u32 = 4;
/// Looks at all shares after a change, before the rest is left to the next scan.
const PASSES_MAX: u32 = 4;
/// Writes that one change of the switch may lose to others.
const SWITCHES_MAX: u32 = 5;
/// A draw ahead is thought of so often at most.
const AHEAD_MS: i64 = 1_000;

impl Ledger {
    /// As [`Ledger::budgets`], with `None` where a scope has no budget. What the shares of a
    /// divided budget have settled and held is counted in it.
    ///
    /// # Errors
    /// [`Error`] where a batch cannot be read, or an item is malformed.
    pub async fn find_budgets(&self, scopes: &[Scope]) -> Result<Vec<Option<Budget>>, Error> {
        let mut found = self.items(scopes, &mut 0).await?;
        for (scope, budget) in scopes.iter().zip(&mut found) {
            if budget.as_ref().is_some_and(|budget| budget.terms.shares.made > 0) {
                *budget = self.divided(scope).await?.map(|divided| divided.merged());
            }
        }
        Ok(found)
    }

    /// A budget with all its shares, strongly consistent; `None` where there is none.
    ///
    /// # Errors
    /// [`Error`] where a batch cannot be read, or an item is malformed or missing.
    pub async fn divided(&self, whole: &Scope) -> Result<Option<Divided>, Error> {
        self.divided_counted(whole, &mut 0).await
    }

    /// The same; adds the capacity units that it used, in tenths.
    pub(super) async fn divided_counted(
        &self,
        whole: &Scope,
        capacity_tenths: &mut u32,
    ) -> Result<Option<Divided>, Error> {
        let mut made = self.known(whole).map_or(0, |terms| terms.shares.made);
        loop {
            let shares = (0..made).map(|share| whole.with_share(share));
            let scopes: Vec<_> = once(whole.clone()).chain(shares).collect();
            let mut found = self.items(&scopes, capacity_tenths).await?.into_iter();
            let Some(budget) = found.next().flatten() else { return Ok(None) };
            // More were made than this process knew of.
            if budget.terms.shares.made > made {
                made = budget.terms.shares.made;
                continue;
            }
            let shares = found.zip(scopes.iter().skip(1));
            let shares = shares.map(|(share, scope)| share.ok_or(Error::NoBudget(scope.clone())));
            let shares = shares.collect::<Result<Vec<_>, _>>()?;
            return Ok(Some(Divided { owner: self.owner(whole), budget, shares }));
        }
    }

    /// Whether this process knows of shares of a budget.
    pub(super) fn is_divided(&self, whole: &Scope) -> bool {
        self.known(whole).is_some_and(|terms| terms.shares.made > 0)
    }

    /// Where a call is held: in the budget itself, or in the better of two shares drawn by lot.
    /// Who does not know of a switch holds where it was: that is safe, only slower.
    pub(super) async fn place(&self, whole: &Scope, terms: Terms) -> (Scope, Terms, u32) {
        let Some(last) = terms.shares_used().checked_sub(1) else {
            return (whole.clone(), terms, 0);
        };
        let [first, second] = [(), ()].map(|()| {
            let drawn = self.aws.chance().checked_rem(u64::from(last).saturating_add(1));
            whole.with_share(drawn.and_then(|drawn| u8::try_from(drawn).ok()).unwrap_or_default())
        });
        let room = |share: &Scope| self.cache().get(share).and_then(|known| known.room);
        let share = if room(&second) > room(&first) { second } else { first };
        let follows = |known: &Terms| {
            let (own, wanted) = (&known.settings, &terms.settings);
            (own.mode, &own.zone) == (wanted.mode, &wanted.zone)
        };
        let (known, tenths) = match self.known(&share).filter(follows) {
            Some(known) => (known, 0),
            None => match self.read_terms(&share, false).await {
                Ok(read) => read,
                Err(_) => return (whole.clone(), terms, 0),
            },
        };
        // One that has not followed a change of the mode or zone yet would refuse a call for it.
        if follows(&known) { (share, known, tenths) } else { (whole.clone(), terms, tenths) }
    }

    /// Holds in a place; where that has no room, after it has drawn more, or got back what shares
    /// have left over; and where it is a share that is not in use any more, in the whole.
    pub(super) async fn reserve_in(
        &self,
        whole: &Scope,
        place: &Scope,
        rid: Rid,
        amount: Money,
        terms: Terms,
    ) -> Attempt {
        let mut attempt = self.reserve_one(place, rid, amount, terms).await;
        let mut rounds = 0;
        while let Some(need) = needing(&attempt) {
            rounds += 1;
            let mut traffic = Traffic::default();
            let next = match need {
                // An attempt without an answer may yet land, so nothing more is tried; and others
                // may be quicker every time. What a share has left says nothing about the whole.
                _ if attempt.1.ambiguous || rounds > ROUNDS_MAX => Err(contended(amount)),
                Need::Another => Err(Admission::Restart),
                Need::Room => self.replenish(&attempt.0.scope, amount, &mut traffic).await,
            };
            let again = match next {
                Ok(terms) => Some(self.reserve_one(&attempt.0.scope, rid, amount, terms).await),
                Err(Admission::Restart) => self.reserve_whole(whole, rid, amount).await,
                Err(admission) => {
                    attempt.1.admission = admission;
                    break;
                }
            };
            let used = traffic.capacity_tenths.saturating_add(attempt.2.capacity_tenths);
            let Some(again) = again else {
                attempt.1.admission = Admission::Unavailable(Cause::NoAnswer);
                break;
            };
            attempt = again;
            attempt.2.add(used);
        }
        let (part, ..) = &attempt;
        if let Some(known) = self.cache().get_mut(&part.scope) {
            known.room = part.tightest().map(|(_, room)| room);
        }
        attempt
    }

    async fn reserve_whole(&self, whole: &Scope, rid: Rid, amount: Money) -> Option<Attempt> {
        let (terms, _) = self.read_terms(whole, true).await.ok()?;
        Some(self.reserve_one(whole, rid, amount, terms).await)
    }

    /// Gets a share, or the budget itself, room for a call: draws, and where the pool is empty,
    /// returns of others. The terms there then; else why there is none.
    pub(super) async fn replenish(
        &self,
        place: &Scope,
        amount: Money,
        traffic: &mut Traffic,
    ) -> Result<Terms, Admission> {
        let (whole, number) = (place.whole(), place.share);
        let store = Store::money(&self.aws);
        for _ in 0..MOVES_MAX {
            let used = &mut traffic.capacity_tenths;
            let divided = match self.divided_counted(&whole, used).await {
                Ok(Some(divided)) => divided,
                Ok(None) => return Err(Admission::Unavailable(Cause::NoBudget)),
                Err(_) => return Err(Admission::Unavailable(Cause::NoAnswer)),
            };
            self.learn(&divided);
            match divided.next(number, amount, self.aws.now()) {
                Next::Ready => {
                    let own = match number {
                        Some(number) => divided.shares.into_iter().nth(usize::from(number)),
                        None => Some(divided.budget),
                    };
                    return own.map(|own| own.terms).ok_or(Admission::Restart);
                }
                // Whatever became of it, the next look tells.
                Next::Move(moved) => traffic.add(store.transact(&moved).await.capacity_tenths),
                Next::Refused(refusal) => return Err(Admission::Refused(refusal)),
                Next::Gone => return Err(Admission::Restart),
            }
        }
        Err(contended(amount))
    }

    /// Draws ahead for the shares that a call was held in, where little is left in them: beside
    /// the provider's answer, so that no later call waits for it.
    pub async fn draw_ahead(&self, shares: Vec<Part>) {
        for part in &shares {
            if self.is_low(part) {
                self.draw_one(&part.scope).await;
            }
        }
    }

    fn is_low(&self, part: &Part) -> bool {
        let Some(whole) = self.known(&part.scope.whole()) else { return false };
        let room = |period| part.room(period).unwrap_or_default();
        if !whole.is_low(Period::of(part.hold.day), room) {
            return false;
        }
        let (mut cache, now) = (self.cache(), self.aws.now());
        let Some(known) = cache.get_mut(&part.scope) else { return false };
        let is_due = |at: Timestamp| now.since(at) >= AHEAD_MS;
        let is_due = known.looked_at.is_none_or(is_due);
        if is_due {
            known.looked_at = Some(now);
        }
        is_due
    }

    async fn draw_one(&self, share: &Scope) {
        // Nothing depends on it: a share without room draws when a call needs it.
        let Ok(Some(divided)) = self.divided(&share.whole()).await else { return };
        self.learn(&divided);
        let number = share.share.unwrap_or_default();
        let Some(draw) = divided.ahead(number, self.aws.now()) else { return };
        if Store::money(&self.aws).transact(&draw).await.answer == Answer::Applied {
            // The next call reads what it may commit now.
            self.cache().remove(share);
        }
    }

    fn learn(&self, divided: &Divided) {
        let whole = &divided.owner.scope;
        self.remember(whole, &divided.budget.terms);
        for (number, share) in (0_u8..).zip(&divided.shares) {
            self.remember(&whole.with_share(number), &share.terms);
        }
    }

    /// Forgets what is cached of the budget that this is a share of.
    pub(super) fn forget_whole(&self, share: &Scope) {
        if share.share.is_some() {
            self.cache().remove(&share.whole());
        }
    }
}

impl Ledger {
    /// Does for the shares of a budget what is due: the mode and zone of the whole, what they
    /// have committed beyond their allowance, and back what is too much. Whether a change is
    /// still pending then; `None` where the budget has no shares.
    ///
    /// # Errors
    /// [`Error`] where the budget or a share cannot be read.
    pub async fn tend(&self, whole: &Scope, now: Timestamp) -> Result<Option<bool>, Error> {
        let store = Store::patient(&self.aws);
        let mut passes = 0;
        loop {
            let divided = self.divided(whole).await?;
            let Some(divided) = divided.filter(|divided| !divided.shares.is_empty()) else {
                return Ok(None);
            };
            let writes = divided.tend(now);
            passes += 1;
            if writes.is_empty() || passes > PASSES_MAX {
                return Ok(Some(divided.is_pending(now)));
            }
            for write in &writes {
                // Where it did not apply, the next look decides anew.
                store.transact(write).await;
            }
        }
    }

    /// Switches a budget to so many shares, or with 0 back to itself. It binds when the caches
    /// have seen it; until then calls are held where they were, which is counted all the same.
    ///
    /// # Errors
    /// [`Error`] where the budget cannot be read or written.
    pub async fn switch(&self, whole: &Scope, used: u8) -> Result<(), Error> {
        let store = Store::patient(&self.aws);
        for _ in 0..SWITCHES_MAX {
            let divided = self.divided(whole).await?;
            let divided = divided.ok_or_else(|| Error::NoBudget(whole.clone()))?;
            let before = divided.budget.terms.shares;
            if before.used == used {
                return Ok(());
            }
            let mut terms = divided.budget.terms;
            terms.shares = Shares { used, made: before.made.max(used) };
            for number in 0..used {
                let owner = self.owner(&whole.with_share(number));
                let settings = share_settings(&terms, number);
                match divided.shares.get(usize::from(number)) {
                    // It is opened before calls come to it.
                    Some(share) if share.terms.settings.mode == Mode::Closed => {
                        let open = update::limit_change(&owner, &settings, share.terms.epoch);
                        store.record(&open).await?;
                    }
                    Some(_) => {}
                    None => {
                        let create = update::create_share(&owner, &settings, self.aws.now());
                        store.record(&create).await?;
                    }
                }
            }
            let switch = update::switch(&self.owner(whole), terms.shares, terms.epoch);
            if store.record(&switch).await? {
                return Ok(());
            }
        }
        let cause = "the budget changed with every try".to_owned();
        Err(Error::Unavailable { operation: "UpdateItem", cause })
    }
}

/// Why a share, or a budget whose shares may have something left, refuses a call: nobody yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It has no room, or what it may commit changed too often to be followed.
    Room,
    /// It is not in use any more.
    Another,
}

/// `None` where the call is held, or nothing can be done about it there.
fn needing((part, reserved, _): &Attempt) -> Option<Need> {
    let is_share = part.scope.share.is_some();
    match &reserved.admission {
        Admission::Refused(refusal) => match refusal.why {
            Why::Exceeded(_) | Why::Contention(_) => part.may_get_more().then_some(Need::Room),
            Why::Closed => is_share.then_some(Need::Another),
            Why::TooManyHolds | Why::Fenced => None,
        },
        Admission::Unavailable(Cause::Stale) => is_share.then_some(Need::Room),
        _ => None,
    }
}

fn contended(needed: Money) -> Admission {
    let why = Why::TooManyHolds;
    Admission::Refused(Box::new(Refusal { why, needed, budget: None }))
}
