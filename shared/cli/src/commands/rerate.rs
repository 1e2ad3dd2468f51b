//! Settled calls priced again.

use farebox_api::{PostRerate, RerateRow, Rerated};
use farebox_core::Money;
use reqwest::Method;
use serde_json::json;

use super::{path, plus, table, usd};
use crate::args;
use crate::client::Client;
use crate::failure::Failure;
use crate::print::{Output, cell};
use crate::progress::Progress;

/// `farebox rerate …`
pub async fn rerate(client: &Client, given: args::Rerate) -> Result<Output, Failure> {
    let mut page = PostRerate {
        from: given.from,
        to: given.to,
        model: given.model,
        apply: given.apply,
        cursor: None,
    };
    let mut all = Rerated::default();
    let progress = Progress::of("calls");
    loop {
        let answer = client.send(Method::POST, &path("rerate"), &page, None).await?;
        let more: Rerated = answer.parse()?;
        all.rows.extend(more.rows);
        all.looked_at = all.looked_at.saturating_add(more.looked_at);
        progress.more(usize::try_from(more.looked_at).unwrap_or_default());
        all.stated = all.stated.saturating_add(more.stated);
        all.by_hand = all.by_hand.saturating_add(more.by_hand);
        all.unpriced = all.unpriced.saturating_add(more.unpriced);
        page.cursor = more.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    drop(progress);
    let text = text(&all, page.apply)?;
    Ok(Output::new(json!(all), text))
}

fn text(all: &Rerated, is_applied: bool) -> Result<String, Failure> {
    let head =
        ["REQUEST", "AT", "MODEL", "PRICES", "NEW PRICES", "CHARGED_USD", "COST_USD", "BY_USD"];
    let rows = table(&head, &all.rows, |row| {
        let RerateRow { charged_usd, cost_usd, difference_usd, .. } = row.clone();
        let (id, at, model) = (row.request_id.clone(), row.at.clone(), row.model.clone());
        let (old, new) = (cell(row.price_version.as_ref()), row.new_price_version.clone());
        vec![id, at, model, old, new, charged_usd, cost_usd, difference_usd]
    });
    let total =
        all.rows.iter().try_fold(Money::ZERO, |sum, row| plus(sum, usd(&row.difference_usd)?))?;
    let left = [
        (all.by_hand, "corrected by hand"),
        (all.stated, "charged as stated by the provider, which no price changes"),
        (all.unpriced, "without a price"),
    ];
    let left = left.iter().filter(|(count, _)| *count > 0);
    let left: Vec<_> = left.map(|(count, why)| format!("{count} {why}")).collect();
    let left = match left.is_empty() {
        true => String::new(),
        false => format!(" Left alone: {}.", left.join("; ")),
    };
    let end = match (is_applied, total == Money::ZERO && all.rows.is_empty()) {
        (_, true) => "Nothing to enter.",
        (true, _) => "They are entered.",
        (false, _) => "Nothing is entered yet: the same with --apply enters them.",
    };
    let (count, looked_at) = (all.rows.len(), all.looked_at);
    Ok(format!("{rows}\n{count} of {looked_at} calls differ, by {total} USD together. {end}{left}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_that_nothing_is_entered() {
        let row = |difference_usd: &str| RerateRow {
            difference_usd: difference_usd.to_owned(),
            ..RerateRow::default()
        };
        let rows = vec![row("-0.5"), row("0.2")];
        let all = Rerated { rows, looked_at: 6, by_hand: 1, stated: 3, ..Rerated::default() };

        let shown = text(&all, false).unwrap();

        assert!(shown.contains("2 of 6 calls differ, by -0.3 USD together."), "{shown}");
        assert!(shown.contains("with --apply"), "{shown}");
        let left = "Left alone: 1 corrected by hand; 3 charged as stated by the provider, which no";
        assert!(shown.contains(left) && !shown.contains("without a price"), "{shown}");
        assert!(text(&Rerated::default(), true).unwrap().contains("Nothing to enter."));
    }
}
