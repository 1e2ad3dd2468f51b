//! How the cost of one call adds up.

use farebox_api::{Correction, CostLine, EarlierAttempt, RequestRow};

use super::{path, usd};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox explain REQUEST_ID`
pub async fn explain(client: &Client, id: &str) -> Result<Output, Failure> {
    let answer = client.get(&path(&format!("requests/{}", encoded(id)))).await?;
    let row: RequestRow = answer.parse()?;
    let text = arithmetic(&row);
    Ok(Output::new(answer.body, text))
}

fn arithmetic(row: &RequestRow) -> String {
    let who = format!("user {}, key {}", row.user, row.key_id);
    let mut lines = vec![format!("{}  {}  {who}", row.request_id, row.started_at)];
    // An entry in a scope's books is of no model.
    if let Some(model) = &row.model {
        let model = format!("{}/{model}", cell(row.provider.as_ref()));
        lines.push(format!("{model} at the prices of {}", cell(row.price_version.as_ref())));
    }
    lines.push(String::new());
    lines.extend(row.lines.iter().map(line));
    let charged = row.cost_usd.as_deref().unwrap_or("nothing");
    let is_stated = row.charged_by.as_deref() == Some("provider");
    let why = match row.outcome.as_str() {
        "settled" if is_stated => "as stated by the provider",
        "settled" => "the usage that the provider reported, rounded up once",
        "worst" => "its hold: what the provider bills cannot be known",
        "provisional" => "its hold, until the truth arrives",
        "adjusted" => "the truth, after a provisional charge",
        "void" => "the provider does not bill this ending",
        "void_inferred" => "the provider refused before a model ran",
        "correction" => "an admin's entry of the difference",
        _ => "refused: nothing was sent",
    };
    if let Some(ours) = row.counted_usd.as_ref().filter(|_| is_stated) {
        lines.push(format!("{:>39}  = {ours} USD  by our prices, rounded up once", "ours"));
    }
    lines.push(format!("{:>39}  = {charged} USD  {}: {why}", "charged", row.outcome));
    if let Some(hold) = &row.hold_usd {
        lines.push(format!("{:>39}    {hold} USD in {}", "held before", row.scopes.join(", ")));
    }
    for attempt in &row.earlier {
        let EarlierAttempt { request_id, model, outcome, cost_usd, .. } = attempt;
        let why = cell(attempt.error_code.as_ref());
        lines.push(format!(
            "{:>39}  + {cost_usd} USD  {outcome}: {model}, {why} ({request_id})",
            "an attempt before it"
        ));
    }
    if let Some(call) = &row.parent {
        lines.push(format!("{:>39}    {call}, which another attempt ended", "it is part of"));
    }
    for entry in &row.corrections {
        let (amount, cost) = (cell(entry.amount_usd.as_ref()), cell(entry.cost_usd.as_ref()));
        let Correction { reason, .. } = entry;
        lines.push(format!("{:>39}  + {amount} USD = {cost} USD  {reason}", "corrected by"));
    }
    if !row.labels.is_empty() {
        let labels = row.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        lines.push(format!("{:>39}    {labels}", "labels"));
    }
    if let Some(of) = &row.corrects {
        let reason = cell(row.reason.as_ref());
        lines.push(format!("{:>39}    {of}: {reason}", "it corrects"));
    }
    lines.extend(compared(row, is_stated));
    lines.join("\n")
}

/// What the provider states beside what its counts come to, and what became of it.
fn compared(row: &RequestRow, is_stated: bool) -> Option<String> {
    let theirs = row.provider_cost_usd.as_ref()?;
    if !is_stated {
        let why = "not what is charged";
        return Some(format!("{:>39}    {theirs} USD, {why}", "the provider's own figure"));
    }
    let Some(ours) = &row.counted_usd else {
        let text = "its counts are not all understood, or have no price";
        return Some(format!("{:>39}    not known: {text}", "ours"));
    };
    let difference = usd(theirs).ok()?.minus(usd(ours).ok()?)?;
    Some(format!("{:>39}    {difference} USD, theirs less ours", "difference"))
}

fn line(line: &CostLine) -> String {
    let unit = if line.per == 1 { "each".to_owned() } else { format!("/ {}", line.per) };
    let CostLine { class, count, price_usd, amount_usd, .. } = line;
    format!("{count:>12} {class:<16} × {price_usd} USD {unit} = {amount_usd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_a_line_and_the_charge_says_why() {
        let line = |class: &str, count, amount_usd: &str| CostLine {
            class: class.to_owned(),
            count,
            price_usd: "0.5".to_owned(),
            per: 1_000_000,
            amount_usd: amount_usd.to_owned(),
        };
        let row = RequestRow {
            provider: Some("demo".to_owned()),
            model: Some("chat".to_owned()),
            outcome: "settled".to_owned(),
            cost_usd: Some("0.000015".to_owned()),
            hold_usd: Some("0.5".to_owned()),
            scopes: vec!["user:u1".to_owned(), "key:k1".to_owned()],
            earlier: vec![EarlierAttempt {
                request_id: "01KA".to_owned(),
                model: "demo/busy".to_owned(),
                outcome: "void_inferred".to_owned(),
                cost_usd: "0".to_owned(),
                error_code: Some("rate_limit_exceeded".to_owned()),
            }],
            lines: vec![line("prompt", 10, "0.000005"), line("completion", 20, "0.00001")],
            ..RequestRow::default()
        };

        let text = arithmetic(&row);

        assert!(text.contains("10 prompt           × 0.5 USD / 1000000 = 0.000005"), "{text}");
        assert!(text.contains("= 0.000015 USD  settled"), "{text}");
        assert!(text.contains("0.5 USD in user:u1, key:k1"), "{text}");
        let earlier = "+ 0 USD  void_inferred: demo/busy, rate_limit_exceeded (01KA)";
        assert!(text.contains(earlier), "{text}");
    }

    #[test]
    fn an_entry_in_a_scopes_books_is_of_no_model() {
        let row = RequestRow {
            outcome: "correction".to_owned(),
            cost_usd: Some("-0.02".to_owned()),
            ..RequestRow::default()
        };

        let text = arithmetic(&row);

        assert!(text.contains("= -0.02 USD  correction") && !text.contains("prices of"), "{text}");
    }

    fn stated(theirs: &str, ours: Option<&str>, charged_by: Option<&str>) -> String {
        arithmetic(&RequestRow {
            outcome: "settled".to_owned(),
            cost_usd: Some(theirs.to_owned()),
            charged_by: charged_by.map(str::to_owned),
            counted_usd: ours.map(str::to_owned),
            provider_cost_usd: Some(theirs.to_owned()),
            ..RequestRow::default()
        })
    }

    #[test]
    fn a_charge_that_the_provider_states_says_so_with_ours_and_the_difference() {
        for (theirs, ours, difference) in
            [("0.03", "0.02", "0.01"), ("0.01", "0.03", "-0.02"), ("0.02", "0.02", "0")]
        {
            let text = stated(theirs, Some(ours), Some("provider"));

            let charged = format!("= {theirs} USD  settled: as stated by the provider");
            assert!(text.contains(&charged), "{text}");
            assert!(text.contains(&format!("ours  = {ours} USD")), "{text}");
            let difference = format!("difference    {difference} USD, theirs less ours");
            assert!(text.contains(&difference), "{text}");
        }
        let unknown = stated("0.01", None, Some("provider"));
        assert!(unknown.contains("as stated by the provider"), "{unknown}");
        assert!(unknown.contains("ours    not known"), "{unknown}");
        let beside = stated("20000", Some("20000"), Some("counts"));
        assert!(beside.contains("20000 USD, not what is charged"), "{beside}");
        assert!(!beside.contains("as stated"), "{beside}");
    }
}
