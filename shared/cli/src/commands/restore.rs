//! After a restore of the ledger.

use farebox_api::{RaiseEpochs, RaisedEpochs};
use reqwest::Method;
use serde_json::json;

use super::path;
use crate::client::Client;
use crate::failure::Failure;
use crate::print::Output;
use crate::progress::Progress;

/// `farebox restore-fence`
pub async fn fence(client: &Client) -> Result<Output, Failure> {
    let (mut raised, mut page) = (0_u32, RaiseEpochs::default());
    let progress = Progress::of("budgets");
    loop {
        let answer = client.send(Method::POST, &path("restore-fence"), &page, None).await?;
        let done: RaisedEpochs = answer.parse()?;
        raised = raised.saturating_add(done.raised);
        progress.more(usize::try_from(done.raised).unwrap_or_default());
        page.cursor = done.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    drop(progress);
    let text = format!("{raised} budgets are fenced: calls read their limits again.");
    Ok(Output::new(json!({"raised": raised}), text))
}
