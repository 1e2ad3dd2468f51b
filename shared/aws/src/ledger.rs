//! The ledger's driver: performs what the machines of `farebox-ledger` say.

mod entry;
mod extend;
mod held;
mod refusal;
mod room;
mod shares;
mod sweep;

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farebox_core::{Decision, Money, Rid, SCOPES_MAX, Scope, ScopePart, Timestamp};
use farebox_ledger::attempt::{RESERVE_TOTAL_MS, Reserved};
use farebox_ledger::{
    Admission, Answer, Attr, Budget, Cause, Ended, Ending, Hold, Item, Mode, Owner, Reserve, Step,
    Terms, Update,
};
use futures_util::future::join_all;

pub use held::Held;
pub use refusal::Refusal;

use held::Part;

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Failure, Store, again, item};

/// Seconds after which a call is over: the limit of a Lambda function.
pub const DEADLINE_S: u32 = 900;
/// Terms kept for scopes seen before. An entry needs no expiry: the epoch fences it.
const TERMS_MAX: usize = 4_096;

/// Budgets in DynamoDB.
pub struct Ledger {
    aws: Aws,
    terms: Mutex<HashMap<Scope, Known>>,
}

/// What this process knows of a budget.
#[derive(Clone)]
struct Known {
    terms: Terms,
    /// What a share had left when it was written last.
    room: Option<Money>,
    /// When a draw ahead for this share was last thought of.
    looked_at: Option<Timestamp>,
}

/// What a call asks its scopes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The amount in each.
    pub amount: Money,
    /// It is less than the worst case, because the stream is metered.
    pub is_metered: bool,
}

impl Ask {
    /// The worst case.
    #[must_use]
    pub const fn worst(amount: Money) -> Self {
        Self { amount, is_metered: false }
    }
}

/// One scope's reserve: what stands there, what was said, and what it took.
type Attempt = (Part, Reserved, Traffic);

/// What the requests of one machine came to.
#[derive(Default)]
struct Traffic {
    capacity_tenths: u32,
    seen: Item,
    is_unreached: bool,
}

