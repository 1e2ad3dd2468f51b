//! What can be changed of a key.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{Clamp, EntityId, Error, Labels, Money, Timeouts, Timestamp};

use super::keys::{KEY_SK, pk};
use super::owners::{VERSION, seconds};
use super::store::{
    Attributes, Changed, map, number, read_number, read_text, read_texts, text, texts,
};
use super::{Control, Expected, KeyRow, version};
use crate::directory::DROP_PARAMS;

/// What a key is called, what it may and how its calls are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// For people.
    pub name: String,
    /// `provider/model` or `provider/*`; `None`: every model.
    pub models: Option<Vec<String>>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// The most that one call may cost.
    pub max_cost: Option<Money>,
    /// When a cap may be lowered.
    pub clamp: Clamp,
    /// How long a call waits for room that open holds take; `None` is the usual time.
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out, unless a call says otherwise.
    pub drop_params: bool,
    /// How long an attempt may take, where its route does not say.
    pub timeouts: Timeouts,
    /// What its calls are told apart by.
    pub labels: Labels,
}

impl KeySettings {
    pub(super) fn read(item: &Attributes) -> Self {
        let pico: Option<i128> = read_number(item, "max_cost");
        let timeouts = read_text(item, "timeouts");
        let clamp = read_text(item, "clamp").and_then(|name| Clamp::parse(&name));
        Self {
            name: read_text(item, "name").unwrap_or_default(),
            models: read_texts(item, "models"),
            expires_at: read_number(item, "exp").map(seconds),
            max_cost: pico.and_then(|pico| Money::from_pico(pico).ok()),
            clamp: clamp.unwrap_or_default(),
            room_wait_ms: read_number(item, "room_wait_ms"),
            drop_params: item.contains_key(DROP_PARAMS),
            timeouts: timeouts
                .and_then(|timeouts| serde_json::from_str(&timeouts).ok())
                .unwrap_or_default(),
            labels: crate::expression::labels(item).unwrap_or_default(),
        }
    }

    /// Each by the name that it has in the key's item; `None` is one that is not there.
    pub(super) fn attributes(&self) -> [(&'static str, Option<AttributeValue>); 9] {
        let labels = self.labels.iter();
        let labels = map(labels.map(|(name, value)| (name.to_owned(), text(value))));
        let is_timed = self.timeouts != Timeouts::default();
        let timeouts = serde_json::to_string(&self.timeouts).ok().filter(|_| is_timed);
        let is_clamped = self.clamp != Clamp::default();
        [
            ("name", Some(text(&self.name))),
            ("models", self.models.as_ref().map(|models| texts(models))),
            ("exp", self.expires_at.map(|at| number(at.seconds()))),
            ("max_cost", self.max_cost.map(|cost| number(cost.pico()))),
            ("clamp", is_clamped.then(|| text(self.clamp.name()))),
            ("room_wait_ms", self.room_wait_ms.map(number)),
            (DROP_PARAMS, self.drop_params.then(|| number(1))),
            ("timeouts", timeouts.map(|timeouts| text(&timeouts))),
            ("labels", Some(labels).filter(|_| !self.labels.is_empty())),
        ]
    }

    /// As they are read again: an end has whole seconds.
    pub(super) fn stored(&self) -> Self {
        let expires_at = self.expires_at.map(|at| seconds(at.seconds()));
        Self { expires_at, ..self.clone() }
    }
}

impl Control {
    /// Replaces a key's settings; `None` where it is revoked, or there is none of that version.
    /// They bind when its item is read again: within 30 seconds.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn change_key(
        &self,
        id: &EntityId,
        settings: &KeySettings,
        expected: Expected,
    ) -> Result<Option<KeyRow>, Error> {
        let (mut set, mut removed) = (vec!["v = :next".to_owned()], Vec::new());
        for (place, (_, value)) in settings.attributes().iter().enumerate() {
            match value {
                Some(_) => set.push(format!("#a{place} = :a{place}")),
                None => removed.push(format!("#a{place}")),
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !removed.is_empty() {
            expression.push_str(&format!(" REMOVE {}", removed.join(", ")));
        }
        let condition = "attribute_exists(pk) AND st = :A";
        let change = Changed::new(&pk(id), KEY_SK, &expression, condition);
        let mut change = expected
            .guard(change, VERSION, false)
            .value(":A", text("A"))
            .value(":next", number(version::next(self.aws().now())));
        for (place, (name, value)) in settings.attributes().into_iter().enumerate() {
            change = change.name(&format!("#a{place}"), name);
            if let Some(value) = value {
                change = change.value(&format!(":a{place}"), value);
            }
        }
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(KeyRow::read))
    }
}
