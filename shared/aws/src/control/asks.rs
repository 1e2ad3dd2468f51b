//! Requests for more budget: a member asks, an owner or admin decides.

use farebox_core::{EntityId, Error, Money, Rid, Scope, ScopeKind, Timestamp};
use farebox_ledger::{Attr, Budget, Key, Settings, Table, Transaction, Update, Write};
use serde::{Deserialize, Serialize};

use super::owners::VERSION;
use super::store::{Attributes, number, read_text, text};
use super::{Control, CredentialOwner, Expected, Fits, Listed, PAGE_MAX, version};

/// Open requests that one user may have.
const OPEN_MAX: usize = 5;
/// Pages of a user's requests that are looked through for a repeat: a thousand.
const PAGES_MAX: usize = 10;
/// How long a request is kept.
const KEPT_S: i64 = 400 * 86_400;
const PREFIX: &str = "ask:";

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AskState {
    /// Nobody has decided.
    Open,
    /// The limits are raised until its end.
    Approved,
    /// They are not.
    Denied,
    /// The member has taken it back.
    Withdrawn,
}

/// What a member asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The limit for a month.
    pub month: Option<Money>,
    /// The limit for a day.
    pub day: Option<Money>,
    /// The limit for ever.
    pub total: Option<Money>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// By whom, as the audit names it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until when the limits are raised.
    pub until: Option<Timestamp>,
    /// A word to the member.
    pub note: Option<String>,
}

/// A request as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskRow {
    /// Its identity.
    pub id: Rid,
    /// Whose.
    pub user: EntityId,
    /// What for.
    pub ask: Ask,
    /// Where it stands.
    pub state: AskState,
    /// What was decided.
    pub decided: Option<Decided>,
    /// Changes with every change of it.
    pub version: u64,
}

/// What the item holds beside its key and version.
#[derive(Serialize, Deserialize)]
struct Stored {
    ask: Ask,
    state: AskState,
    decided: Option<Decided>,
    /// The `Idempotency-Key` that it was made with.
    seed: Option<String>,
}

impl AskRow {
    fn read(item: &Attributes) -> Option<(Self, Option<String>)> {
        let sk = read_text(item, "sk")?;
        let (user, id) = sk.strip_prefix(PREFIX)?.split_once(':')?;
        let Stored { ask, state, decided, seed } =
            serde_json::from_str(&read_text(item, "rec")?).ok()?;
        let version = version::of(item, VERSION);
        let row =
            Self { id: id.parse().ok()?, user: user.parse().ok()?, ask, state, decided, version };
        Some((row, seed))
    }
}

impl Control {
    /// Makes a request of a user; a repeat with the same `seed` within a day has it again.
    /// `None` where there is no such user.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] where too many are open; [`Error::IdempotencyKeyReused`]; or where a
    /// table cannot be reached.
    pub async fn ask(
        &self,
        user: &EntityId,
        ask: &Ask,
        seed: Option<&str>,
    ) -> Result<Option<AskRow>, Error> {
        let owner = CredentialOwner::User(user.clone());
        // One at a time, so that a repeat finds what the first has made.
        let Some(lease) = self.lease(&owner).await? else { return Ok(None) };
        let made = self.ask_alone(user, ask, seed).await;
        self.release(&owner, &lease).await;
        made.map(Some)
    }

    async fn ask_alone(
        &self,
        user: &EntityId,
        ask: &Ask,
        seed: Option<&str>,
    ) -> Result<AskRow, Error> {
        let known = self.all_of(user).await?;
        let repeat = known.iter().find(|(row, of)| {
            seed.is_some() && of.as_deref() == seed && self.is_repeatable(row.id.made_at())
        });
        if let Some((row, _)) = repeat {
            let is_same = row.ask == *ask;
            return if is_same { Ok(row.clone()) } else { Err(Error::IdempotencyKeyReused) };
        }
        let open = known.iter().filter(|(row, _)| row.state == AskState::Open).count();
        if open >= OPEN_MAX {
            let rule = format!("{open} of your requests are open. Withdraw one first.");
            return Err(Error::NotAllowed { rule });
        }
        let id = self.aws().new_rid();
        let stored = Stored {
            ask: ask.clone(),
            state: AskState::Open,
            decided: None,
            seed: seed.map(str::to_owned),
        };
        let mut item = super::store::key(&self.entities(), &sk(user, id));
        item.insert("rec".to_owned(), text(&written(&stored)?));
        item.insert(VERSION.to_owned(), number(version::next(self.aws().now())));
        let ttl = self.aws().now().seconds().saturating_add(KEPT_S);
        item.insert("ttl".to_owned(), number(ttl));
        let row = AskRow::read(&item).map(|(row, _)| row);
        self.store.put(item, Some("attribute_not_exists(pk)")).await?;
        row.ok_or_else(|| super::store::malformed("a request for budget", "rec"))
    }

