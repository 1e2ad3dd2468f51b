//! What calls add up to, by owner, label, model and time, from the sums that the logger keeps.

use std::collections::{BTreeMap, BTreeSet};

use farebox_api::{UsageReport, UsageRow, UsageSums};
use farebox_aws::rollups::{Ask, Cell, Which};
use farebox_core::rollup::{Counter, Place, Sums, unescaped};
use farebox_core::{Day, EntityId, Error, ScopeKind, Zone};
use farebox_ledger::Span;

use crate::Gate;
use crate::budgets;
use crate::call::Call;
use crate::corrections::period;
use crate::reply::{Answer, Refusal};

/// Days of one question: the sums of days are kept so long, and it is 14 months at most, so 112
/// reads where no partition has more than a megabyte.
const DAYS_MAX: i64 = 400;
/// Rows of one answer, asked for or not.
const ROWS_MAX: usize = 5_000;
const ROWS: usize = 1_000;
/// Pages of keys that one user's usage looks at.
const KEY_PAGES_MAX: usize = 10;

/// What rows are grouped by, one of each kind at most.
#[derive(Debug, Default, PartialEq, Eq)]
struct By {
    owner: Option<Owner>,
    model: Option<&'static str>,
    time: Option<&'static str>,
    /// As they were written.
    names: Vec<String>,
}

/// Whom rows are grouped by.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Kind(ScopeKind),
    Label(String),
}

/// `GET /admin/v1/usage`: what budgets have spent; with `by` what calls add up to.
pub async fn usage(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let Some(by) = call.query("by") else { return budgets::usage(gate, call).await };
    let by = By::parse(by)?;
    let (first, last) = days(gate, call)?;
    let scope = call.query("scope");
    let (kind, which, keys) = match scope {
        None => (by.kind(), by.which(), None),
        Some(text) => of_scope(gate, &by, text).await?,
    };
    let ask = Ask { kind, which, first, last, by_day: by.time == Some("day") };
    let mut cells = gate.control.rollups().read(&ask).await?;
    if let Some(keys) = keys {
        cells.retain(|cell| keys.contains(&cell.id));
    }
    let (rows, rest, total) = grouped(&by, cells, limit(call)?)?;
    Answer::ok(&UsageReport {
        by: by.names,
        scope: scope.map(str::to_owned),
        since: dashed(first),
        until: dashed(last),
        rows,
        rest,
        total,
    })
}

impl By {
    fn parse(text: &str) -> Result<Self, Error> {
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

    fn kind(&self) -> &'static str {
        match &self.owner {
            None => Place::All.kind(),
            Some(Owner::Kind(kind)) => kind.name(),
            Some(Owner::Label(_)) => "label",
        }
    }

    fn which(&self) -> Which {
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

/// Which sums are those of a scope; of a user by key they are its keys'.
async fn of_scope(
    gate: &Gate,
    by: &By,
    text: &str,
) -> Result<(&'static str, Which, Option<BTreeSet<String>>), Error> {
    let rule = "is org:ID, team:ID, user:ID, key:ID or label:NAME=VALUE";
    let wrong = || Error::malformed("scope", rule);
    let (kind, id) = text.split_once(':').ok_or_else(wrong)?;
    let place = if kind == "label" {
        let (name, value) = id.split_once('=').ok_or_else(wrong)?;
        Place::Label(name.to_owned(), value.to_owned())
    } else {
        let kind = ScopeKind::ALL.into_iter().find(|known| known.name() == kind);
        let id: EntityId = id.parse().map_err(|_| wrong())?;
        Place::Owner(kind.ok_or_else(wrong)?, id)
    };
    match (&by.owner, &place) {
        (None, _) => Ok((place.kind(), Which::One(place.id()), None)),
        (Some(Owner::Kind(ScopeKind::Key)), Place::Owner(ScopeKind::User, user)) => {
            let keys = keys_of(gate, user).await?;
            Ok((by.kind(), by.which(), Some(keys)))
        }
        (Some(_), _) => {
            let rule = "goes with model, provider, day and month; a user's goes with key too";
            Err(Error::malformed("scope", rule))
        }
    }
}

async fn keys_of(gate: &Gate, user: &EntityId) -> Result<BTreeSet<String>, Error> {
    let (mut keys, mut cursor) = (BTreeSet::new(), None);
    for _ in 0..KEY_PAGES_MAX {
        let page = gate.control.keys(Some(user), 100, cursor.as_deref()).await?;
        keys.extend(page.rows.into_iter().map(|row| row.id.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
    Err(Error::malformed("scope", "has more than 1000 keys: ask for one key"))
}

/// Rows, what is left beyond the limit, and the whole.
fn grouped(
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

fn shown(sums: &Sums) -> Result<UsageSums, Error> {
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
        prompt_tokens: count(Counter::Prompt).saturating_add(cached).saturating_add(written),
        cached_tokens: cached,
        cache_write_tokens: written,
        completion_tokens: count(Counter::Completion).saturating_add(reasoning),
        reasoning_tokens: reasoning,
    })
}

/// `since` and `until`, days or months in UTC; unasked from the first of this month to today.
fn days(gate: &Gate, call: &Call) -> Result<(Day, Day), Error> {
    let today = gate.aws().now().utc_day();
    let month = Span::Month(today.month()).first_day().unwrap_or(today);
    let span = |field: &'static str| -> Result<Option<Span>, Error> {
        let rule = "write a day as 2026-11-23 or a month as 2026-11";
        let span = call.query(field).map(period).transpose();
        span.map_err(|_| Error::malformed(field, rule))
    };
    let first = match span("since")? {
        None => month,
        Some(span) => span.first_day().ok_or_else(|| Error::internal("no first day"))?,
    };
    let last = match span("until")? {
        None => today,
        Some(Span::Day(day)) => day,
        Some(Span::Month(month)) => Zone::utc().end_of_month(month).plus_ms(-1).utc_day(),
    };
    if last < first {
        return Err(Error::malformed("until", "is before since"));
    }
    if last.utc_noon().since(first.utc_noon()) > DAYS_MAX * 86_400_000 {
        return Err(Error::malformed("since", "is more than 400 days before until"));
    }
    Ok((first, last))
}

fn limit(call: &Call) -> Result<usize, Error> {
    let Some(text) = call.query("limit") else { return Ok(ROWS) };
    let limit = text.parse().ok().filter(|limit| (1..=ROWS_MAX).contains(limit));
    limit.ok_or_else(|| Error::malformed("limit", "send a whole number from 1 to 5000"))
}

fn dashed(day: Day) -> String {
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
