//! Keys, price overrides and alerts: what a call reads besides money.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_core::{
    Catalog, Clamp, EntityId, GatewayKey, Labels, Money, RateLimits, Scope, Secret, Timeouts,
    Timestamp,
};
use farebox_ledger::alert::{Acknowledged, Delivery, Notice, Stored, Threshold};
use farebox_ledger::{Key, Period, Table};
use tokio::sync::{Mutex, OnceCell};

use crate::cache::Cache;
use crate::clients::Aws;
use crate::credentials::secret_text;
use crate::error::Error;
use crate::expression::{Attributes, Store, again, classify, labels};

mod alerts;
mod overrides;
mod prices;

pub(crate) use overrides::{DISCOUNT, LIST, ROUTE};
pub use overrides::{InForce, Overrides};
pub(crate) use prices::{part_key, parts_of};

/// How long a key is believed: a revocation binds after this (money.md 4).
const KEY_MS: i64 = 30_000;
/// How long an absent key is believed.
const ABSENT_KEY_MS: i64 = 5_000;
/// On a key's item: its calls leave options out.
pub(crate) const DROP_PARAMS: &str = "drop_params";
/// Keys remembered, absent ones included.
const KEYS_MAX: usize = 1_024;

/// The tables off the money path.
pub struct Directory {
    aws: Aws,
    keys: Cache<EntityId, Option<Arc<KeyItem>>>,
    pepper: OnceCell<Secret>,
    prices: Mutex<Option<(Arc<Overrides>, Timestamp)>>,
    list: Mutex<Catalog>,
}

/// A key as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyItem {
    /// The key's public identity.
    pub id: EntityId,
    /// What is stored of its secrets: the one in force, then those that end by themselves.
    pub macs: Vec<StoredMac>,
    /// The deployment.
    pub tenant: String,
    /// Whose key it is.
    pub user: EntityId,
    /// The user's organisation.
    pub org: Option<EntityId>,
    /// The user's team.
    pub team: Option<EntityId>,
    /// The budgets that its calls are held in.
    pub scopes: Vec<Scope>,
    /// Providers with an active credential, and its owner (`user:ID` or `org:ID`).
    pub providers: BTreeMap<String, String>,
    /// Rises with every change of those credentials.
    pub cv: i64,
    /// Not revoked.
    pub active: bool,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// `provider/model` or `provider/*`; `None` allows all.
    pub models: Option<Vec<String>>,
    /// The most that one call may hold.
    pub max_cost: Option<Money>,
    /// When a cap may be lowered; an absent attribute is the default.
    pub clamp: Clamp,
    /// How long a call waits for room that open holds take; `None` is the usual time.
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out, unless a call says otherwise.
    pub drop_params: bool,
    /// How long an attempt may take, where its route does not say.
    pub timeouts: Timeouts,
    /// What its calls are told apart by.
    pub labels: Labels,
    /// Days that the content of its calls is kept; 0 is not at all.
    pub content_days: u32,
    /// The rate limits of its user and its own, where there are any.
    pub rates: Vec<(Scope, RateLimits)>,
}

/// One MAC of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMac {
    /// HMAC-SHA-256 of the whole key under the pepper.
    pub mac: Vec<u8>,
    /// When a rotated-out secret ends.
    pub expires_at: Option<Timestamp>,
}

/// An alert as the owner of a budget sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertItem {
    /// Whose.
    pub scope: Scope,
    /// When it was found.
    pub found_at: Timestamp,
    /// Which period it is about.
    pub period: Period,
    /// What happened.
    pub threshold: Threshold,
    /// The version of the limit.
    pub version: u64,
    /// What was settled when it was found.
    pub spent: Money,
    /// The limit.
    pub limit: Money,
    /// What became of it.
    pub delivery: Delivery,
}

/// An alert to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeItem {
    /// What it says.
    pub notice: Notice,
    /// What became of it.
    pub delivery: Delivery,
    /// Who has looked at it.
    pub acknowledged: Option<Acknowledged>,
}