impl Ledger {
    /// The ledger of a deployment.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), terms: Mutex::new(HashMap::new()) }
    }

    /// Holds an amount in every scope, all of them at once; where `first` is given, the others
    /// only when that one holds. A refusal anywhere voids, and where needed fences, everything
    /// before this returns; so does a scope that does not let a call be metered, where it is to be.
    ///
    /// # Errors
    /// [`Refusal`]: no call may go out.
    pub async fn reserve(
        &self,
        scopes: &[Scope],
        rid: Rid,
        Ask { amount, is_metered }: Ask,
        first: Option<&Scope>,
    ) -> Result<Held, Refusal> {
        if !(1..=SCOPES_MAX).contains(&scopes.len()) {
            return Err(Refusal::unavailable(&Error::Scopes { count: scopes.len() }));
        }
        let read = self.all_terms(scopes).await;
        let (terms, mut read_tenths) = read.map_err(|error| Refusal::unavailable(&error))?;
        let (heads, tails): (Vec<_>, Vec<_>) =
            scopes.iter().zip(terms).partition(|(scope, _)| Some(*scope) == first);
        let mut attempts = Vec::with_capacity(scopes.len());
        for group in [heads, tails] {
            let group = group.into_iter();
            let group = group.map(async |(scope, terms)| {
                let (place, terms, tenths) = self.place(scope, terms).await;
                (self.reserve_in(scope, &place, rid, amount, terms).await, tenths)
            });
            for (attempt, tenths) in join_all(group).await {
                read_tenths = read_tenths.saturating_add(tenths);
                attempts.push(attempt);
            }
            if !attempts.iter().all(|(_, reserved, _)| is_admitted(reserved)) {
                let tenths = traffic_of(&attempts).saturating_add(read_tenths);
                return Err(self.refuse(rid, attempts, tenths).await);
            }
        }
        let capacity_tenths = traffic_of(&attempts).saturating_add(read_tenths);
        if is_metered && !attempts.iter().all(|(part, ..)| part.terms.lets_meter()) {
            // A share tells its budget's mode before this process has read it there.
            attempts.iter().for_each(|(part, ..)| self.forget_whole(&part.scope));
            let refusal = self.refuse(rid, attempts, capacity_tenths).await;
            return Err(Refusal { restart: true, ..refusal });
        }
        let parts = attempts.into_iter().map(|(part, _, _)| part).collect();
        Ok(Held { rid, amount, is_metered, parts, capacity_tenths, is_ended: false })
    }

    /// Ends a call in every scope, all of them at once, in at most six seconds. What is not ended
    /// then is the logger's: the parts say so.
    pub async fn end(&self, held: &mut Held, decision: Decision) {
        let rid = held.rid;
        let endings = held.parts.iter().map(async |part| match part.ending(decision) {
            Some((hold, decision)) => {
                Some(self.end_one(&part.scope, rid, hold, decision, part.is_ambiguous).await)
            }
            None => None,
        });
        let endings = join_all(endings).await;
        for (part, ending) in held.parts.iter_mut().zip(endings) {
            let Some((ended, traffic)) = ending else { continue };
            if let Ended::HandOver(cause) = &ended {
                let scope = &part.scope;
                tracing::warn!(metric = "hand_over", %rid, %scope, %cause, "left to the logger");
            }
            part.is_ended = part.is_held && is_over(&ended);
            held.capacity_tenths = held.capacity_tenths.saturating_add(traffic.capacity_tenths);
            part.seen.extend(traffic.seen);
        }
        held.is_ended = true;
    }

    /// Ends one scope's part of a call that another process began: the logger's repair. `amount`
    /// is the call's hold, which an unheld worst case charges.
    ///
    /// # Errors
    /// [`Cause`] where it could not be finished now.
    pub async fn finish(
        &self,
        rid: Rid,
        part: &ScopePart,
        decision: Decision,
        amount: Option<Money>,
    ) -> Result<Ended, Cause> {
        let hold = part.hold.as_deref().map(str::parse::<Hold>).transpose()?;
        let ended = if part.unheld {
            if part.ambiguous {
                self.end_one(&part.scope, rid, hold, Decision::Void, true).await.0.finished()?;
            }
            let cost = match decision {
                Decision::Settle(cost) => cost,
                Decision::Worst => amount.unwrap_or_default(),
                Decision::Void => return Ok(Ended::AlreadyDone),
            };
            let day = farebox_core::Day::from_number(part.day);
            let day = day.map_err(|_| farebox_ledger::Error::Malformed("day".to_owned()))?;
            let owner = self.owner(&part.scope);
            let machine = Ending::unheld(owner, rid, day, cost, self.aws.now());
            self.drive_ending(machine).await.0
        } else {
            self.end_one(&part.scope, rid, hold, decision, part.ambiguous).await.0
        };
        ended.finished()
    }

    /// Whether a call that counts to these scopes is to be metered where its model allows it: one
    /// of them is in mode balanced, and none needs the worst case. By cached terms; a reserve
    /// asks again.
    ///
    /// # Errors
    /// [`Error`] where the terms of a scope cannot be read.
    pub async fn meters(&self, scopes: &[Scope]) -> Result<bool, Error> {
        let (terms, _) = self.all_terms(scopes).await?;
        Ok(terms.iter().all(Terms::lets_meter) && terms.iter().any(Terms::is_metered))
    }

    /// Whether one of the scopes never takes more than its limits.
    ///
    /// # Errors
    /// [`Error`] where the terms of a scope cannot be read.
    pub async fn binds(&self, scopes: &[Scope]) -> Result<bool, Error> {
        let (terms, _) = self.all_terms(scopes).await?;
        let mut modes = terms.iter().map(|terms| terms.settings.mode);
        Ok(modes.any(|mode| matches!(mode, Mode::Hard | Mode::Balanced)))
    }

    /// The budgets of scopes, in their order, strongly consistent.
    ///
    /// # Errors
    /// [`Error::NoBudget`] names the first scope without one.
    pub async fn budgets(&self, scopes: &[Scope]) -> Result<Vec<Budget>, Error> {
        let found = self.find_budgets(scopes).await?;
        let named = found.into_iter().zip(scopes);
        named.map(|(budget, scope)| budget.ok_or_else(|| Error::NoBudget(scope.clone()))).collect()
    }

    /// The budgets of scopes as their items are: of a divided one without its shares. Adds the
    /// capacity units that it used, in tenths.
    async fn items(
        &self,
        scopes: &[Scope],
        capacity_tenths: &mut u32,
    ) -> Result<Vec<Option<Budget>>, Error> {
        let store = Store::patient(&self.aws);
        let mut keys: Vec<_> = scopes.iter().map(|scope| self.owner(scope).budget()).collect();
        keys.sort();
        keys.dedup();
        let mut items = HashMap::new();
        for found in store.batch_counted(&keys, capacity_tenths).await? {
            let found = item(found);
            if let Some(Attr::S(pk)) = found.get("pk") {
                items.insert(pk.clone(), found);
            }
        }
        let budgets = scopes.iter().map(|scope| {
            let key = self.owner(scope).budget();
            let item = items.get(&key.pk);
            let malformed = |error| Error::malformed(format!("the budget of {scope}"), error);
            item.map(|item| Budget::parse(item).map_err(malformed)).transpose()
        });
        budgets.collect()
    }

    fn owner(&self, scope: &Scope) -> Owner {
        Owner::new(&self.aws.config().tenant, scope.clone())
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<Scope, Known>> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, scope: &Scope, terms: &Terms) {
        let mut cache = self.cache();
        // A closed budget is refused without a write, so nothing would tell that it was opened.
        if terms.settings.mode == Mode::Closed {
            cache.remove(scope);
            return;
        }
        if cache.len() >= TERMS_MAX && !cache.contains_key(scope) {
            let any = cache.keys().next().cloned();
            any.map(|any| cache.remove(&any));
        }
        let known = Known { terms: terms.clone(), room: None, looked_at: None };
        let known = match cache.remove(scope) {
            Some(before) => Known { terms: known.terms, ..before },
            None => known,
        };
        cache.insert(scope.clone(), known);
    }

    /// The terms of all scopes: cached, else one eventually consistent read each, at once.
    async fn all_terms(&self, scopes: &[Scope]) -> Result<(Vec<Terms>, u32), Error> {
        let known: Vec<_> = scopes.iter().map(|scope| self.known(scope)).collect();
        let reads = scopes.iter().zip(known).map(async |(scope, known)| match known {
            Some(terms) => Ok((terms, 0)),
            None => self.read_terms(scope, false).await,
        });
        let mut all = Vec::with_capacity(scopes.len());
        let mut tenths = 0_u32;
        for read in join_all(reads).await {
            let (terms, used) = read?;
            all.push(terms);
            tenths = tenths.saturating_add(used);
        }
        Ok((all, tenths))
    }

    fn known(&self, scope: &Scope) -> Option<Terms> {
        self.cache().get(scope).map(|known| known.terms.clone())
    }

    async fn read_terms(&self, scope: &Scope, is_consistent: bool) -> Result<(Terms, u32), Error> {
        let (store, key) = (Store::money(&self.aws), self.owner(scope).budget());
        let (found, used) = again("GetItem", || store.read(&key, is_consistent)).await?;
        let found = found.map(item).ok_or_else(|| Error::NoBudget(scope.clone()))?;
        let terms = Terms::parse(&found);
        let malformed = |error| Error::malformed(format!("the budget of {scope}"), error);
        let terms = terms.map_err(malformed)?;
        self.remember(scope, &terms);
        Ok((terms, used))
    }

    async fn reserve_one(&self, scope: &Scope, rid: Rid, amount: Money, terms: Terms) -> Attempt {
        let now = self.aws.now();
        let machine = Reserve::new(self.owner(scope), rid, amount, terms.clone(), now, DEADLINE_S);
        let machine = machine.within(self.aws.money_total_ms(RESERVE_TOTAL_MS));
        let (reserved, traffic) = self.drive_reserve(machine).await;
        if let Some(fresh) = &reserved.fresh {
            self.remember(scope, fresh);
        }
        if matches!(reserved.admission, Admission::Unavailable(Cause::Item(_) | Cause::NoBudget)) {
            self.cache().remove(scope);
        }
        let part = Part {
            scope: scope.clone(),
            hold: reserved.hold,
            terms: reserved.fresh.clone().unwrap_or(terms),
            is_held: reserved.admission == Admission::Held,
            is_ambiguous: reserved.ambiguous,
            is_ended: false,
            seen: traffic.seen.clone(),
        };
        (part, reserved, traffic)
    }

    /// Voids what was held, or may be, and says what the caller is told.
    async fn refuse(&self, rid: Rid, attempts: Vec<Attempt>, capacity_tenths: u32) -> Refusal {
        let mut refusal = Refusal::of(&attempts);
        refusal.capacity_tenths = capacity_tenths;
        let voids = attempts.into_iter().filter(|(part, ..)| part.is_held || part.is_ambiguous);
        let voids = voids.map(async |(mut part, ..)| {
            let hold = Some(part.hold);
            let decision = Decision::Void;
            let void = self.end_one(&part.scope, rid, hold, decision, part.is_ambiguous);
            let (ended, traffic) = void.await;
            part.is_ended = is_over(&ended);
            (part, traffic.capacity_tenths)
        });
        for (part, tenths) in join_all(voids).await {
            refusal.capacity_tenths = refusal.capacity_tenths.saturating_add(tenths);
            if !part.is_ended {
                // Also where no hold was seen: a lost attempt may have left this one.
                refusal.parts.push(ScopePart { unheld: false, ..part.told(true) });
            }
        }
        refusal
    }

    async fn end_one(
        &self,
        scope: &Scope,
        rid: Rid,
        hold: Option<Hold>,
        decision: Decision,
        is_ambiguous: bool,
    ) -> (Ended, Traffic) {
        let (owner, now) = (self.owner(scope), self.aws.now());
        self.drive_ending(Ending::new(owner, rid, hold, decision, is_ambiguous, now)).await
    }

    async fn drive_reserve(&self, mut machine: Reserve) -> (Reserved, Traffic) {
        let (store, mut traffic) = (Store::money(&self.aws), Traffic::default());
        loop {
            match machine.step(self.aws.now()) {
                Step::Send(update) => {
                    let answer = traffic.send(&store, &update).await;
                    machine.observe(answer, self.aws.now(), self.aws.chance());
                }
                Step::Pause { ms } => pause(ms.into()).await,
                Step::Done(reserved) => return (reserved, traffic),
                Step::Transact(_) | Step::Read(_) => {
                    let answer = Answer::Rejected("a reserve is one write".to_owned());
                    machine.observe(answer, self.aws.now(), self.aws.chance());
                }
            }
        }
    }

    async fn drive_ending(&self, mut machine: Ending) -> (Ended, Traffic) {
        let (store, mut traffic) = (Store::money(&self.aws), Traffic::default());
        loop {
            match machine.step(self.aws.now()) {
                Step::Send(update) => {
                    let answer = traffic.send(&store, &update).await;
                    machine.observe(answer, self.aws.now(), self.aws.chance());
                }
                Step::Transact(transaction) => {
                    let written = store.transact(&transaction).await;
                    traffic.add(written.capacity_tenths);
                    machine.observe(written.answer, self.aws.now(), self.aws.chance());
                }
                Step::Read(key) => match store.read(&key, true).await {
                    Ok((found, used)) => {
                        traffic.add(used);
                        machine.observe_item(found.map(item));
                    }
                    Err(Failure::Rejected(cause)) => {
                        machine.observe(Answer::Rejected(cause), self.aws.now(), self.aws.chance());
                    }
                    // A read changes nothing, so it may be sent again like a throttled write.
                    Err(_) => machine.observe(Answer::Throttled, self.aws.now(), self.aws.chance()),
                },
                Step::Pause { ms } => pause(ms.into()).await,
                Step::Done(ended) => return (ended, traffic),
            }
        }
    }
}

