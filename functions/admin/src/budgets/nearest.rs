//! The limits that are the nearest to be reached, of many budgets in one request.

use farebox_api::{BudgetList, Nearest};
use farebox_core::{Money, ScopeKind, Timestamp, Zone};
use farebox_ledger::{Budget, Period, PeriodView};

use super::{page, shown};
use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// Owners of one page.
const ROWS: u32 = 100;
/// Pages of owners that one request reads: 2000 owners, and the models beside them.
const PAGES: u32 = 20;
/// A whole limit, in the parts that nearness to it is told in.
const WHOLE: i128 = 1_000;
/// A period of which less than such a part has gone tells nothing of its end.
const EARLY: i128 = 24;

/// `GET /admin/v1/budgets?order=nearest`
pub(super) async fn answer(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let limit = usize::try_from(call.limit()?).unwrap_or_default();
    let now = gate.control.aws().now();
    let (mut rows, mut next) = (Vec::new(), call.cursor().map(str::to_owned));
    for _ in 0..PAGES {
        let found = page(gate, call, ROWS, next.as_deref()).await?;
        rows.extend(found.rows);
        next = found.next;
        if next.is_none() {
            break;
        }
    }
    let mut told = Nearest { budgets: count(rows.len()), ..Nearest::default() };
    // A call is held once in its user's own budget, whatever else it counts to.
    let of_users = rows.iter().filter(|row| row.scope.kind_name() == ScopeKind::User.name());
    let held = of_users.flat_map(|row| row.budget.view(now));
    let held = held.filter(|view| view.period == Period::Total);
    let held = held.fold(Money::ZERO, |sum, view| sum.plus(view.held).unwrap_or(sum));
    told.held_usd = held.to_string();
    let near = rows.into_iter().filter_map(|row| Some((nearness(&row.budget, now)?, row)));
    let mut near: Vec<_> = near.collect();
    told.limited = count(near.len());
    told.over = count(near.iter().filter(|(share, _)| *share > WHOLE).count());
    near.sort_by_key(|(share, _)| core::cmp::Reverse(*share));
    near.truncate(limit);
    let budgets = near.iter().map(|(_, row)| shown(&row.scope, &row.budget, now)).collect();
    Answer::ok(&BudgetList { budgets, next_cursor: next, nearest: Some(told) })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How near the worst limit of a budget is to be reached, by what is used of it, or by what that
/// comes to at the period's end if it goes on as it did. `None` without a limit.
fn nearness(budget: &Budget, now: Timestamp) -> Option<i128> {
    let zone = &budget.terms.settings.zone;
    let shares = budget.view(now).into_iter().filter_map(|view| {
        let limit = view.limit.filter(|limit| *limit > Money::ZERO)?.pico();
        let used = view.settled.plus(view.held)?.pico();
        let expected = forecast(&view, zone, now).unwrap_or_default();
        used.max(expected).saturating_mul(WHOLE).checked_div(limit)
    });
    shares.max()
}

/// What a period comes to if it goes on as it did, in pico-USD: `None` of the total, and too early
/// in it.
fn forecast(view: &PeriodView, zone: &Zone, now: Timestamp) -> Option<i128> {
    let before = match view.period {
        Period::Month(month) => Period::Month(month.previous()),
        Period::Day(day) => Period::Day(day.previous()),
        Period::Total => return None,
    };
    let (begin, end) = (before.end(zone)?, view.period.end(zone)?);
    let whole = i128::from(end.since(begin));
    let gone = i128::from(now.since(begin)).min(whole);
    if gone.saturating_mul(EARLY) < whole {
        return None;
    }
    view.settled.pico().saturating_mul(whole).checked_div(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(period: Period, settled: &str) -> PeriodView {
        let settled = Money::parse_usd(settled).unwrap();
        PeriodView {
            period,
            limit: None,
            settled,
            held: Money::ZERO,
            room: None,
            resets_at: None,
            exceeded: false,
        }
    }

    #[test]
    fn a_forecast_goes_on_as_it_did_in_the_budgets_own_zone() {
        let told = |zone: &str, now: &str, settled: &str, is_day: bool| {
            let (zone, now) = (Zone::parse(zone).unwrap(), Timestamp::parse(now).unwrap());
            let [month, day, total] = Period::of(zone.day(now));
            assert_eq!(forecast(&of(total, settled), &zone, now), None);
            let found = forecast(&of(if is_day { day } else { month }, settled), &zone, now);
            found.map(|pico| Money::from_pico(pico).unwrap().to_string())
        };
        let some = |text: &str| Some(text.to_owned());

        // A quarter of the day, and of the month.
        assert_eq!(told("UTC", "2026-11-24T06:00:00Z", "1", true), some("4"));
        assert_eq!(told("UTC", "2026-11-08T12:00:00Z", "1", false), some("4"));
        // Less than a 24th of it.
        assert_eq!(told("UTC", "2026-11-24T00:59:59Z", "1", true), None);
        assert_eq!(told("UTC", "2026-11-24T01:00:00Z", "1", true), some("24"));
        // 06:00 in Tokyo; a day of 25 hours in Berlin, of which 5 have gone.
        assert_eq!(told("Asia/Tokyo", "2026-11-23T21:00:00Z", "1", true), some("4"));
        assert_eq!(told("Europe/Berlin", "2026-10-25T03:00:00Z", "1", true), some("5"));
        // January begins where December ends.
        assert_eq!(told("UTC", "2027-01-16T12:00:00Z", "1", false), some("2"));
    }
}
