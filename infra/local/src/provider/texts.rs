//! OpenAI's legacy completions and embeddings: bytes in, values out. Shapes as recorded in the
//! corpus and as in github.com/openai/openai-openapi (`CreateCompletionResponse`,
//! `CreateEmbeddingResponse`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Answer;
use super::ask::{Ask, Subject, length};
use super::cache::Block;
use super::fault::{self, Fault};
use super::script::{Frames, data_event};

/// Numbers of a vector where the call asks for no other length.
const DIMENSIONS: u64 = 8;
/// The longest vector.
const DIMENSIONS_MAX: u64 = 3_072;
/// The cap of a completion that sends none, as at OpenAI.
const CAP: u64 = 16;

/// Reads a completion request.
pub(super) fn parse_completions(bytes: &[u8]) -> Result<Ask, Fault> {
    let body = fault::object(bytes)?;
    let prompts = prompts(&body, "prompt")?;
    let each = fault::count(&body, "best_of")?.or(fault::count(&body, "n")?).unwrap_or(1);
    let options = body.get("stream_options").and_then(Value::as_object);
    Ok(Ask {
        stream: fault::flag(&body, "stream")?,
        include_usage: options.map_or(Ok(false), |o| fault::flag(o, "include_usage"))?,
        cap: Some(fault::count(&body, "max_tokens")?.unwrap_or(CAP)),
        choices: each * length(prompts.len()),
        ..ask(&body, &prompts, bytes)?
    })
}

/// Reads an embedding request.
pub(super) fn parse_embeddings(bytes: &[u8]) -> Result<Ask, Fault> {
    let body = fault::object(bytes)?;
    let prompts = prompts(&body, "input")?;
    let dimensions = fault::count(&body, "dimensions")?.unwrap_or(DIMENSIONS);
    if dimensions > DIMENSIONS_MAX {
        return Err(Fault::invalid("dimensions", "'dimensions' is at most 3072"));
    }
    let format = body.get("encoding_format").and_then(Value::as_str).unwrap_or("float");
    let texts = prompts.iter().map(|prompt| prompt.text.clone()).collect();
    let vectors = Vectors { texts, dimensions, is_base64: format == "base64" };
    // Nothing is generated.
    Ok(Ask { cap: Some(0), vectors: Some(vectors), ..ask(&body, &prompts, bytes)? })
}

/// What an embedding call wants.
#[derive(Clone, Debug)]
pub(super) struct Vectors {
    texts: Vec<String>,
    dimensions: u64,
    is_base64: bool,
}

/// One prompt: a text, or token ids of four bytes each.
struct Prompt {
    text: String,
    bytes: usize,
}

fn prompts(body: &Map<String, Value>, field: &'static str) -> Result<Vec<Prompt>, Fault> {
    let wrong = || Fault::invalid(field, format!("Invalid type for '{field}'"));
    let tokens = |ids: &[Value]| Prompt { text: format!("{ids:?}"), bytes: ids.len() * 4 };
    let one = |value: &Value| match value {
        Value::String(text) => Ok(Prompt { text: text.clone(), bytes: text.len() }),
        Value::Array(ids) => Ok(tokens(ids)),
        _ => Err(wrong()),
    };
    match body.get(field).ok_or_else(wrong)? {
        Value::Array(items) if items.iter().all(Value::is_number) => Ok(vec![tokens(items)]),
        Value::Array(items) => items.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn ask(body: &Map<String, Value>, prompts: &[Prompt], bytes: &[u8]) -> Result<Ask, Fault> {
    let blocks = prompts.iter().map(|one| Block { text_bytes: one.bytes, ..Block::default() });
    Ok(Ask {
        model: fault::model_name(body)?,
        stream: false,
        include_usage: false,
        cap: None,
        choices: 1,
        subject: Subject::Said(prompts.first().map(|one| one.text.clone()).unwrap_or_default()),
        blocks: blocks.collect(),
        body_bytes: length(bytes.len()),
        vectors: None,
        searches: 0,
    })
}

/// A buffered completion.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let text = answer.generation.text();
    let choices: Vec<Value> =
        (0..answer.ask.choices).map(|index| choice(answer, index, &text, true)).collect();
    let mut body = envelope(answer, Value::from(choices));
    body.insert("usage".to_owned(), usage(answer));
    Value::Object(body)
}

/// A streamed completion.
pub(super) fn frames(answer: &Answer<'_>) -> Frames {
    let with_usage = answer.ask.include_usage;
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut body = envelope(answer, choices);
        if with_usage {
            body.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        data_event(&Value::Object(body).to_string())
    };
    let mut frames = Frames::default();
    for index in 0..answer.ask.choices {
        let piece = |text: &String| chunk(json!([choice(answer, index, text, false)]), None);
        frames.tokens.extend(answer.generation.pieces.iter().map(piece));
        frames.tail.push(chunk(json!([choice(answer, index, "", true)]), None));
    }
    if with_usage {
        frames.tail.push(chunk(json!([]), Some(usage(answer))));
    }
    frames.tail.push(data_event("[DONE]"));
    frames
}

/// A list of vectors.
pub(super) fn list(answer: &Answer<'_>, wanted: &Vectors) -> Value {
    let data: Vec<Value> = wanted
        .texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            json!({"object": "embedding", "index": index, "embedding": vector(text, wanted)})
        })
        .collect();
    let prompt = answer.tokens.input();
    json!({
        "object": "list",
        "data": data,
        "model": answer.ask.model,
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    })
}

/// The same text has the same vector: each number follows from the bytes of the text.
fn vector(text: &str, wanted: &Vectors) -> Value {
    let number = |place: u64| {
        let sum = text.bytes().fold(place, |sum, byte| (sum * 31 + u64::from(byte)) % 251);
        // Exact in binary: whole 256ths.
        f32::from(u8::try_from(sum).unwrap_or_default()) / 256.0
    };
    let numbers: Vec<f32> = (0..wanted.dimensions).map(number).collect();
    if !wanted.is_base64 {
        return Value::from(numbers);
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Value::from(STANDARD.encode(bytes))
}

fn choice(answer: &Answer<'_>, index: u64, text: &str, is_end: bool) -> Value {
    let reason = if answer.generation.capped { "length" } else { "stop" };
    json!({
        "text": text,
        "index": index,
        "logprobs": null,
        "finish_reason": is_end.then_some(reason),
    })
}

fn envelope(answer: &Answer<'_>, choices: Value) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".to_owned(), Value::from(format!("cmpl-{}", answer.serial)));
    body.insert("object".to_owned(), Value::from("text_completion"));
    body.insert("created".to_owned(), Value::from(answer.now_s));
    body.insert("choices".to_owned(), choices);
    body.insert("model".to_owned(), Value::from(answer.ask.model.as_str()));
    body
}

fn usage(answer: &Answer<'_>) -> Value {
    let (prompt, completion) = (answer.tokens.input(), answer.tokens.completion);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    })
}
