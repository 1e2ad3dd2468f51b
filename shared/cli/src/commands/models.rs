//! The models that can be called, with the prices in force.

use farebox_api::{Model as Known, ModelList};

use super::{filtered, model_path, table};
use crate::args::Model;
use crate::client::Client;
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox model …`
pub async fn model(client: &Client, command: Model) -> Result<Output, Failure> {
    match command {
        Model::List { provider, search } => {
            let path = filtered("models", &[("provider", Some(provider)), ("search", search)]);
            let answer = client.all(&path, "models").await?;
            let list: ModelList = answer.parse()?;
            Ok(Output::new(answer.body, models_text(&list.models)))
        }
        Model::Show { model } => {
            let path = model_path(&model)?.replacen("/prices/", "/models/", 1);
            let answer = client.get(&path).await?;
            let text = models_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
    }
}

fn models_text(models: &[Known]) -> String {
    let head = ["MODEL", "MODE", "WINDOW", "INPUT_USD", "CACHED_USD", "OUTPUT_USD", "PRICE OF"];
    table(&head, models, |one| {
        let prices = one.prices.as_ref();
        vec![
            format!("{}/{}", one.provider, one.model),
            one.mode.clone(),
            cell(one.context_window.map(|tokens| tokens.to_string()).as_ref()),
            cell(prices.map(|prices| &prices.input)),
            cell(prices.and_then(|prices| prices.cached_input.as_ref())),
            cell(prices.and_then(|prices| prices.output.as_ref())),
            one.source.clone(),
        ]
    })
}
