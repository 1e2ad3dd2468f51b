//! Spend as it happens.
//!
//! Plain lines drawn again from the top of the screen, by the crate that measures the terminal for
//! progress bars anyway: a full-screen library would bring its own event loop and a second of
//! build for a picture that nobody types into. Ctrl-C leaves the last picture where it is.

use std::io::IsTerminal;

use farebox_api::{UsageList, UsageReport};
use farebox_core::Money;

use super::patience::{EVERY, Patience};
use super::{path, plus, usd};
use crate::chart::{bar, gauge};
use crate::client::Client;
use crate::clock::{dashed, now};
use crate::failure::Failure;
use crate::print::{Output, clean, out};

/// Lines that head and the two titles take.
const FRAME_LINES: usize = 8;

/// `farebox top`
pub async fn top(client: &Client, once: bool) -> Result<Output, Failure> {
    let terminal = console::Term::stdout();
    if once || !std::io::stdout().is_terminal() {
        let (height, width) = (40, 80);
        let (json, text) = look(client, height, width).await?;
        return Ok(Output::new(json, text));
    }
    let (mut patience, mut has_picture) = (Patience::default(), false);
    loop {
        let (height, width) = terminal.size();
        let seen = look(client, usize::from(height), usize::from(width)).await;
        // Where the first look fails nothing was ever seen.
        let seen = if has_picture { patience.found(seen).await? } else { Some(seen?) };
        let Some((_, text)) = seen else { continue };
        has_picture = true;
        // Cleared only when the new picture is there, so that nothing flickers.
        let _ = terminal.clear_screen();
        out(&text);
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(
    client: &Client,
    height: usize,
    width: usize,
) -> Result<(serde_json::Value, String), Failure> {
    let budgets: UsageList = client.all(&path("usage"), "scopes").await?.parse()?;
    let today = dashed(now().utc_day());
    let query = format!("usage?by=model&since={today}&until={today}&limit=20");
    let answer = client.get(&path(&query)).await?;
    let models: UsageReport = answer.parse()?;
    let text = picture(&budgets, &models, height, width)?;
    let json = serde_json::json!({"scopes": budgets.scopes, "today": answer.body});
    Ok((json, text))
}

/// One line of a budget.
struct Line {
    name: String,
    settled: Money,
    held: Money,
    limit: Option<Money>,
}

fn picture(
    budgets: &UsageList,
    models: &UsageReport,
    height: usize,
    width: usize,
) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let mut held = Money::ZERO;
    for scope in &budgets.scopes {
        let Some(day) = scope.periods.iter().find(|period| period.period == "day") else {
            continue;
        };
        let line = Line {
            name: format!("{}:{}", scope.kind, scope.id),
            settled: usd(&day.settled_usd)?,
            held: usd(&day.held_usd)?,
            limit: day.limit_usd.as_deref().map(usd).transpose()?,
        };
        // Each call is held in its key's budget once.
        if scope.kind == "key" {
            held = plus(held, line.held)?;
        }
        lines.push(line);
    }
    lines.sort_by(|a, b| (b.settled, b.held, &a.name).cmp(&(a.settled, a.held, &b.name)));
    let total = &models.total;
    let mut text = vec![
        format!("farebox top   {} UTC", now()),
        format!(
            "today {} USD   held now {held} USD   {} calls, {} refused",
            total.charged_usd, total.calls, total.refused
        ),
        String::new(),
        "BUDGETS TODAY (of the day's limit)".to_owned(),
    ];
    let room = height.saturating_sub(FRAME_LINES).max(4);
    let of_budgets = room.saturating_sub(models.rows.len().min(room / 2));
    let bar_chars = width.saturating_sub(52).clamp(8, 40);
    for line in lines.iter().take(of_budgets) {
        let name: String = clean(&line.name).chars().take(28).collect();
        let gauge = line.limit.map(|limit| gauge(line.settled, limit, bar_chars));
        let of = line.limit.map_or_else(String::new, |limit| format!(" / {limit}"));
        let held =
            if line.held > Money::ZERO { format!(" +{} held", line.held) } else { String::new() };
        let gauge = gauge.unwrap_or_else(|| " ".repeat(bar_chars));
        text.push(cut(&format!("{name:<28} {gauge} {}{of}{held}", line.settled), width));
    }
    text.extend([String::new(), "MODELS TODAY".to_owned()]);
    let amounts: Result<Vec<Money>, _> =
        models.rows.iter().map(|row| usd(&row.sums.charged_usd)).collect();
    let amounts = amounts?;
    let largest = amounts.iter().max().copied().unwrap_or_default();
    for (row, amount) in models.rows.iter().zip(amounts).take(room / 2) {
        let name = row.by.get("model").map_or("", String::as_str);
        let name: String = clean(name).chars().take(28).collect();
        let bar = bar(amount, largest, bar_chars);
        let pad = " ".repeat(bar_chars.saturating_sub(bar.chars().count()));
        text.push(cut(&format!("{name:<28} {bar}{pad} {amount}  {} calls", row.sums.calls), width));
    }
    Ok(text.join("\n"))
}

fn cut(line: &str, width: usize) -> String {
    line.trim_end().chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farebox_api::{Period, ScopeUsage, UsageRow, UsageSums};

    #[test]
    fn the_dearest_budget_is_first_and_no_line_is_wider_than_the_terminal() {
        let scope = |id: &str, settled: &str| ScopeUsage {
            kind: "key".into(),
            id: id.into(),
            user: None,
            mode: "hard".into(),
            periods: vec![Period {
                period: "day".into(),
                limit_usd: Some("1".into()),
                settled_usd: settled.into(),
                held_usd: "0.1".into(),
                room_usd: None,
                resets_at: None,
                exceeded: false,
            }],
        };
        let budgets = UsageList {
            scopes: vec![scope("low", "0.1"), scope("high", "0.75")],
            ..UsageList::default()
        };
        let row = UsageRow {
            by: [("model".to_owned(), format!("openai/{}", "x".repeat(60)))].into(),
            sums: UsageSums { charged_usd: "0.85".into(), calls: 3, ..UsageSums::default() },
        };
        let models = UsageReport { rows: vec![row], ..UsageReport::default() };

        let text = picture(&budgets, &models, 24, 70).unwrap();

        assert!(text.contains("held now 0.2 USD"), "{text}");
        let (high, low) = (text.find("key:high").unwrap(), text.find("key:low").unwrap());
        assert!(high < low, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 70), "{text}");
    }
}
