//! Usage: what calls add up to, by owner, label, model and time.

use std::collections::BTreeMap;

use farebox_api::{UsageRow, UsageSums};
use farebox_core::rollup::{Counter, Place, Sums, unescaped};
use farebox_core::{Day, Error, ScopeKind};

use crate::rollups::{Cell, Which};

/// What rows are grouped by, one of each kind at most.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct By {
    /// Whose.
    pub owner: Option<Owner>,
    /// `model` or `provider`.
    pub model: Option<&'static str>,
    /// `day` or `month`.
    pub time: Option<&'static str>,
    /// As they were written.
    pub names: Vec<String>,
}

/// Whom rows are grouped by.
#[derive(Debug, PartialEq, Eq)]
pub enum Owner {
    /// Of each of a kind.
    Kind(ScopeKind),
    /// Of each value of a label.
    Label(String),
}

impl By {
    /// Reads names with commas between.
    ///
    /// # Errors
    /// Where one is not known or there are two of a kind.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rule = "is one or more of org, team, user, key or label:NAME; model or provider; day \
                    or month; with commas between, one of each kind";
        let wrong = || Error::malformed("by", rule);
        let mut by = Self::default();
        for name in text.split(',').map(str::trim) {
            let owner = match name {
                "org" => Some(Owner::Kind(ScopeKind::Org)),
                "team" => Some(Owner::Kind(ScopeKind::Team)),
                "user" => Some(Owner::Kind(ScopeKind::User)),
                "key" => Some(Owner::Kind(ScopeKind::Key)),
                name => {
                    let label = name.strip_prefix("label:").filter(|label| !label.is_empty());
                    label.map(|label| Owner::Label(label.to_owned()))
                }
            };
            let known = |names: [&'static str; 2]| names.into_iter().find(|known| *known == name);
            let (model, time) = (known(["model", "provider"]), known(["day", "month"]));
            let is_taken = match (&owner, model, time) {
                (Some(_), ..) => by.owner.is_some(),
                (_, Some(_), _) => by.model.is_some(),
                (_, _, Some(_)) => by.time.is_some(),
                (None, None, None) => true,
            };
            if is_taken {
                return Err(wrong());
            }
            by.owner = owner.or(by.owner);
            by.model = model.or(by.model);
            by.time = time.or(by.time);
            by.names.push(name.to_owned());
        }
        Ok(by)
    }

    /// The kind of place whose sums are read.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.owner {
            None => Place::All.kind(),
            Some(Owner::Kind(kind)) => kind.name(),
            Some(Owner::Label(_)) => "label",
        }
    }

    /// Which of them.
    #[must_use]
    pub fn which(&self) -> Which {
        match &self.owner {
            None => Which::One(Place::All.id()),
            Some(Owner::Kind(_)) => Which::Beginning(String::new()),
            Some(Owner::Label(name)) => {
                Which::Beginning(Place::Label(name.clone(), String::new()).id())
            }
        }
    }

    /// What a cell's group has in common.
    fn group(&self, cell: &Cell) -> BTreeMap<String, String> {
        let mut group = BTreeMap::new();
        for name in &self.names {
            let value = match name.as_str() {
                "model" => cell.model.clone(),
                "provider" => cell.model.split('/').next().unwrap_or_default().to_owned(),
                "day" => cell.day.map(dashed).unwrap_or_default(),
                "month" => {
                    let month = cell.month.to_string();
                    month.split_at_checked(4).map_or(String::new(), |(y, m)| format!("{y}-{m}"))
                }
                _ => {
                    let value = match self.owner {
                        Some(Owner::Label(_)) => cell.id.split_once('=').map(|(_, value)| value),
                        _ => None,
                    };
                    value.map_or_else(|| cell.id.clone(), unescaped)
                }
            };
            group.insert(name.clone(), value);
        }
        group
    }
}

/// Rows, what is left beyond the limit, and the whole.
///
/// # Errors
/// Where a sum is beyond all money.
pub fn grouped(
    by: &By,
    cells: Vec<Cell>,
    limit: usize,
) -> Result<(Vec<UsageRow>, Option<UsageSums>, UsageSums), Error> {
    let (mut groups, mut total) =
        (BTreeMap::<BTreeMap<String, String>, Sums>::new(), Sums::default());
    for cell in cells {
        total.plus(&cell.sums);
        groups.entry(by.group(&cell)).or_default().plus(&cell.sums);
    }
    let mut groups: Vec<_> = groups.into_iter().filter(|(_, sums)| !sums.is_zero()).collect();
    groups.sort_by(|(a, of_a), (b, of_b)| {
        let time =
            |group: &BTreeMap<String, String>| by.time.and_then(|time| group.get(time)).cloned();
        let charged = |sums: &Sums| core::cmp::Reverse(sums.get(Counter::Charged));
        (time(a), charged(of_a), a).cmp(&(time(b), charged(of_b), b))
    });
    let beyond = groups.split_off(limit.min(groups.len()));
    let rows = groups.into_iter().map(|(by, sums)| Ok(UsageRow { by, sums: shown(&sums)? }));
    let rows: Result<Vec<_>, Error> = rows.collect();
    let mut rest = Sums::default();
    beyond.iter().for_each(|(_, sums)| rest.plus(sums));
    let rest = if beyond.is_empty() { None } else { Some(shown(&rest)?) };
    Ok((rows?, rest, shown(&total)?))
}

