//! Requests for more budget, as who decides sees them.

use farebox_api::{BudgetRequest as Asked, BudgetRequestList, DecideBudget};
use reqwest::Method;

use super::{filtered, path, table};
use crate::args::BudgetRequest;
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox budget-request …`
pub async fn budget_request(client: &Client, command: BudgetRequest) -> Result<Output, Failure> {
    match command {
        BudgetRequest::List { user, state } => {
            let path = filtered("budget-requests", &[("user", user), ("state", state)]);
            let answer = client.all(&path, "budget_requests").await?;
            let list: BudgetRequestList = answer.parse()?;
            Ok(Output::new(answer.body, requests_text(&list.budget_requests)))
        }
        BudgetRequest::Show { user, id } => {
            let answer = client.get(&of(&user, &id)).await?;
            let text = requests_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        BudgetRequest::Approve(given) => {
            let body = DecideBudget {
                state: "approved".to_owned(),
                until: given.until,
                month_limit_usd: given.month,
                day_limit_usd: given.day,
                total_limit_usd: given.total,
                note: given.note,
            };
            decide(client, &given.user, &given.id, &body).await
        }
        BudgetRequest::Deny { user, id, note } => {
            let state = "denied".to_owned();
            let body = DecideBudget { state, note, ..DecideBudget::default() };
            decide(client, &user, &id, &body).await
        }
    }
}

fn of(user: &str, id: &str) -> String {
    path(&format!("budget-requests/{}/{}", encoded(user), encoded(id)))
}

/// The request is read first: one that was decided or taken back in between is left as it is.
async fn decide(
    client: &Client,
    user: &str,
    id: &str,
    body: &DecideBudget,
) -> Result<Output, Failure> {
    let path = of(user, id);
    let read = client.get(&path).await?;
    let answer = client.send(Method::PUT, &path, body, read.etag.as_deref()).await?;
    let text = requests_text(&[answer.parse()?]);
    Ok(Output::new(answer.body, text))
}

pub(super) fn requests_text(requests: &[Asked]) -> String {
    let head =
        ["USER", "ID", "STATE", "DAY_USD", "MONTH_USD", "TOTAL_USD", "UNTIL", "REASON", "NOTE"];
    table(&head, requests, |one| {
        vec![
            one.user.clone(),
            one.id.clone(),
            one.state.clone(),
            cell(one.day_limit_usd.as_ref()),
            cell(one.month_limit_usd.as_ref()),
            cell(one.total_limit_usd.as_ref()),
            cell(one.until.as_ref()),
            one.reason.clone(),
            cell(one.note.as_ref()),
        ]
    })
}
