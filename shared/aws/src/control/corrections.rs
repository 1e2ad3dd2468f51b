//! Corrections (money.md 7): written into the journal, entered in the books, told in the log; in
//! this order, so that whoever repeats one that stopped half-way ends it, and ends it once.

use farebox_core::{
    CallRecord, Correction, Decision, EntityId, Error, Money, Outcome, Rid, Scope, ScopeKind,
    ScopePart,
};
use farebox_ledger::{Budget, Cause, Ended, Owner, Period, Posted, Span, update};

use super::store::{Attributes, read_number, read_text};
use super::{Control, Listed};
use crate::config::random;

/// Corrections of one call that its journal may have.
const CHAIN_MAX: u32 = 100;
/// How often a correction of a call looks again when another was first.
const ROUNDS_MAX: usize = 3;
/// What the deadline of a hold is that is only looked for.
const DEADLINE_S: u32 = 900;

/// A correction as the journal has it.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalRow {
    /// Its name in the journal: the id that the admin gave, or the call and a count.
    pub name: String,
    /// The row that the log has of it, or will have.
    pub record: CallRecord,
    /// It stands in the books, and its row is sent.
    pub is_done: bool,
}

/// What became of a correction.
#[derive(Clone, Debug, PartialEq)]
pub enum Corrected {
    /// It stands in the books now, by this request or by one before it.
    Entered(CallRecord),
    /// The call's provisional charge is replaced; this is its row now.
    Adjusted(CallRecord),
    /// The call costs this much already.
    Unchanged,
}

/// An entry in one scope, as an admin asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeEntry {
    /// The id that makes a repeat harmless.
    pub id: EntityId,
    /// Whose books.
    pub scope: Scope,
    /// By how much its charges change.
    pub amount: Money,
    /// Which periods; `None` is today.
    pub span: Option<Span>,
    /// Why.
    pub reason: String,
}

/// What a call should have cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The amount.
    pub cost: Money,
    /// Why.
    pub reason: String,
    /// The price version and lines of the amount, where it was added up.
    pub bill: Option<(String, Vec<farebox_core::pricing::CostLine>)>,
}

impl Control {
    /// Enters a signed amount in one scope's books.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it would take more than is settled, or the month is gone;
    /// [`Error::Conflict`] where the id stands for another entry; else repeat it.
    pub async fn enter(&self, entry: &ScopeEntry) -> Result<CallRecord, Error> {
        let budget = self.budget(&entry.scope).await?.filter(|budget| budget.terms.epoch > 0);
        let absent = || Error::malformed("scope", format!("{} has no budget", entry.scope));
        let today = budget.ok_or_else(absent)?.terms.settings.zone.day(self.aws().now());
        let span = entry.span.unwrap_or(Span::Day(today));
        if span.number() > today.number() {
            return Err(Error::malformed("period", "has not begun yet"));
        }
        let place = self.place_of(entry, span).await?;
        let record = self.entry_record(entry, &place, span).await?;
        let wanted = JournalRow { name: format!("E#{}", entry.id), record, is_done: false };
        let stored = self.journal(wanted.clone()).await?;
        let is_same = |one: &CallRecord, other: &CallRecord| {
            let places = |one: &CallRecord| -> Vec<_> {
                one.parts.iter().map(|part| (part.scope.whole(), part.day)).collect()
            };
            let days = entry.span.is_none() || places(one) == places(other);
            days && one.scopes == other.scopes
                && one.decision == other.decision
                && one.correction == other.correction
        };
        if !is_same(&stored.record, &wanted.record) {
            return Err(Error::Conflict { thing: format!("Another correction {}", entry.id) });
        }
        self.post(&stored).await?;
        Ok(stored.record)
    }