impl Traffic {
    async fn send(&mut self, store: &Store, update: &Update) -> Answer {
        let written = store.write(update).await;
        self.add(written.capacity_tenths);
        self.is_unreached = matches!(written.failure, Some(Failure::NotSent(_)));
        match &written.answer {
            Answer::Applied => self.seen = written.changed,
            Answer::ConditionFailed(Some(old)) => self.seen = old.clone(),
            _ => {}
        }
        written.answer
    }

    fn add(&mut self, tenths: u32) {
        self.capacity_tenths = self.capacity_tenths.saturating_add(tenths);
    }
}

fn traffic_of(attempts: &[Attempt]) -> u32 {
    let tenths = attempts.iter().map(|(_, _, traffic)| traffic.capacity_tenths);
    tenths.fold(0, u32::saturating_add)
}

fn is_admitted(reserved: &Reserved) -> bool {
    matches!(reserved.admission, Admission::Held | Admission::Unheld { .. })
}

fn is_over(ended: &Ended) -> bool {
    !matches!(ended, Ended::HandOver(_))
}

/// A hand-over as the error that it is for one who has nobody to hand over to.
trait Finished {
    fn finished(self) -> Result<Ended, Cause>;
}

impl Finished for Ended {
    fn finished(self) -> Result<Ended, Cause> {
        match self {
            Self::HandOver(cause) => Err(cause),
            ended => Ok(ended),
        }
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