impl Directory {
    /// The directory of a deployment; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self {
            aws: aws.clone(),
            keys: Cache::new(KEYS_MAX),
            pepper: OnceCell::new(),
            prices: Mutex::new(None),
            list: Mutex::new(Catalog::compiled()),
        }
    }

    /// A key by its public identity: strongly consistent, believed for at most 30 s.
    ///
    /// # Errors
    /// [`Error`]; an unreadable key is no key.
    pub async fn key(&self, id: &EntityId) -> Result<Option<Arc<KeyItem>>, Error> {
        self.key_where(id, |_| true).await
    }

    /// A key that is believed only where its item is as it should be, else read.
    async fn key_where(
        &self,
        id: &EntityId,
        fits: impl Fn(&KeyItem) -> bool,
    ) -> Result<Option<Arc<KeyItem>>, Error> {
        let is_fresh = |key: &Option<Arc<KeyItem>>, age_ms| match key {
            Some(key) => age_ms < KEY_MS && fits(key),
            None => age_ms < ABSENT_KEY_MS,
        };
        let read = async {
            let key = Key { table: Table::Main, pk: format!("K#{id}"), sk: "0".to_owned() };
            let store = Store::money(&self.aws);
            let found = store.fetch(&key).await?;
            found.map(|found| KeyItem::parse(id.clone(), &found).map(Arc::new)).transpose()
        };
        self.keys.value(id, || self.aws.now(), is_fresh, |_, _| false, read).await
    }

    /// The same key, or as it is now where what is believed of it does not know the presented
    /// secret: one that was rotated in a moment ago works at once.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub async fn key_of(
        &self,
        believed: Arc<KeyItem>,
        presented: &GatewayKey,
        pepper: &Secret,
    ) -> Result<Option<Arc<KeyItem>>, Error> {
        if believed.knows(presented, pepper).is_some() {
            return Ok(Some(believed));
        }
        self.key_where(&presented.id, |item| item.knows(presented, pepper).is_some()).await
    }

    /// The deployment's pepper, read once a process.
    ///
    /// # Errors
    /// [`Error`]; the next call tries again.
    pub async fn pepper(&self) -> Result<Secret, Error> {
        let read = || async {
            let id = &self.aws.config().pepper_secret;
            if id.is_empty() {
                return Err(Error::NotConfigured { variable: "FAREBOX_PEPPER_SECRET" });
            }
            let text = secret_text(&self.aws, id).await?;
            let missing = || Error::malformed("the pepper", "the secret does not exist");
            text.ok_or_else(missing)
        };
        self.pepper.get_or_try_init(read).await.cloned()
    }

    /// One page of a partition of `main`, last sort keys first.
    async fn query(
        &self,
        pk: &str,
        limit: Option<i32>,
        start: Option<Attributes>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), Error> {
        let table = &self.aws.config().main_table;
        let page = again("Query", || async {
            let query = self.aws.dynamodb().query().table_name(table);
            let query = query.key_condition_expression("pk = :pk").scan_index_forward(false);
            let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
            let query = query.set_limit(limit).set_exclusive_start_key(start.clone());
            query.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }
}

impl KeyItem {
    /// Reads a key's item.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the attribute.
    pub fn parse(id: EntityId, item: &Attributes) -> Result<Self, Error> {
        let malformed = |attribute: &str| Error::malformed(format!("key {id}"), attribute);
        let text = |name: &str| text(item, name);
        let needed = |name: &str| text(name).ok_or_else(|| malformed(name));
        let number = |name: &str| -> Result<Option<i128>, Error> {
            let Some(value) = item.get(name) else { return Ok(None) };
            let parsed = value.as_n().ok().and_then(|number| number.parse().ok());
            parsed.map(Some).ok_or_else(|| malformed(name))
        };
        let seconds = |name: &str| -> Result<Option<Timestamp>, Error> {
            number(name)?.map(|value| instant(value).ok_or_else(|| malformed(name))).transpose()
        };
        let scopes = texts(item, "scopes").ok_or_else(|| malformed("scopes"))?;
        let scopes: Result<Vec<Scope>, _> = scopes.iter().map(|scope| scope.parse()).collect();
        let max_cost = number("max_cost")?.map(Money::from_pico).transpose();
        let models = match item.get("models") {
            None => None,
            Some(_) => Some(texts(item, "models").ok_or_else(|| malformed("models"))?),
        };
        let clamp = text("clamp").map(|name| Clamp::parse(name).ok_or_else(|| malformed("clamp")));
        Ok(Self {
            macs: macs(item).ok_or_else(|| malformed("macs"))?,
            tenant: needed("tenant")?.to_owned(),
            user: needed("user")?.parse().map_err(|_| malformed("user"))?,
            org: text("org").map(str::parse).transpose().map_err(|_| malformed("org"))?,
            team: text("team").map(str::parse).transpose().map_err(|_| malformed("team"))?,
            scopes: scopes.map_err(|_| malformed("scopes"))?,
            providers: owners(item).ok_or_else(|| malformed("providers"))?,
            cv: number("cv")?.and_then(|cv| cv.try_into().ok()).ok_or_else(|| malformed("cv"))?,
            active: needed("st")? == "A",
            expires_at: seconds("exp")?,
            models,
            max_cost: max_cost.map_err(|_| malformed("max_cost"))?,
            clamp: clamp.transpose()?.unwrap_or_default(),
            room_wait_ms: number("room_wait_ms")?
                .map(u64::try_from)
                .transpose()
                .map_err(|_| malformed("room_wait_ms"))?,
            drop_params: item.contains_key(DROP_PARAMS),
            timeouts: match text("timeouts").map(serde_json::from_str) {
                None => Timeouts::default(),
                Some(timeouts) => timeouts.map_err(|_| malformed("timeouts"))?,
            },
            labels: labels(item).ok_or_else(|| malformed("labels"))?,
            content_days: number("content")?
                .map_or(Ok(0), u32::try_from)
                .map_err(|_| malformed("content"))?,
            rates: match text("rates").map(serde_json::from_str) {
                None => Vec::new(),
                Some(rates) => rates.map_err(|_| malformed("rates"))?,
            },
            id,
        })
    }

    /// Whether a presented key is this one, and may be used now. Constant time in the secret.
    #[must_use]
    pub fn accepts(&self, key: &GatewayKey, pepper: &Secret, now: Timestamp) -> bool {
        let is_live = |until: Option<Timestamp>| until.is_none_or(|until| now < until);
        let known = self.knows(key, pepper).is_some_and(|stored| is_live(stored.expires_at));
        known && key.id == self.id && self.active && is_live(self.expires_at)
    }

    /// What is stored of a presented secret, also where its time is over.
    fn knows(&self, key: &GatewayKey, pepper: &Secret) -> Option<&StoredMac> {
        let mut found = None;
        // Every MAC is compared, so that the time does not tell which one matched.
        for stored in &self.macs {
            found = if key.matches(pepper, &stored.mac) { Some(stored) } else { found };
        }
        found
    }

    /// Whether the key may use a model.
    #[must_use]
    pub fn may_use(&self, provider: &str, model: &str) -> bool {
        let Some(models) = &self.models else { return true };
        models.iter().any(|allowed| {
            let named = allowed.split_once('/');
            named.is_some_and(|(of, name)| of == provider && (name == "*" || name == model))
        })
    }
}

impl AlertItem {
    /// A scope's alert.
    #[must_use]
    pub fn new(scope: Scope, stored: Stored) -> Self {
        let alert = stored.alert;
        Self {
            scope,
            found_at: stored.found_at,
            period: alert.name.period,
            threshold: alert.name.threshold,
            version: alert.name.version,
            spent: alert.spent,
            limit: alert.limit,
            delivery: stored.delivery,
        }
    }
}

fn text<'item>(item: &'item Attributes, name: &str) -> Option<&'item str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn texts(item: &Attributes, name: &str) -> Option<Vec<String>> {
    let list = item.get(name)?.as_l().ok()?;
    list.iter().map(|entry| entry.as_s().ok().cloned()).collect()
}

