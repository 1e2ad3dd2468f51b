//! Settlement lines of a function's log, sent again.

use std::io::Read as _;

use farebox_core::SETTLEMENT_LINE;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::path;
use crate::client::Client;
use crate::failure::Failure;
use crate::print::Output;
use crate::progress::Progress;

/// `farebox replay FILE|-`
pub async fn replay(client: &Client, file: &str) -> Result<Output, Failure> {
    let text = read(file)?;
    let (mut sent, mut bad) = (Vec::new(), Vec::new());
    let found: Vec<_> = settlements(&text).collect();
    let progress = Progress::steps("settlements", found.len());
    for (number, record) in found {
        let answer = match record {
            Some(record) => client.send(Method::POST, &path("settlements"), &record, None).await,
            None => Err(Failure::new("the record in it cannot be read", "look at the line")),
        };
        match answer {
            Ok(answer) => sent.push(answer.body),
            Err(failure) => bad.push(format!("line {number}: {}", failure.message())),
        }
        progress.more(1);
    }
    drop(progress);
    let count = sent.len();
    if !bad.is_empty() {
        let message =
            format!("{count} settlements are sent, {} are not:\n{}", bad.len(), bad.join("\n"));
        return Err(Failure::new(message, "correct these lines, and replay the file again"));
    }
    let text = format!("{count} settlements are sent: the logger ends what is still open.");
    Ok(Output::new(json!({"sent": sent}), text))
}

fn read(file: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().read_to_end(&mut bytes).map(drop),
        file => std::fs::read(file).map(|content| bytes = content),
    };
    read.map_err(|error| {
        Failure::new(format!("{file}: {error}"), "farebox replay FILE, or - for standard input")
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines that carry a settlement, by number from one, with its record where it can be read.
/// All other lines of a log are none of these.
fn settlements(text: &str) -> impl Iterator<Item = (usize, Option<Value>)> {
    let lines = text.lines().zip(1_usize..);
    let ours = lines.filter(|(line, _)| line.contains(SETTLEMENT_LINE));
    ours.map(|(line, number)| (number, printed(line).or_else(|| quoted(line))))
}

/// The record of a line as it was printed, after whatever a log puts before it.
fn printed(line: &str) -> Option<Value> {
    let start = line.find(&format!("{{\"{SETTLEMENT_LINE}\""))?;
    let mut values = serde_json::Deserializer::from_str(line.get(start..)?).into_iter();
    let mut object: Map<String, Value> = values.next()?.ok()?;
    object.remove(SETTLEMENT_LINE)
}

/// The record of a line that stands in a text of JSON, as CloudWatch exports events.
fn quoted(line: &str) -> Option<Value> {
    let start = line.find(&format!("{{\\\"{SETTLEMENT_LINE}\\\""))?;
    let text = format!("\"{}", line.get(start..)?);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    let message: String = values.next()?.ok()?;
    printed(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"farebox.settlement.v1":{"request_id":"A","error_message":"\"{}\""}}"#;

    fn ids(text: &str) -> Vec<(usize, Option<String>)> {
        let id = |record: Value| record["request_id"].as_str().unwrap().to_owned();
        settlements(text).map(|(number, record)| (number, record.map(id))).collect()
    }

    #[test]
    fn a_line_is_found_plain_with_a_prefix_and_in_an_export() {
        let prefixed = format!("2026-11-24T04:00:00.000Z\tchat\t{LINE}\t(end)");
        let event = json!({"timestamp": 1, "message": format!("{LINE}\n")}).to_string();
        let pretty = format!("  \"message\": {},", Value::from(LINE));
        for line in [LINE, &prefixed, &event, &pretty] {
            assert_eq!(ids(line), [(1, Some("A".to_owned()))], "{line}");
        }
    }

    #[test]
    fn a_torn_line_is_named_and_the_others_are_read() {
        let torn = LINE.get(..40).unwrap();
        let log = format!("START\n{LINE}\n{torn}\n\nREPORT\n{LINE}\n");

        let a = Some("A".to_owned());
        assert_eq!(ids(&log), [(2, a.clone()), (3, None), (6, a)]);
    }
}
