//! What is written down about a call: the message to the logger and the log row.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::pricing::CostLine;
use crate::{EntityId, Labels, Money, Rid, Scope, Timestamp, Usage};

/// How a call ended, in money. The order is the rank of knowledge: a row is replaced only by
/// one of a higher rank (money.md 3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Refused by Farebox: nothing was sent.
    Refused,
    /// The provider documents that it does not bill this ending.
    Void,
    /// Not billed by inference: the provider refused before a model ran.
    VoidInferred,
    /// Charged the whole hold by the sweeper, until the truth arrives.
    Provisional,
    /// The provider's charge cannot be known: the whole hold is charged.
    Worst,
    /// Charged by the provider's usage, or what it states that it charged.
    Settled,
    /// The truth replaced a provisional charge.
    Adjusted,
    /// An admin's entry: its decision is the signed difference that it makes.
    Correction,
}

impl Outcome {
    /// All of them by their names.
    pub const NAMES: [(&str, Self); 8] = [
        ("refused", Self::Refused),
        ("void", Self::Void),
        ("void_inferred", Self::VoidInferred),
        ("provisional", Self::Provisional),
        ("worst", Self::Worst),
        ("settled", Self::Settled),
        ("adjusted", Self::Adjusted),
        ("correction", Self::Correction),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| name)
    }

    /// The rank of money.md 3.9: refused, void, `void_inferred` 1; provisional 2; worst 3;
    /// settled 4; adjusted and corrections 5.
    #[must_use]
    pub const fn rank(self) -> i64 {
        match self {
            Self::Refused | Self::Void | Self::VoidInferred => 1,
            Self::Provisional => 2,
            Self::Worst => 3,
            Self::Settled => 4,
            Self::Adjusted | Self::Correction => 5,
        }
    }
}

/// What the process decided for a hold, once (I11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Charge this cost.
    Settle(Money),
    /// Charge nothing.
    Void,
    /// Charge the whole hold.
    Worst,
}

/// One scope's part in a call, complete enough for another process to end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopePart {
    /// Whose budget.
    pub scope: Scope,
    /// The hold value as it stands in the item (`amount.day.deadline`); `None` where the scope
    /// was admitted unheld or was never reached.
    pub hold: Option<String>,
    /// A reserve attempt of this call had no definite answer, so its ending sets a fence.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ambiguous: bool,
    /// Admitted without a hold (money.md 3.9): the logger posts the charge.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unheld: bool,
    /// The chat function saw this scope's ending applied.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ended: bool,
    /// The local day that the call belongs to; `YYYYMM00` where an admin's entry belongs to a
    /// whole month.
    pub day: u32,
}

/// An admin's word on the books, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The call whose charge it corrects; `None` where it is of a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Rid>,
    /// What that call costs after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Money>,
    /// In the admin's words.
    pub reason: String,
}

/// An attempt of a call before the one that its row is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Its own row.
    pub id: Rid,
    /// `provider/model`.
    pub model: String,
    /// How it ended, in money.
    pub outcome: Outcome,
    /// What it was charged.
    pub charged: Money,
    /// Why it was not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

/// What a call could use beside tokens at the usual prices: a provider's usage report does not
/// always tell (`farebox reconcile --import`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The service tier, where it was not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Anthropic's `us` geography could not be excluded.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub us_geography: bool,
    /// The most searches.
    #[serde(default)]
    pub web_searches: u64,
    /// The most that other tools of the provider could cost.
    #[serde(default)]
    pub fee: Money,
}

/// The cost of a call, split as the answer shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Prompt tokens of every class.
    pub input: Money,
    /// Completion tokens of every class.
    pub output: Money,
    /// Fees by the piece.
    pub fees: Money,
    /// The sum. One ceiling is taken here, so it may exceed the sum of the parts,
    /// which are rounded down, by less than three pico-USD.
    pub total: Money,
}

/// What begins the line that a process prints where neither the queue nor the outbox took a
/// record: `{"farebox.settlement.v1":<the record>}`.
pub const SETTLEMENT_LINE: &str = "farebox.settlement.v1";

/// The form of a [`CallRecord`], 1. A record of another form is not read at all: what this
/// release does not know of it may move money. One that names none is of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form;

impl Form {
    const NUMBER: u32 = 1;
}

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        if number == Self::NUMBER {
            return Ok(Self);
        }
        let known = Self::NUMBER;
        let fault = format!("the record has form {number}, this release knows {known}");
        Err(serde::de::Error::custom(fault))
    }
}

