//! Ledger values as DynamoDB's, and answers back.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ConsumedCapacity};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use farebox_core::Labels;
use farebox_ledger::{Answer, Attr, Item, Key, Update, Verdict};

use crate::error::Error;
use crate::http::NotSent;

pub use crate::store::{Store, again};

/// An item as DynamoDB sends it.
pub type Attributes = HashMap<String, AttributeValue>;

/// What one write came to.
#[derive(Clone, Debug)]
pub struct Written {
    /// For the machine.
    pub answer: Answer,
    /// The attributes that an update changed, as they are now.
    pub changed: Item,
    /// Capacity units, in tenths; a failed condition does not tell its own.
    pub capacity_tenths: u32,
    /// Where the answer is not definite or not the hoped for one: what happened.
    pub failure: Option<Failure>,
}

/// Why a request has no good answer (money.md W4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The condition does not hold.
    ConditionFailed,
    /// The transaction was cancelled.
    Cancelled,
    /// Definitely not applied: too much at once.
    Throttled(String),
    /// Definitely not applied: no byte left.
    NotSent(String),
    /// Perhaps applied.
    Ambiguous(String),
    /// Definitely not applied, nor ever.
    Rejected(String),
}

impl Written {
    pub(crate) fn applied(changed: Option<Attributes>, capacity: &[ConsumedCapacity]) -> Self {
        let changed = changed.map(item).unwrap_or_default();
        let capacity_tenths = tenths(capacity);
        Self { answer: Answer::Applied, changed, capacity_tenths, failure: None }
    }

    pub(crate) fn failed(failure: Failure, old: Option<Attributes>) -> Self {
        let answer = match &failure {
            Failure::ConditionFailed => Answer::ConditionFailed(old.map(item)),
            Failure::Cancelled => Answer::Cancelled(Vec::new()),
            Failure::Throttled(_) | Failure::NotSent(_) => Answer::Throttled,
            Failure::Ambiguous(_) => Answer::Ambiguous,
            Failure::Rejected(cause) => Answer::Rejected(cause.clone()),
        };
        Self { answer, changed: Item::new(), capacity_tenths: 0, failure: Some(failure) }
    }
}

impl Failure {
    /// As an error of an operation.
    #[must_use]
    pub fn error(self, operation: &'static str) -> Error {
        match self {
            Self::Throttled(cause) | Self::NotSent(cause) | Self::Ambiguous(cause) => {
                Error::Unavailable { operation, cause }
            }
            Self::Rejected(cause) => Error::Refused { operation, cause },
            Self::ConditionFailed | Self::Cancelled => {
                Error::Refused { operation, cause: "a condition failed".to_owned() }
            }
        }
    }

    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::NotSent(_) | Self::Ambiguous(_))
    }
}

/// Whether a failed request may have been applied (W4). The text of a message is left out: it
/// may quote what was sent.
pub fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Failure {
    match error {
        SdkError::ConstructionFailure(_) => Failure::Rejected("request not built".to_owned()),
        SdkError::TimeoutError(_) => Failure::Ambiguous("timeout".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let source = failure.as_connector_error().and_then(std::error::Error::source);
            match source.and_then(|source| source.downcast_ref::<NotSent>()) {
                Some(not_sent) => Failure::NotSent(not_sent.to_string()),
                None if failure.is_timeout() => Failure::Ambiguous("timeout".to_owned()),
                None => Failure::Ambiguous("connection broke".to_owned()),
            }
        }
        SdkError::ServiceError(service) => {
            by_code(service.err().code(), service.raw().status().as_u16())
        }
        _ => Failure::Ambiguous("answer not readable".to_owned()),
    }
}

/// What a service's error code says about the request.
fn by_code(code: Option<&str>, status: u16) -> Failure {
    const THROTTLES: [&str; 6] = [
        "ThrottlingException",
        "ThrottledException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "RequestThrottled",
    ];
    const AMBIGUOUS: [&str; 2] = ["TransactionInProgressException", "InternalServerError"];
    let named = code.unwrap_or("no code");
    let cause = || format!("{named} ({status})");
    match named {
        "ConditionalCheckFailedException" => Failure::ConditionFailed,
        "TransactionCanceledException" => Failure::Cancelled,
        _ if THROTTLES.contains(&named) || status == 429 => Failure::Throttled(cause()),
        _ if AMBIGUOUS.contains(&named) => Failure::Ambiguous(cause()),
        _ if (400..500).contains(&status) && status != 408 => Failure::Rejected(cause()),
        _ => Failure::Ambiguous(cause()),
    }
}

/// One verdict an action (W7).
pub(crate) fn cancelled_by(reasons: &[CancellationReason]) -> Written {
    let mut verdicts = Vec::with_capacity(reasons.len());
    for reason in reasons {
        verdicts.push(match reason.code.as_deref() {
            None | Some("None") => Verdict::Passed,
            Some("ConditionalCheckFailed") => {
                Verdict::ConditionFailed(reason.item.clone().map(item))
            }
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
                Verdict::Conflict
            }
            Some(code) => return Written::failed(Failure::Rejected(code.to_owned()), None),
        });
    }
    let answer = Answer::Cancelled(verdicts);
    let failure = Some(Failure::Cancelled);
    Written { answer, changed: Item::new(), capacity_tenths: 0, failure }
}

