//! What requests and answers said.

use farebox_api::{ContentLog, ContentLogList, ErasedContent, PutContentLog};
use serde_json::json;

use super::path;
use crate::args::Content;
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::Output;
use crate::progress::Progress;

/// `farebox content …`
pub async fn content(client: &Client, command: Content) -> Result<Output, Failure> {
    match command {
        Content::Set { scope, days, force } => {
            let path = path(&format!("content-log/{}", encoded(&scope)));
            let base = client.base(&path, force.force).await?;
            let answer = client.put(&path, &PutContentLog { days }, &base).await?;
            let set: ContentLog = answer.parse()?;
            Ok(Output::new(answer.body, told(&set)))
        }
        Content::List => {
            let answer = client.all(&path("content-log"), "settings").await?;
            let list: ContentLogList = answer.parse()?;
            let text = list.settings.iter().map(told).collect::<Vec<_>>().join("\n");
            Ok(Output::new(answer.body, text))
        }
        Content::Show { scope } => {
            let answer = client.get(&path(&format!("content-log/{}", encoded(&scope)))).await?;
            let set: ContentLog = answer.parse()?;
            Ok(Output::new(answer.body, told(&set)))
        }
        Content::Read { id } => {
            let answer = client.get(&path(&format!("requests/{}/content", encoded(&id)))).await?;
            let text = serde_json::to_string_pretty(&answer.body).unwrap_or_default();
            Ok(Output::new(answer.body, text))
        }
        Content::Erase { user } => {
            let path = path(&format!("users/{}/content", encoded(&user)));
            let mut erased = 0_u32;
            let progress = Progress::of("items");
            loop {
                let done: ErasedContent = client.erase(&path).await?.parse()?;
                erased = erased.saturating_add(done.erased);
                progress.more(usize::try_from(done.erased).unwrap_or_default());
                if !done.more {
                    break;
                }
            }
            drop(progress);
            let text = format!("{erased} items of {user} are erased.");
            Ok(Output::new(json!({"erased": erased}), text))
        }
    }
}

fn told(set: &ContentLog) -> String {
    match set.days {
        Some(0) => format!("The content of {} is not kept.", set.scope),
        Some(days) => format!("The content of {} is kept, sealed, for {days} days.", set.scope),
        None => {
            format!("{} says nothing: a key follows its user, a user keeps nothing.", set.scope)
        }
    }
}