/// Sums as answers have them.
///
/// # Errors
/// Where one is beyond all money.
pub fn shown(sums: &Sums) -> Result<UsageSums, Error> {
    let usd = |counter| {
        let amount = sums.money(counter).ok_or_else(|| Error::internal("a sum beyond all money"));
        amount.map(|amount| amount.to_string())
    };
    // Below zero only where rows of another release were taken off.
    let count = |counter| u64::try_from(sums.get(counter)).unwrap_or_default();
    let (cached, written) = (count(Counter::Cached), count(Counter::CacheWritten));
    let reasoning = count(Counter::Reasoning);
    Ok(UsageSums {
        calls: count(Counter::Calls),
        refused: count(Counter::Refused),
        charged_usd: usd(Counter::Charged)?,
        unknown_usd: usd(Counter::Unknown)?,
        entered_usd: usd(Counter::Entered)?,
        input_usd: usd(Counter::InputCost)?,
        output_usd: usd(Counter::OutputCost)?,
        fees_usd: usd(Counter::Fees)?,
        input_off_usd: usd(Counter::InputOff)?,
        output_off_usd: usd(Counter::OutputOff)?,
        pieces: count(Counter::Pieces),
        prompt_tokens: count(Counter::Prompt).saturating_add(cached).saturating_add(written),
        cached_tokens: cached,
        cache_write_tokens: written,
        completion_tokens: count(Counter::Completion).saturating_add(reasoning),
        reasoning_tokens: reasoning,
    })
}

/// A day as `2026-11-23`.
#[must_use]
pub fn dashed(day: Day) -> String {
    let text = day.to_string();
    match (text.get(..4), text.get(4..6), text.get(6..)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_is_one_of_each_kind() {
        let by = By::parse("team,model,day").unwrap();
        assert_eq!((by.kind(), by.model, by.time), ("team", Some("model"), Some("day")));
        let by = By::parse("label:a=b").unwrap();
        assert_eq!(by.which(), Which::Beginning("a%3Db=".to_owned()));
        assert_eq!(By::parse("provider").unwrap().which(), Which::One("-".to_owned()));
        for wrong in ["", "models", "user,key", "model,provider", "day,month", "label:", "day,day"]
        {
            let error = By::parse(wrong).unwrap_err();
            assert_eq!(error.field(), Some("by"), "{wrong}");
        }
    }

    #[test]
    fn copies_of_a_sum_come_together_and_the_dearest_goes_first() {
        let cell = |id: &str, model: &str, pico: i128| {
            let mut sums = Sums::default();
            sums.add(Counter::Charged, pico);
            let day = Day::from_number(20_261_123).unwrap();
            Cell { id: id.into(), day: Some(day), month: day.month(), model: model.into(), sums }
        };
        let cells = vec![
            cell("u1", "openai/a", 1_000_000),
            cell("u2", "openai/a", 5_000_000),
            cell("u1", "demo/b", 7_000_000),
            cell("u2", "openai/a", -5_000_000),
        ];
        let rows = |by: &str, limit: usize| {
            let (rows, rest, total) =
                grouped(&By::parse(by).unwrap(), cells.clone(), limit).unwrap();
            let rows: Vec<_> = rows
                .into_iter()
                .map(|row| {
                    (row.by.into_values().collect::<Vec<_>>().join(" "), row.sums.charged_usd)
                })
                .collect();
            (rows, rest.map(|rest| rest.charged_usd), total.charged_usd)
        };
        let row = |name: &str, usd: &str| (name.to_owned(), usd.to_owned());

        let (by_user, rest, total) = rows("user,month", 9);
        assert_eq!(by_user, [row("2026-11 u1", "0.000008")], "what adds up to nothing is no row");
        assert_eq!((rest, total.as_str()), (None, "0.000008"));
        let (by_model, rest, _) = rows("model", 1);
        assert_eq!(by_model, [row("demo/b", "0.000007")]);
        assert_eq!(rest.as_deref(), Some("0.000001"));
        assert_eq!(rows("provider,day", 9).0.len(), 2);
    }
}