/// Everything that is kept about one call. It never carries content or a secret (I13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Its form.
    #[serde(default)]
    pub v: Form,
    /// The identity that the caller sees in `x-request-id`; the log row's sort key.
    pub request_id: Rid,
    /// The attempt that holds the money: `request_id`, or a later one after a clamp.
    pub rid: Rid,
    /// The call, where this is an attempt that another one followed: its row is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Rid>,
    /// The attempts before this one, each with a row of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
    /// The deployment.
    pub tenant: String,
    /// The key's owner.
    pub user: EntityId,
    /// The key.
    pub key_id: EntityId,
    /// The user's organisation at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<EntityId>,
    /// The user's team at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<EntityId>,
    /// Endpoint path.
    pub endpoint: String,
    /// Provider name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that was asked for, as the catalogue names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model that the provider says it served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_served: Option<String>,
    /// Whether the caller asked for a stream.
    #[serde(default)]
    pub stream: bool,
    /// How it ended, in money.
    pub outcome: Outcome,
    /// The decision that every channel carries; `None` where there was never a hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The budgets that the call counts to; empty where the model was not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// The scopes and what stands in them.
    #[serde(default)]
    pub parts: Vec<ScopePart>,
    /// The amount held in each scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Money>,
    /// Farebox's own figure by the provider's counts. It is what is charged, where the provider
    /// does not state an amount of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The rates and the counts that the figure is the sum of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<CostLine>,
    /// The provider's own figure, where it gives one: [`Self::is_stated`] says whether it is what
    /// is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_cost: Option<Money>,
    /// Which prices were applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// Counts by class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The service tier that the provider says it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Served at Anthropic's `us` geography, at 1.1 times the price.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub us_geography: bool,
    /// What was asked for, where nobody knows what was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Why the model stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The status that the caller got.
    pub http_status: u16,
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The error's message as the caller saw it, at most 500 characters, without content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The provider's own id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<String>,
    /// The caller's own `x-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// When the call arrived.
    pub started_at: Timestamp,
    /// From arrival to the last byte from the provider.
    pub response_time_ms: i64,
    /// From arrival to the first byte of content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<i64>,
    /// The caller went away before the end.
    #[serde(default)]
    pub client_gone: bool,
    /// The cost is above a hold that was to be its bound: the price row is wrong for everybody.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub overrun: bool,
    /// The provider counted something that has no price, so the whole hold is charged.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unpriced: bool,
    /// The caller's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The caller's user agent, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whose credential was used (`user:ID` or `org:ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_owner: Option<String>,
    /// Which of its owner's credentials for the provider, where that is not the plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// What it is told apart by, the key's labels first.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What an admin said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// Capacity units that the call used before this record was made, in tenths.
    #[serde(default)]
    pub capacity_tenths: u32,
}

impl CallRecord {
    /// A call that was refused before anything about it was known, to be filled in.
    #[must_use]
    pub fn new(request_id: Rid, tenant: String, user: EntityId, key_id: EntityId) -> Self {
        Self {
            v: Form,
            request_id,
            rid: request_id,
            parent: None,
            earlier: Vec::new(),
            tenant,
            user,
            key_id,
            org: None,
            team: None,
            endpoint: String::new(),
            provider: None,
            model: None,
            model_served: None,
            stream: false,
            outcome: Outcome::Refused,
            decision: None,
            scopes: Vec::new(),
            parts: Vec::new(),
            hold: None,
            cost: None,
            lines: Vec::new(),
            provider_cost: None,
            price_version: None,
            usage: None,
            service_tier: None,
            us_geography: false,
            asked: None,
            finish_reason: None,
            http_status: 0,
            error_code: None,
            error_message: None,
            provider_request_id: None,
            client_request_id: None,
            started_at: request_id.made_at(),
            response_time_ms: 0,
            first_token_ms: None,
            client_gone: false,
            overrun: false,
            unpriced: false,
            ip: None,
            user_agent: None,
            credential_owner: None,
            credential: None,
            labels: Labels::default(),
            correction: None,
            capacity_tenths: 0,
        }
    }

    /// What the call was charged: its cost, its hold, or nothing; `None` where nobody decided.
    #[must_use]
    pub fn charged(&self) -> Option<Money> {
        match self.decision? {
            Decision::Settle(cost) => Some(cost),
            Decision::Void => Some(Money::ZERO),
            Decision::Worst => self.hold,
        }
    }

    /// Whose word a settled call is charged by: `provider`'s own figure, or its `counts`.
    #[must_use]
    pub fn charged_by(&self) -> Option<&'static str> {
        let counted = self.cost.map(|cost| Decision::Settle(cost.total));
        match self.is_stated() {
            true => Some("provider"),
            false => (counted.is_some() && self.decision == counted).then_some("counts"),
        }
    }

    /// Whether the provider's own figure is what is charged, so that no price of ours changes it.
    /// It is told by the amounts, so a row of an earlier release says it too.
    /// An admin's word stands above it.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        let is_settled = matches!(self.outcome, Outcome::Settled | Outcome::Adjusted);
        let stated = self.provider_cost.map(Decision::Settle);
        is_settled && self.correction.is_none() && stated.is_some() && self.decision == stated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_charged_where_the_decision_is_its_amount() {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
        let two = Money::from_pico(2).unwrap();
        let row = CallRecord {
            outcome: Outcome::Settled,
            decision: Some(Decision::Settle(two)),
            provider_cost: Some(two),
            ..CallRecord::new(rid, "main".into(), user, key)
        };
        let correction = Correction { of: Some(rid), to: Some(two), reason: "bill".into() };

        assert!(row.is_stated());
        assert!(CallRecord { outcome: Outcome::Adjusted, ..row.clone() }.is_stated());
        for other in [
            CallRecord { provider_cost: None, ..row.clone() },
            CallRecord { provider_cost: Some(Money::ONE_PICO), ..row.clone() },
            CallRecord { outcome: Outcome::Worst, ..row.clone() },
            CallRecord { decision: Some(Decision::Worst), hold: Some(two), ..row.clone() },
            CallRecord { decision: None, ..row.clone() },
            CallRecord { outcome: Outcome::Adjusted, correction: Some(correction), ..row },
        ] {
            assert!(!other.is_stated(), "{other:?}");
        }
    }

    #[test]
    fn a_record_of_another_form_is_not_read() {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let record =
            CallRecord::new(rid, "main".into(), "u1".parse().unwrap(), "k1".parse().unwrap());
        let written = serde_json::to_string(&record).unwrap();
        assert!(written.starts_with(r#"{"v":1,"request_id""#), "{written}");
        let read = |text: &str| serde_json::from_str::<CallRecord>(text);

        assert_eq!(read(&written).unwrap(), record);
        assert_eq!(read(&written.replace(r#""v":1,"#, "")).unwrap(), record);
        let refused = read(&written.replace(r#""v":1"#, r#""v":2"#)).unwrap_err().to_string();
        assert!(refused.contains("has form 2, this release knows 1"), "{refused}");
    }
}
