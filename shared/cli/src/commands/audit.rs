//! Who changed what.

use farebox_api::AuditList;

use super::{path, table};
use crate::args;
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::Output;

/// Pages that are looked at for as many entries as were asked for: a page may be short.
const PAGES_MAX: usize = 50;

/// `farebox audit …`
pub async fn audit(client: &Client, given: &args::Audit) -> Result<Output, Failure> {
    let mut query = format!("audit?limit={}", given.count);
    let filters = [
        ("from", &given.from),
        ("to", &given.to),
        ("actor", &given.actor),
        ("action", &given.action),
        ("target", &given.target),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let count = usize::try_from(given.count).unwrap_or_default();
    let mut all = AuditList::default();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let page: AuditList = client.get(&path(&format!("{query}{cursor}"))).await?.parse()?;
        all.entries.extend(page.entries);
        all.next_cursor = page.next_cursor;
        match &all.next_cursor {
            Some(next) if all.entries.len() < count => {
                cursor = format!("&cursor={}", encoded(next));
            }
            _ => break,
        }
    }
    all.entries.truncate(count);
    let mut text =
        table(&["AT", "ACTOR", "ROLE", "ACTION", "TARGET", "OUTCOME"], &all.entries, |one| {
            let (at, actor, role) = (one.at.clone(), one.actor.clone(), one.role.clone());
            vec![at, actor, role, one.action.clone(), one.target.clone(), one.outcome.clone()]
        });
    if all.next_cursor.is_some() && all.entries.len() < count {
        text.push_str("\nThere may be more that fit, further back: --from and --to look there.");
    }
    Ok(Output::new(serde_json::json!(all), text))
}