    /// Makes one call's charge what it should have been: a provisional charge is replaced, every
    /// other one is corrected by an entry of the difference, in each of its budgets.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a call; [`Error::Malformed`] for one that was never held;
    /// else repeat it.
    pub async fn correct_call(&self, id: Rid, truth: &Truth) -> Result<Corrected, Error> {
        let absent = || Error::NotFound { path: format!("requests/{id}") };
        let row = self.logs().find(id).await?.ok_or_else(absent)?;
        match row.outcome {
            Outcome::Provisional => return self.adjust_call(row, truth).await,
            Outcome::Correction => {
                let rule = "is a correction itself: correct the call, or enter the opposite";
                return Err(Error::malformed("request_id", rule));
            }
            _ => {}
        }
        let Some(charged) = row.charged().filter(|_| charged_parts(&row).next().is_some()) else {
            let rule = "was never held, so it has no charge: correct a scope instead";
            return Err(Error::malformed("request_id", rule));
        };
        for _ in 0..ROUNDS_MAX {
            let chain = self.corrections_of(id).await?;
            for earlier in chain.iter().filter(|earlier| !earlier.is_done) {
                self.post(earlier).await?;
            }
            let last = chain.last().and_then(|last| last.record.correction.as_ref()?.to);
            let amount = truth.cost.minus(last.unwrap_or(charged));
            let amount = amount.ok_or_else(|| Error::internal("a difference beyond all money"))?;
            if amount == Money::ZERO {
                return Ok(Corrected::Unchanged);
            }
            let record = self.call_record(&row, amount, truth);
            if let Err(refused) = self.affords(&record.parts, amount).await {
                // Unless it is another admin's correction of this call that has taken it.
                if self.corrections_of(id).await?.len() == chain.len() {
                    return Err(refused);
                }
                continue;
            }
            let name = format!("{}{:04}", chain_of(id), chain.len().saturating_add(1));
            let wanted = JournalRow { name, record, is_done: false };
            let stored = self.journal(wanted.clone()).await?;
            // Another admin's correction took the place: look at what the call costs now.
            if stored.record.request_id == wanted.record.request_id {
                self.post(&stored).await?;
                return Ok(Corrected::Entered(stored.record));
            }
        }
        Err(Error::LedgerUnavailable { cause: "the call is being corrected again".to_owned() })
    }

