//! What calls add up to, by owner, label, model and time, from the sums that the logger keeps.

use std::collections::BTreeSet;

use farebox_api::{UsageDay, UsageDayRow, UsageReport};
use farebox_aws::rollups::{Ask, Which};
use farebox_aws::usage::{By, Owner, dashed, grouped, shown};
use farebox_core::rollup::Place;
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

/// `GET /admin/v1/usage`: what budgets have spent; with `by` what calls add up to.
pub async fn usage(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let Some(by) = call.query("by") else {
        let alone = ["since", "until", "scope"].into_iter().find(|name| call.query(name).is_some());
        return match alone {
            Some(name) => Err(Error::malformed(name, "goes with `by`, which is missing").into()),
            None => budgets::usage(gate, call).await,
        };
    };
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

/// `GET /admin/v1/usage/days/{day}`: what each key was charged for each model and set of labels.
pub async fn day(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let Ok(Span::Day(day)) = period(call.parameter("day")) else {
        return Err(Error::malformed("day", "write it as 2026-11-23").into());
    };
    let (limit, cursor) = (limit(call)?, call.cursor());
    let (cells, next_cursor) = gate.control.rollups().of_day(day, limit, cursor).await?;
    let rows = cells.into_iter().map(|cell| {
        let sums = shown(&cell.sums)?;
        Ok(UsageDayRow { scope: cell.owner, model: cell.model, labels: cell.labels, sums })
    });
    let rows: Result<Vec<_>, Error> = rows.collect();
    Answer::ok(&UsageDay { day: dashed(day), rows: rows?, next_cursor })
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
        let page = gate.control.keys(Some(user), 100, cursor.as_deref(), None).await?;
        keys.extend(page.rows.into_iter().map(|row| row.id.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
    Err(Error::malformed("scope", "has more than 1000 keys: ask for one key"))
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
