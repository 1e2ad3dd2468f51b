//! Routes: a name that stands for an ordered list of models.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The most targets of one route: each may be a call of its own.
const TARGETS_MAX: usize = 8;
/// The longest name.
const NAME_BYTES_MAX: usize = 64;
/// The largest weight.
const WEIGHT_MAX: u32 = 1_000;
/// The most retries of one target.
const RETRIES_MAX: u32 = 3;
/// The longest wait that a provider may ask for before a retry, in ms.
const PATIENCE_MS_MAX: u32 = 20_000;
/// The same where the route does not say.
const PATIENCE_MS: u32 = 2_000;

/// A shorter timeout would give up calls that go well, and pay for them.
const TIMEOUT_MS_MIN: u32 = 10;
/// A connection that takes longer is none.
const CONNECT_MS_MAX: u32 = 10_000;
/// Nothing lasts longer than an invocation.
const INVOCATION_MS_MAX: u32 = 900_000;

/// What a name stands for, as an owner writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "PutRoute"))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where its calls go, in the order in which they are tried.
    pub targets: Vec<RouteTarget>,
    /// Goes on also after an attempt that is charged, because the provider may bill it: the call
    /// may then cost more than once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after_charge: bool,
    /// What follows where the budgets refuse a target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_budget_refusal: OnBudgetRefusal,
    /// How often one target is tried again before the next.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: u32,
    /// The longest `Retry-After`, in ms, that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_patience_ms: Option<u32>,
    /// How long each attempt may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
}

/// How long one attempt may take, in ms. What is not set is as it is without a route: 5 s to
/// connect, the rest as long as the invocation lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Until there is a connection: nothing was sent, so nothing is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// From the request until the first byte of a whole answer, or a stream's first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u32>,
    /// Between two pieces of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u32>,
    /// All of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u32>,
}

impl Timeouts {
    /// These, and where they leave one out the other's.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        const fn first(one: Option<u32>, other: Option<u32>) -> Option<u32> {
            if one.is_some() { one } else { other }
        }
        Self {
            connect_ms: first(self.connect_ms, other.connect_ms),
            first_byte_ms: first(self.first_byte_ms, other.first_byte_ms),
            idle_ms: first(self.idle_ms, other.idle_ms),
            total_ms: first(self.total_ms, other.total_ms),
        }
    }

    /// Whether they can be kept.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule.
    pub fn check(&self) -> Result<(), Error> {
        for (field, limit, most) in [
            ("timeouts.connect_ms", self.connect_ms, CONNECT_MS_MAX),
            ("timeouts.first_byte_ms", self.first_byte_ms, INVOCATION_MS_MAX),
            ("timeouts.idle_ms", self.idle_ms, INVOCATION_MS_MAX),
            ("timeouts.total_ms", self.total_ms, INVOCATION_MS_MAX),
        ] {
            if limit.is_some_and(|limit| !(TIMEOUT_MS_MIN..=most).contains(&limit)) {
                return Err(Error::malformed(field, format!("is {TIMEOUT_MS_MIN} to {most}")));
            }
        }
        Ok(())
    }
}

/// What follows where the budgets refuse a target of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnBudgetRefusal {
    /// The call is refused.
    #[default]
    Refuse,
    /// The next target whose hold is smaller is tried.
    Next,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One model of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteTarget {
    /// `provider/model`.
    pub model: String,
    /// Its share of the calls that it is tried first for. Where no target has one, the first
    /// target is; a target without one is tried only after others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl RouteTarget {
    /// Provider and model; `None` where the text is not both.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str)> {
        let (provider, model) = self.model.split_once('/')?;
        (!provider.is_empty() && !model.is_empty()).then_some((provider, model))
    }
}

/// Whether a text can be the name of a route. It has no slash, so it is never a `provider/model`:
/// a route cannot lead to another, and so not to itself.
///
/// # Errors
/// [`Error::Malformed`] says the rule.
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let rule = "the name of a route has 1 to 64 letters, digits, '_', '-' or '.'";
    Err(Error::malformed("name", rule))
}