/// A ledger item as DynamoDB takes it.
#[must_use]
pub fn attributes(item: &Item) -> Attributes {
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// DynamoDB's item as the ledger reads it: numbers and texts. Other types belong to items that
/// the ledger has no part in.
#[must_use]
pub fn item(attributes: Attributes) -> Item {
    let known = attributes.into_iter().filter_map(|(name, value)| match value {
        AttributeValue::S(text) => Some((name, Attr::S(text))),
        // A number that is no integer was not written by Farebox; as a text it reads as
        // malformed, which fails closed.
        AttributeValue::N(number) => {
            Some((name, number.parse().map_or_else(|_| Attr::S(number.clone()), Attr::N)))
        }
        _ => None,
    });
    known.collect()
}

fn attribute(value: &Attr) -> AttributeValue {
    match value {
        Attr::N(number) => AttributeValue::N(number.to_string()),
        Attr::S(text) => AttributeValue::S(text.clone()),
    }
}

/// A key's labels, by name; an absent attribute is none, another form is malformed.
pub(crate) fn labels(item: &Attributes) -> Option<Labels> {
    let Some(labels) = item.get("labels") else { return Some(Labels::default()) };
    let sorted: BTreeMap<_, _> = labels.as_m().ok()?.iter().collect();
    let pair = |(name, value): (&String, &AttributeValue)| {
        Some((name.clone(), value.as_s().ok()?.clone()))
    };
    sorted.into_iter().map(pair).collect()
}

/// The key of an item as DynamoDB takes it.
#[must_use]
pub fn key_attributes(key: &Key) -> Attributes {
    Attributes::from([
        ("pk".to_owned(), AttributeValue::S(key.pk.clone())),
        ("sk".to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

pub(crate) fn condition(update: &Update) -> Option<String> {
    (!update.condition.is_empty()).then(|| update.condition.clone())
}

pub(crate) fn names(update: &Update) -> Option<HashMap<String, String>> {
    (!update.names.is_empty()).then(|| update.names.iter().cloned().collect())
}

pub(crate) fn values(update: &Update) -> Option<Attributes> {
    let values = update.values.iter();
    let values = values.map(|(placeholder, value)| (placeholder.clone(), attribute(value)));
    (!update.values.is_empty()).then(|| values.collect())
}

/// Consumed capacity in tenths of a unit, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-integer cast saturates, and units are small positive numbers"
)]
pub(crate) fn tenths(capacity: &[ConsumedCapacity]) -> u32 {
    let units = capacity.iter().filter_map(|one| one.capacity_units);
    (units.sum::<f64>() * 10.0).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the tests make each failure inline")]
    fn is(failure: Failure) -> &'static str {
        match failure {
            Failure::ConditionFailed => "condition",
            Failure::Cancelled => "cancelled",
            Failure::Throttled(_) => "throttled",
            Failure::NotSent(_) => "not sent",
            Failure::Ambiguous(_) => "ambiguous",
            Failure::Rejected(_) => "rejected",
        }
    }

    #[test]
    fn an_answer_is_definite_or_it_is_ambiguous() {
        for (code, status, expected) in [
            ("ConditionalCheckFailedException", 400, "condition"),
            ("TransactionCanceledException", 400, "cancelled"),
            ("ThrottlingException", 400, "throttled"),
            ("ProvisionedThroughputExceededException", 400, "throttled"),
            ("RequestLimitExceeded", 400, "throttled"),
            ("TransactionConflictException", 400, "throttled"),
            ("TransactionInProgressException", 400, "ambiguous"),
            ("InternalServerError", 500, "ambiguous"),
            ("ServiceUnavailable", 503, "ambiguous"),
            ("ValidationException", 400, "rejected"),
            ("AccessDeniedException", 400, "rejected"),
            ("ResourceNotFoundException", 400, "rejected"),
        ] {
            assert_eq!(is(by_code(Some(code), status)), expected, "{code}");
        }
        assert_eq!(is(by_code(None, 502)), "ambiguous");
        assert_eq!(is(by_code(None, 408)), "ambiguous");
        assert_eq!(is(by_code(None, 403)), "rejected");
    }

    #[test]
    fn an_item_round_trips_with_all_its_digits() {
        let original = Item::from([
            ("n".to_owned(), Attr::N(-(10_i128.pow(37)))),
            ("h_1".to_owned(), Attr::S("1.20261123.900".to_owned())),
        ]);

        assert_eq!(item(attributes(&original)), original);
    }

    #[test]
    fn what_the_ledger_does_not_write_is_left_out_or_unreadable() {
        let read = item(Attributes::from([
            ("l".to_owned(), AttributeValue::L(Vec::new())),
            ("n".to_owned(), AttributeValue::N("1.5".to_owned())),
        ]));

        assert_eq!(read, Item::from([("n".to_owned(), Attr::S("1.5".to_owned()))]));
    }

    #[test]
    fn a_cancelled_transaction_is_read_action_by_action() {
        let reason = |code: &str| CancellationReason::builder().code(code).build();

        let written = cancelled_by(&[
            reason("None"),
            reason("ConditionalCheckFailed"),
            reason("TransactionConflict"),
        ]);

        let verdicts = [Verdict::Passed, Verdict::ConditionFailed(None), Verdict::Conflict];
        assert_eq!(written.answer, Answer::Cancelled(verdicts.to_vec()));
        let invalid = cancelled_by(&[reason("ValidationError")]);
        assert_eq!(invalid.answer, Answer::Rejected("ValidationError".to_owned()));
    }

    #[test]
    fn capacity_is_counted_in_tenths_upwards() {
        let used = |units| ConsumedCapacity::builder().capacity_units(units).build();

        assert_eq!(tenths(&[used(0.5), used(2.0)]), 25);
        assert_eq!(tenths(&[used(0.01)]), 1);
        assert_eq!(tenths(&[]), 0);
    }
}