    /// The corrections of a call, the oldest first.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn corrections_of(&self, id: Rid) -> Result<Vec<JournalRow>, Error> {
        let pk = update::journal_key(self.tenant(), "").pk;
        let found = self.store.query(&pk, &chain_of(id), None, CHAIN_MAX).await?;
        found.0.iter().map(journal_row).collect()
    }

    /// A page of the journal; of the books of one scope where `scope` is given.
    ///
    /// # Errors
    /// Where the table cannot be read or the cursor is not one of this list.
    pub async fn corrections(
        &self,
        scope: Option<&Scope>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<JournalRow>, Error> {
        let pk = update::journal_key(self.tenant(), "").pk;
        let is_of = |row: &JournalRow, scope: &Scope| {
            row.record.parts.iter().any(|part| part.scope.whole() == *scope)
        };
        let read = |item: &Attributes| match (journal_row(item), scope) {
            (Ok(row), Some(scope)) if !is_of(&row, scope) => None,
            (row, _) => Some(row),
        };
        let page = self.store.search((&pk, ""), (limit, cursor), scope.is_some(), read).await?;
        let rows: Result<Vec<_>, _> = page.rows.into_iter().collect();
        Ok(Listed { rows: rows?, next: page.next })
    }

    /// Writes what is going to be entered; what stands there where the name is taken.
    async fn journal(&self, wanted: JournalRow) -> Result<JournalRow, Error> {
        let json = serde_json::to_string(&wanted.record).map_err(Error::internal)?;
        let put = update::journal_put(&wanted.name, &wanted.record, &json);
        if self.store.ledger().await?.record(&put).await? {
            return Ok(wanted);
        }
        let stored = self.store.get(&put.key.pk, &put.key.sk).await?;
        let gone = || Error::LedgerUnavailable { cause: "the journal's entry is gone".to_owned() };
        journal_row(&stored.ok_or_else(gone)?)
    }

    /// Enters what the journal says, scope by scope, and tells it in the log.
    async fn post(&self, row: &JournalRow) -> Result<(), Error> {
        if row.is_done {
            return Ok(());
        }
        let record = &row.record;
        let key = update::journal_key(self.tenant(), &row.name);
        let store = self.store.ledger().await?;
        let amount = record.charged().unwrap_or_default();
        for (at, part) in record.parts.iter().enumerate() {
            let span = Span::from_number(part.day).ok_or_else(|| Error::internal("no span"))?;
            match self.ledger.post(&part.scope, record.rid, span, amount).await {
                Posted::Done => {}
                Posted::BelowZero => {
                    if at == 0 {
                        store.record(&update::journal_drop(key)).await?;
                    }
                    return Err(below_zero(&part.scope, amount));
                }
                Posted::Different => {
                    return Err(Error::internal(format!("{} was posted otherwise", row.name)));
                }
                Posted::Left(cause) => return Err(left(at, &part.scope, cause)),
            }
        }
        self.queue.send(record).await;
        store.record(&update::journal_done(key, self.aws().now())).await?;
        Ok(())
    }

    /// Looks whether every scope can give a refund back before the first one does: an entry that
    /// stops behind it would stand half in the books. What another refund takes in between is
    /// found by the entry itself.
    async fn affords(&self, parts: &[ScopePart], amount: Money) -> Result<(), Error> {
        if amount >= Money::ZERO {
            return Ok(());
        }
        let scopes: Vec<_> = parts.iter().map(|part| part.scope.clone()).collect();
        let budgets = self.ledger.find_budgets(&scopes).await?;
        for (part, budget) in parts.iter().zip(budgets) {
            let span = Span::from_number(part.day).ok_or_else(|| Error::internal("no span"))?;
            if budget.is_some_and(|budget| !span.is_settled(&budget, amount.negated())) {
                return Err(below_zero(&part.scope, amount));
            }
        }
        Ok(())
    }

    /// Replaces a provisional charge in every scope that has one.
    async fn adjust_call(&self, row: CallRecord, truth: &Truth) -> Result<Corrected, Error> {
        self.store.begin().await?;
        let mut parts = Vec::new();
        for charge in self.provisional(&row).await? {
            match charge.replaced_by {
                // By this correction, before it could tell.
                Some(cost) if cost == truth.cost => parts.push(charge.part),
                Some(cost) => {
                    let thing = format!("{cost} USD in place of the provisional charge");
                    return Err(Error::Conflict { thing });
                }
                None => {
                    let decision = Decision::Settle(truth.cost);
                    let ended = self.ledger.finish(row.rid, &charge.part, decision, None).await;
                    let ended = ended.map_err(|cause| left(1, &charge.part.scope, cause))?;
                    if !matches!(ended, Ended::AlreadyDone | Ended::AdjustedBefore) {
                        parts.push(charge.part);
                    }
                }
            }
        }
        // Its tombstones are gone, or a late record was first: what has not moved is not told.
        if parts.is_empty() {
            let rule = "has no provisional charge any more: look at it again, or correct a scope";
            return Err(Error::malformed("request_id", rule));
        }
        let of = Some(row.request_id);
        let correction = Correction { of, to: Some(truth.cost), reason: truth.reason.clone() };
        parts.iter_mut().for_each(|part| part.ended = true);
        let record = CallRecord {
            outcome: Outcome::Adjusted,
            decision: Some(Decision::Settle(truth.cost)),
            scopes: parts.iter().map(|part| part.scope.clone()).collect(),
            parts,
            correction: Some(correction),
            ..row
        };
        self.queue.send(&record).await;
        Ok(Corrected::Adjusted(record))
    }

    /// The scopes in which a call is charged provisionally, or may be: by its tombstones, and by
    /// its row where no sweep has come yet.
    pub(super) async fn provisional(&self, row: &CallRecord) -> Result<Vec<Provisional>, Error> {
        let pk = format!("T#{}", row.rid);
        let (items, _) = self.store.query(&pk, "", None, super::PAGE_MAX).await?;
        let mut found: Vec<_> = items.iter().filter_map(Provisional::read).collect();
        for part in row.parts.iter().filter(|part| part.hold.is_some()) {
            for scope in &row.scopes {
                if !found.iter().any(|known| known.part.scope.whole() == *scope) {
                    let part = ScopePart { scope: scope.clone(), ended: false, ..part.clone() };
                    found.push(Provisional { part, charged: None, replaced_by: None });
                }
            }
        }
        Ok(found)
    }

    /// Where an entry is made: in the budget itself; a refund of a divided one where most is
    /// settled, because no item gives back more than it has.
    async fn place_of(&self, entry: &ScopeEntry, span: Span) -> Result<Scope, Error> {
        let whole = entry.scope.clone();
        let period = match span {
            Span::Day(day) => Period::Day(day),
            Span::Month(month) => Period::Month(month),
        };
        let divided = self.ledger.divided(&whole).await?;
        let Some(divided) = divided.filter(|_| entry.amount < Money::ZERO) else {
            return Ok(whole);
        };
        let settled = |budget: &Budget| budget.counter(period).settled();
        let richest = (0_u8..).zip(&divided.shares).max_by_key(|(_, share)| settled(share));
        let richest = richest.filter(|(_, share)| settled(share) > settled(&divided.budget));
        Ok(richest.map_or(whole, |(number, _)| entry.scope.with_share(number)))
    }

    /// The row of an entry in one scope. Its time is that of the period that it belongs to, so
    /// that it stands in the log among the calls it corrects.
    async fn entry_record(
        &self,
        entry: &ScopeEntry,
        place: &Scope,
        span: Span,
    ) -> Result<CallRecord, Error> {
        let owner = entry.scope.id.clone();
        let user = match entry.scope.kind {
            ScopeKind::Key => self.directory().key(&owner).await?.map(|key| key.user.clone()),
            _ => None,
        };
        let now = self.aws().now();
        let noon = span.first_day().map(|day| day.utc_noon()).filter(|noon| *noon < now);
        let id = Rid::new(noon.unwrap_or(now), random());
        let tenant = self.tenant().to_owned();
        let record = CallRecord::new(id, tenant, user.unwrap_or_else(|| owner.clone()), owner);
        Ok(CallRecord {
            endpoint: "correction".to_owned(),
            outcome: Outcome::Correction,
            decision: Some(Decision::Settle(entry.amount)),
            scopes: vec![entry.scope.clone()],
            parts: vec![entered(place, span.number())],
            correction: Some(Correction { of: None, to: None, reason: entry.reason.clone() }),
            started_at: now,
            ..record
        })
    }

    /// The row of an entry that corrects a call, beside the call's own.
    fn call_record(&self, row: &CallRecord, amount: Money, truth: &Truth) -> CallRecord {
        let id = Rid::new(row.request_id.made_at(), random());
        let parts: Vec<_> = charged_parts(row).map(|part| entered(&part.scope, part.day)).collect();
        let of = Some(row.request_id);
        let correction = Correction { of, to: Some(truth.cost), reason: truth.reason.clone() };
        let (price_version, lines) = truth.bill.clone().unzip();
        CallRecord {
            endpoint: "correction".to_owned(),
            provider: row.provider.clone(),
            model: row.model.clone(),
            outcome: Outcome::Correction,
            decision: Some(Decision::Settle(amount)),
            scopes: parts.iter().map(|part| part.scope.clone()).collect(),
            parts,
            lines: lines.unwrap_or_default(),
            price_version,
            org: row.org.clone(),
            team: row.team.clone(),
            labels: row.labels.clone(),
            correction: Some(correction),
            started_at: self.aws().now(),
            ..CallRecord::new(id, row.tenant.clone(), row.user.clone(), row.key_id.clone())
        }
    }
}