pub(crate) fn macs(item: &Attributes) -> Option<Vec<StoredMac>> {
    let list = item.get("macs")?.as_l().ok()?;
    let macs = list.iter().map(|entry| {
        let entry = entry.as_m().ok()?;
        let mac = STANDARD.decode(text(entry, "m")?).ok()?;
        let expires_at = match entry.get("exp") {
            None => None,
            Some(seconds) => Some(instant(seconds.as_n().ok()?.parse().ok()?)?),
        };
        Some(StoredMac { mac, expires_at })
    });
    macs.collect()
}

fn owners(item: &Attributes) -> Option<BTreeMap<String, String>> {
    let map = item.get("providers")?.as_m().ok()?;
    map.iter()
        .map(|(provider, owner)| Some((provider.clone(), owner.as_s().ok()?.clone())))
        .collect()
}

fn instant(seconds: i128) -> Option<Timestamp> {
    i64::try_from(seconds.checked_mul(1000)?).ok().map(Timestamp::from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn n(number: i64) -> AttributeValue {
        AttributeValue::N(number.to_string())
    }

    fn gateway_key() -> GatewayKey {
        GatewayKey::generate("local", core::array::from_fn(|place| u8::try_from(place).unwrap()))
    }

    fn pepper() -> Secret {
        Secret::new("pepper".to_owned())
    }

    fn stored() -> Attributes {
        let mac = STANDARD.encode(gateway_key().mac(&pepper()));
        let mac = AttributeValue::M([("m".to_owned(), s(&mac))].into());
        let providers = [("openai".to_owned(), s("org:o1"))].into();
        [
            ("macs", AttributeValue::L(vec![mac])),
            ("tenant", s("main")),
            ("user", s("u1")),
            ("scopes", AttributeValue::L(vec![s("user:u1"), s("key:k1")])),
            ("providers", AttributeValue::M(providers)),
            ("cv", n(4)),
            ("st", s("A")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn key(changes: &[(&str, AttributeValue)]) -> Result<KeyItem, Error> {
        let mut item = stored();
        for (name, value) in changes {
            item.insert((*name).to_owned(), value.clone());
        }
        KeyItem::parse(gateway_key().id, &item)
    }

    fn accepts(changes: &[(&str, AttributeValue)]) -> bool {
        key(changes).unwrap().accepts(&gateway_key(), &pepper(), Timestamp::from_ms(10_000))
    }

    #[test]
    fn a_key_is_accepted_while_it_is_active_and_not_expired() {
        assert!(accepts(&[]));
        assert!(accepts(&[("exp", n(11))]));
        assert!(!accepts(&[("exp", n(10))]));
        assert!(!accepts(&[("st", s("R"))]));
        let now = Timestamp::from_ms(0);
        let other = Secret::new("other".to_owned());
        assert!(!key(&[]).unwrap().accepts(&gateway_key(), &other, now));
    }

    #[test]
    fn a_rotated_out_secret_ends_by_itself() {
        let mac = STANDARD.encode(gateway_key().mac(&pepper()));
        let ends = |at| {
            let entry = [("m".to_owned(), s(&mac)), ("exp".to_owned(), n(at))].into();
            AttributeValue::L(vec![AttributeValue::M(entry)])
        };

        assert!(accepts(&[("macs", ends(11))]));
        assert!(!accepts(&[("macs", ends(10))]));
    }

    #[test]
    fn a_malformed_key_is_no_key() {
        for (name, value) in [
            ("macs", s("x")),
            ("scopes", AttributeValue::L(vec![s("tree:1")])),
            ("exp", s("tomorrow")),
            ("models", n(1)),
            ("max_cost", s("1")),
            ("clamp", s("Always")),
            ("room_wait_ms", n(-1)),
            ("rates", s("{}")),
            ("timeouts", s("10")),
        ] {
            assert!(key(&[(name, value)]).is_err(), "{name}");
        }
    }

    #[test]
    fn models_are_exact_or_all_of_a_provider() {
        let list = AttributeValue::L(vec![s("openai/gpt-4o"), s("anthropic/*")]);
        let limited = key(&[("models", list)]).unwrap();

        assert!(key(&[]).unwrap().may_use("any", "model"));
        assert!(limited.may_use("openai", "gpt-4o"));
        assert!(limited.may_use("anthropic", "claude"));
        assert!(!limited.may_use("openai", "gpt-4o-mini"));
        assert!(!limited.may_use("openai", "*"));
    }
}
