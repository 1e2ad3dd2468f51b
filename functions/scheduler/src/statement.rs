//! The month's statement by mail, once: what calls added up to, as the command `farebox statement`
//! prints it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_api::UsageReport;
use farebox_aws::channels::Statements;
use farebox_aws::expression::Store;
use farebox_aws::rollups::{Ask, Rollups};
use farebox_aws::usage::{By, dashed, grouped};
use farebox_aws::{Aws, Error};
use farebox_core::{Month, Timestamp, Zone};
use farebox_ledger::alert::{self, Channel, Delivery, statement_key, statement_put};
use farebox_ledger::{Attr, Item, Key, Span};

use crate::Failure;
use crate::due::{due, take};
use crate::mail::{Attachment, Letter, send};

/// A month is told when its budgets are closed, so that late rows and first corrections are in it.
const CLOSED_AFTER_MS: i64 = 48 * 3_600_000;

/// Mails the statement of the last closed month, where somebody is to have it and it was not
/// mailed yet.
pub(crate) async fn mail(aws: &Aws, now: Timestamp) -> Result<(), Failure> {
    let Some(statements) = &aws.config().channels.statements else { return Ok(()) };
    let store = Store::patient(aws);
    let month = now.plus_ms(-CLOSED_AFTER_MS).utc_day().month().previous();
    let key = statement_key(&aws.config().tenant, month);
    if store.fetch(&key).await?.is_none() {
        store.record(&statement_put(key, now)).await?;
    }
    let mut failure = None;
    for key in due(aws, "ST#", now).await? {
        if let Err(error) = mail_one(aws, statements, &key, now).await {
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn mail_one(
    aws: &Aws,
    statements: &Statements,
    key: &Key,
    now: Timestamp,
) -> Result<(), Failure> {
    let store = Store::patient(aws);
    let Some((me, found)) = take(&store, key, now).await? else { return Ok(()) };
    let malformed = |detail: String| Error::Malformed { thing: "a statement".to_owned(), detail };
    let tries = Delivery::parse(&found).map_err(|error| malformed(error.to_string()))?.tries;
    let month = month(&found).ok_or_else(|| malformed("sk".to_owned()))?;
    let report = report(aws, &statements.by, month).await?;
    // Nobody reads an empty statement.
    let told = match report.rows.is_empty() {
        true => Vec::new(),
        false => {
            let letter = letter(&alert::alert_id(key), month, &report);
            vec![(Channel::Ses, send(aws, &statements.mail, &letter).await)]
        }
    };
    store.record(&alert::close(key.clone(), &me, &told, tries, now)).await?;
    match told.into_iter().find_map(|(_, result)| result.err()) {
        None => {
            tracing::info!(%month, lines = report.rows.len(), "the statement is told");
            Ok(())
        }
        Some(cause) => {
            tracing::warn!(metric = "statement_failed", %month, tries, cause, "not mailed");
            Err(Failure::Unmailed(month))
        }
    }
}

fn month(found: &Item) -> Option<Month> {
    let Some(Attr::S(sk)) = found.get("sk") else { return None };
    Month::from_number(sk.parse().ok()?).ok()
}

/// The whole month, no line left out.
async fn report(aws: &Aws, by: &str, month: Month) -> Result<UsageReport, Failure> {
    let unreadable = |error: farebox_core::Error| Error::Malformed {
        thing: format!("the statement of {month}"),
        detail: error.to_string(),
    };
    let by = By::parse(by).map_err(unreadable)?;
    let last = Zone::utc().end_of_month(month).plus_ms(-1).utc_day();
    let first = Span::Month(month).first_day().unwrap_or(last);
    let ask = Ask { kind: by.kind(), which: by.which(), first, last, by_day: false };
    let cells = Rollups::new(aws).read(&ask).await?;
    let (rows, rest, total) = grouped(&by, cells, usize::MAX).map_err(unreadable)?;
    let (since, until) = (dashed(first), dashed(last));
    Ok(UsageReport { by: by.names, scope: None, since, until, rows, rest, total })
}

fn letter(id: &str, month: Month, report: &UsageReport) -> Letter {
    let name = report.since.get(..7).unwrap_or_default();
    let total = &report.total;
    let text = format!(
        "What calls added up to from {} to {} (UTC), by {}: {} lines, attached as CSV.\n\n\
         charged_usd: {}\nunknown_usd: {}\ncorrections_usd: {}\ncalls: {}\nrefused: {}\n\n\
         unknown_usd is charged for calls whose cost nobody knows: the month may be up to this \
         much too high. Corrections made later are in `farebox statement --month {name}`.\n",
        report.since,
        report.until,
        report.by.join(","),
        report.rows.len(),
        total.charged_usd,
        total.unknown_usd,
        total.entered_usd,
        total.calls,
        total.refused,
    );
    Letter {
        subject: format!("Farebox: statement of {name}, {} USD", total.charged_usd),
        text,
        header: ("Statement-Id", id.to_owned()),
        attachment: Some(Attachment {
            name: format!("farebox-{month}.csv"),
            content_type: "text/csv",
            base64: STANDARD.encode(report.statement(name) + "\n"),
        }),
    }
}