    /// A page of requests by user, the oldest first; of one user where `user` is given, and of
    /// those that fit.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn asks(
        &self,
        user: Option<&EntityId>,
        limit: u32,
        cursor: Option<&str>,
        fits: Option<&Fits<'_, AskRow>>,
    ) -> Result<Listed<AskRow>, Error> {
        let prefix = user.map_or_else(|| PREFIX.to_owned(), |user| format!("{PREFIX}{user}:"));
        let read = |item: &Attributes| {
            let (row, _) = AskRow::read(item)?;
            fits.is_none_or(|fits| fits(&row)).then_some(row)
        };
        let place = (&*self.entities(), &*prefix);
        self.store.search(place, (limit, cursor), fits.is_some(), read).await
    }

    /// One request of a user.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn ask_of(&self, user: &EntityId, id: Rid) -> Result<Option<AskRow>, Error> {
        let item = self.store.get(&self.entities(), &sk(user, id)).await?;
        Ok(item.as_ref().and_then(AskRow::read).map(|(row, _)| row))
    }

    /// Denies an open request or takes it back; `None` where another change was first.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] where it is decided already; or where the table cannot be reached.
    pub async fn decide(
        &self,
        row: &AskRow,
        state: AskState,
        decided: Option<Decided>,
        expected: Expected,
    ) -> Result<Option<AskRow>, Error> {
        let Some((update, made)) = self.decision(row, state, decided, expected).await? else {
            return Ok(None);
        };
        let is_first = self.store.ledger().await?.record(&update).await?;
        self.outcome(row, made, is_first).await
    }

    /// Approves an open request and raises the limits of its user's budget until an end, both or
    /// neither: one that is taken back meanwhile leaves no raise, and a raise no open request.
    /// `budget` is what the raise is based on.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] where it is decided already; [`Error::RateLimited`] where the budget
    /// was changed meanwhile and nothing was decided; or where a table cannot be reached.
    pub async fn approve(
        &self,
        row: &AskRow,
        (budget, settings, until): (&Budget, &Settings, Timestamp),
        decided: Decided,
        expected: Expected,
    ) -> Result<Option<AskRow>, Error> {
        let decision = self.decision(row, AskState::Approved, Some(decided), expected).await?;
        let Some((update, made)) = decision else { return Ok(None) };
        let scope = Scope::new(ScopeKind::User, row.user.clone());
        let Transaction { mut actions } = self.raise(&scope, budget, settings, until).await?;
        actions.push(update);
        let is_first = self.store.ledger().await?.record_all(&Transaction { actions }).await?;
        let decided = self.outcome(row, made, is_first).await?;
        if decided.is_some() {
            self.after_raise(&scope).await?;
            return Ok(decided);
        }
        if self.ask_of(&row.user, row.id).await?.is_some_and(|now| now.version == row.version) {
            let limit = format!("another change of the budget of {scope} is under way");
            return Err(Error::RateLimited { limit, retry_after_s: 1, left: Vec::new() });
        }
        Ok(None)
    }

    /// The write that decides an open request, based on what was just read, so that only one
    /// decision is made; and the version that it makes.
    async fn decision(
        &self,
        row: &AskRow,
        state: AskState,
        decided: Option<Decided>,
        expected: Expected,
    ) -> Result<Option<(Update, u64)>, Error> {
        let sk = sk(&row.user, row.id);
        let item = self.store.get(&self.entities(), &sk).await?.unwrap_or_default();
        let Some((known, seed)) = AskRow::read(&item) else { return Ok(None) };
        if !expected.admits(known.version) {
            return Ok(None);
        }
        if known.state != AskState::Open {
            let rule = "This request is decided already: make another one.".to_owned();
            return Err(Error::NotAllowed { rule });
        }
        let stored = Stored { ask: known.ask, state, decided, seed };
        let next = version::next(self.aws().now());
        let update = Update {
            key: Key { table: Table::Main, pk: self.entities(), sk },
            write: Write::Update(format!("SET rec = :rec, {VERSION} = :next")),
            condition: format!("{VERSION} = :known"),
            names: Vec::new(),
            values: vec![
                (":rec".to_owned(), Attr::S(written(&stored)?)),
                (":next".to_owned(), Attr::N(next.into())),
                (":known".to_owned(), Attr::N(known.version.into())),
            ],
        };
        Ok(Some((update, next)))
    }

    /// The request after its decision; `None` where another one was first. A write whose answer
    /// was lost and that was sent again finds its own version.
    async fn outcome(
        &self,
        row: &AskRow,
        made: u64,
        is_first: bool,
    ) -> Result<Option<AskRow>, Error> {
        let now = self.ask_of(&row.user, row.id).await?;
        Ok(now.filter(|now| is_first || now.version == made))
    }

    async fn all_of(&self, user: &EntityId) -> Result<Vec<(AskRow, Option<String>)>, Error> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let prefix = format!("{PREFIX}{user}:");
            let (items, next) =
                self.store.query(&self.entities(), &prefix, cursor.as_deref(), PAGE_MAX).await?;
            rows.extend(items.iter().filter_map(AskRow::read));
            cursor = next;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
        let rule = "You have asked a thousand times. Talk to the owner.".to_owned();
        Err(Error::NotAllowed { rule })
    }
}

fn sk(user: &EntityId, id: Rid) -> String {
    format!("{PREFIX}{user}:{id}")
}

fn written(stored: &Stored) -> Result<String, Error> {
    serde_json::to_string(stored).map_err(Error::internal)
}