impl Route {
    /// What is wrong with it as such; whether its models exist is another question.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=TARGETS_MAX).contains(&self.targets.len()) {
            return Err(Error::malformed("targets", "a route has 1 to 8 targets"));
        }
        for (at, target) in self.targets.iter().enumerate() {
            let field = |name: &str| format!("targets[{at}].{name}");
            if target.parts().is_none() {
                let rule = "write it as provider/model: a route leads to models, not to routes";
                return Err(Error::malformed(field("model"), rule));
            }
            if self.targets.iter().take(at).any(|earlier| earlier.model == target.model) {
                return Err(Error::malformed(field("model"), "is a target already"));
            }
            if target.weight.is_some_and(|weight| !(1..=WEIGHT_MAX).contains(&weight)) {
                return Err(Error::malformed(field("weight"), "is 1 to 1000, or left out"));
            }
        }
        if self.retries > RETRIES_MAX {
            return Err(Error::malformed("retries", "is 0 to 3"));
        }
        if self.retry_patience_ms.is_some_and(|patience| patience > PATIENCE_MS_MAX) {
            return Err(Error::malformed("retry_patience_ms", "is 0 to 20000"));
        }
        self.timeouts.check()
    }

    /// The longest `Retry-After` that is waited for, in ms.
    #[must_use]
    pub fn patience_ms(&self) -> u64 {
        self.retry_patience_ms.unwrap_or(PATIENCE_MS).into()
    }

    /// The targets as one call tries them: first the one that `draw`, a random number, chooses by
    /// the weights, then the others as they are written.
    #[must_use]
    pub fn order(&self, draw: u64) -> Vec<&RouteTarget> {
        let weight = |target: &RouteTarget| u64::from(target.weight.unwrap_or_default());
        let sum = self.targets.iter().map(weight).fold(0, u64::saturating_add);
        let mut left = draw.checked_rem(sum).unwrap_or_default();
        let mut chosen = 0;
        for (at, target) in self.targets.iter().enumerate() {
            match left.checked_sub(weight(target)) {
                Some(rest) if sum > 0 => left = rest,
                _ => {
                    chosen = at;
                    break;
                }
            }
        }
        let mut order: Vec<&RouteTarget> = self.targets.iter().collect();
        if let Some(first) = order.get_mut(..=chosen) {
            first.rotate_right(1);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(targets: &[(&str, Option<u32>)]) -> Route {
        let target =
            |(model, weight): &(&str, _)| RouteTarget { model: (*model).into(), weight: *weight };
        Route { targets: targets.iter().map(target).collect(), ..Route::default() }
    }

    fn order(route: &Route, draw: u64) -> String {
        let names: Vec<_> = route.order(draw).iter().map(|one| one.model.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn without_weights_the_order_is_as_it_is_written() {
        let route = route(&[("a/x", None), ("b/x", None), ("c/x", None)]);

        for draw in [0, 1, 2, u64::MAX] {
            assert_eq!(order(&route, draw), "a/x b/x c/x");
        }
    }

    #[test]
    fn weights_choose_who_is_first_and_the_rest_keeps_its_order() {
        let route = route(&[("a/x", Some(1)), ("b/x", None), ("c/x", Some(3))]);

        assert_eq!(order(&route, 0), "a/x b/x c/x");
        for draw in 1..4 {
            assert_eq!(order(&route, draw), "c/x a/x b/x");
        }
        let firsts = (0..1_000).filter(|draw| order(&route, *draw).starts_with("a/x"));
        assert_eq!(firsts.count(), 250);
    }

    #[test]
    fn a_wrong_route_names_the_field() {
        let nine: Vec<_> = (0..9).map(|n| (format!("a/{n}"), None)).collect();
        let nine: Vec<_> = nine.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
        for (targets, field) in [
            (&[][..], "targets"),
            (&nine, "targets"),
            (&[("fast", None)], "targets[0].model"),
            (&[("a/", None)], "targets[0].model"),
            (&[("a/x", None), ("a/x", None)], "targets[1].model"),
            (&[("a/x", Some(0))], "targets[0].weight"),
            (&[("a/x", Some(1_001))], "targets[0].weight"),
        ] {
            let error = route(targets).check().unwrap_err();
            assert_eq!(error.field(), Some(field), "{error}");
        }
        let good = route(&[("fireworks_ai/accounts/x", Some(1_000))]);
        assert_eq!(good.check(), Ok(()));
        let none = Timeouts::default();
        let timed = |timeouts| Route { timeouts, ..good.clone() };
        for (wrong, field) in [
            (Route { retries: 4, ..good.clone() }, "retries"),
            (Route { retry_patience_ms: Some(20_001), ..good.clone() }, "retry_patience_ms"),
            (timed(Timeouts { connect_ms: Some(10_001), ..none }), "timeouts.connect_ms"),
            (timed(Timeouts { first_byte_ms: Some(9), ..none }), "timeouts.first_byte_ms"),
            (timed(Timeouts { idle_ms: Some(0), ..none }), "timeouts.idle_ms"),
            (timed(Timeouts { total_ms: Some(900_001), ..none }), "timeouts.total_ms"),
        ] {
            assert_eq!(wrong.check().unwrap_err().field(), Some(field));
        }
    }

    #[test]
    fn a_name_is_never_a_model_of_a_provider() {
        for name in ["fast", "GPT-best", "a.b_c-1"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "a/b", "a#b", "a b", "é", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
