//! Corrections and refunds.

use farebox_api::{Correction, CorrectionList, PostCorrection};

use super::{filtered, path, table};
use crate::args;
use crate::client::Client;
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox correct …`
pub async fn correct(client: &Client, given: args::Correction) -> Result<Output, Failure> {
    let body = PostCorrection {
        id: given.id,
        scope: given.scope,
        amount_usd: given.amount_usd,
        period: given.period,
        request_id: given.request,
        cost_usd: given.cost_usd,
        reason: given.reason,
    };
    let answer = client.create(&path("corrections"), &body, None, &given.once).await?;
    let text = text(&answer.parse()?);
    Ok(Output::new(answer.body, text))
}

/// `farebox corrections`
pub async fn corrections(client: &Client, scope: Option<String>) -> Result<Output, Failure> {
    let answer = client.all(&filtered("corrections", &[("scope", scope)]), "corrections").await?;
    let list: CorrectionList = answer.parse()?;
    let head = ["AT", "ROW", "REQUEST", "SCOPES", "AMOUNT_USD", "COST_USD", "REASON"];
    let text = table(&head, &list.corrections, |one| {
        vec![
            cell(one.at.as_ref()),
            cell(one.id.as_ref()),
            cell(one.request_id.as_ref()),
            one.scopes.join(","),
            cell(one.amount_usd.as_ref()),
            cell(one.cost_usd.as_ref()),
            one.reason.clone(),
        ]
    });
    Ok(Output::new(answer.body, text))
}

fn text(done: &Correction) -> String {
    let (amount, cost) = (cell(done.amount_usd.as_ref()), cell(done.cost_usd.as_ref()));
    let (id, scopes) = (cell(done.id.as_ref()), done.scopes.join(", "));
    match (done.status.as_str(), &done.request_id) {
        ("unchanged", _) => format!("The call costs {cost} USD already: nothing is entered."),
        ("adjusted", _) => format!("The provisional charge is {cost} USD now, in {scopes}."),
        (_, Some(_)) => {
            format!("{amount} USD are entered in {scopes}: the call costs {cost} USD. Row {id}.")
        }
        _ => format!("{amount} USD are entered in {scopes}. Row {id}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_says_what_was_entered_where() {
        let done = Correction {
            status: "entered".to_owned(),
            id: Some("A".to_owned()),
            amount_usd: Some("-5".to_owned()),
            scopes: vec!["user:u1".to_owned()],
            ..Correction::default()
        };

        assert_eq!(text(&done), "-5 USD are entered in user:u1. Row A.");
    }
}