/// A swept call's charge in one scope.
pub(super) struct Provisional {
    /// Complete enough to end it.
    pub part: ScopePart,
    /// What is charged until the truth arrives; `None` where no sweep has come yet.
    pub charged: Option<Money>,
    /// The truth, where it has arrived.
    pub replaced_by: Option<Money>,
}

impl Provisional {
    /// What a tombstone says; `None` for a receipt, which is no sweep's.
    fn read(item: &Attributes) -> Option<Self> {
        let owner = Owner::from_pk(read_text(item, "sk")?.strip_suffix("#0")?).ok()?;
        let money =
            |name: &str| read_number(item, name).and_then(|pico| Money::from_pico(pico).ok());
        let (charged, day) = (money("a")?, read_number::<u32>(item, "day")?);
        let part = ScopePart {
            scope: owner.scope,
            hold: Some(format!("{}.{day}.{DEADLINE_S}", charged.pico())),
            ambiguous: false,
            unheld: false,
            ended: false,
            day,
        };
        Some(Self { part, charged: Some(charged), replaced_by: money("c") })
    }
}

/// The scopes in which a finished call was charged.
pub(super) fn charged_parts(row: &CallRecord) -> impl Iterator<Item = &ScopePart> {
    let is_entry = row.outcome == Outcome::Correction;
    row.parts.iter().filter(move |part| is_entry || part.hold.is_some() || part.unheld)
}

/// A part that nobody has to end.
fn entered(scope: &Scope, day: u32) -> ScopePart {
    let scope = scope.clone();
    ScopePart { scope, hold: None, ambiguous: false, unheld: false, ended: true, day }
}

/// Where the journal keeps the corrections of a call.
fn chain_of(id: Rid) -> String {
    format!("R#{id}#")
}

fn journal_row(item: &Attributes) -> Result<JournalRow, Error> {
    let malformed = || super::store::malformed("a correction", "rec");
    let (name, text) = read_text(item, "sk").zip(read_text(item, "rec")).ok_or_else(malformed)?;
    let record = serde_json::from_str(&text).map_err(|_| malformed())?;
    Ok(JournalRow { name, record, is_done: item.contains_key("done") })
}

/// A refund of more than is settled in a scope.
fn below_zero(scope: &Scope, amount: Money) -> Error {
    let rule = format!("less than {} USD are settled there", amount.negated());
    Error::malformed(scope.to_string(), rule)
}

/// Why an entry was not made; the first of its scopes is told otherwise, because nothing is done.
fn left(at: usize, scope: &Scope, cause: Cause) -> Error {
    match cause {
        Cause::NoArchive if at == 0 => {
            let rule = format!("the month of {scope} is closed and its archive is gone");
            Error::malformed("period", rule)
        }
        cause => Error::LedgerUnavailable { cause: format!("{scope}: {cause}") },
    }
}
