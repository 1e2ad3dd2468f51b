//! A call in the form that both wire formats meet in, and the deterministic model that answers it.

use serde_json::{Map, Value};

use super::Options;
use super::behaviour::{Behaviour, DemoPrice};
use super::cache::Block;
use super::texts::Vectors;

/// The word in the last user message that makes the model call the first tool.
const TOOL_WORD: &str = "WEATHER";

/// The word in the last user message that makes a model search which may: once each time.
pub(super) const SEARCH_WORD: &str = "SEARCH";

/// Bytes of text that make one token.
const TOKEN_BYTES: usize = 4;

/// Tokens that each message adds for its role and framing.
const MESSAGE_TOKENS: u64 = 3;

/// Deepest tool schema that sample arguments follow.
const SCHEMA_DEPTH_MAX: usize = 8;

/// What the model answers to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    /// The text of the last user message.
    Said(String),
    /// The text of the tool result that ends the turn.
    ToolResult(String),
    /// The tool to call, with arguments made up from its schema.
    CallTool { name: String, arguments: Value },
}

/// One parsed call.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    /// OpenAI's `stream_options.include_usage`.
    pub(super) include_usage: bool,
    /// The cap sent, if one was.
    pub(super) cap: Option<u64>,
    /// OpenAI's `n`.
    pub(super) choices: u64,
    pub(super) subject: Subject,
    /// The prompt in order, for counting and for the prompt cache.
    pub(super) blocks: Vec<Block>,
    /// Bytes of the request body: of what it says in OpenAI's formats, else as received.
    pub(super) body_bytes: u64,
    /// What an embedding call wants.
    pub(super) vectors: Option<Vectors>,
    /// How often it searches before it answers.
    pub(super) searches: u64,
}

/// A tool as either wire describes it.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

/// Whether the caller lets the model call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToolChoice {
    Auto,
    Never,
    Any,
    Named(String),
}

/// What the model wrote for one choice.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// The text, or the arguments of the tool call, one piece a token.
    pub(super) pieces: Vec<String>,
    /// The tool called, if one is.
    pub(super) tool: Option<String>,
    /// Whether the cap ended it.
    pub(super) capped: bool,
    /// Tokens stated and billed; never above the cap.
    pub(super) tokens: u64,
}

impl Generation {
    /// All pieces together.
    pub(super) fn text(&self) -> String {
        self.pieces.concat()
    }
}

/// Running count of a prompt. Never above the bytes of the request, which bound any tokenizer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) text_bytes: usize,
    pub(super) tool_bytes: usize,
    pub(super) messages: u64,
}

impl Tally {
    pub(super) fn tokens(&self, body_bytes: u64) -> u64 {
        let bytes = self.text_bytes.div_ceil(TOKEN_BYTES) + self.tool_bytes.div_ceil(TOKEN_BYTES);
        (length(bytes) + MESSAGE_TOKENS * self.messages).min(body_bytes)
    }
}

/// Picks what to answer: a tool result in the turn ends it, a tool that is asked for is called.
pub(super) fn subject(
    said: String,
    tool_result: Option<String>,
    tools: &[Tool],
    choice: &ToolChoice,
) -> Subject {
    if let Some(result) = tool_result {
        return Subject::ToolResult(result);
    }
    let tool = match choice {
        ToolChoice::Never => None,
        ToolChoice::Auto => tools.first().filter(|_| said.contains(TOOL_WORD)),
        ToolChoice::Any => tools.first(),
        ToolChoice::Named(name) => tools.iter().find(|tool| tool.name == *name),
    };
    match tool {
        Some(tool) => Subject::CallTool {
            name: tool.name.clone(),
            arguments: sample(&tool.schema, "", &said, SCHEMA_DEPTH_MAX),
        },
        None => Subject::Said(said),
    }
}

/// What the model `overrun` bills beside ten times its cap.
const OVERRUN_TOKENS: u64 = 10_000;

/// Writes the answer of `model` to `ask`, within the cap.
pub(super) fn generate(model: &DemoPrice, ask: &Ask, options: &Options) -> Generation {
    let cap = ask.cap.unwrap_or(model.max_output_tokens);
    let fixed = match model.behaviour {
        Behaviour::Drip => model.answer_tokens.or(Some(options.drip_tokens)),
        _ => model.answer_tokens,
    };
    let (mut pieces, tool, overhead) = match (model.behaviour, &ask.subject) {
        (Behaviour::Refusal, _) => (Vec::new(), None, 1),
        _ if fixed.is_some() => (drops(fixed.unwrap_or_default()), None, 0),
        (_, Subject::CallTool { name, arguments }) => {
            (tokenize(&arguments.to_string()), Some(name.clone()), length(tokenize(name).len()))
        }
        (_, Subject::Said(text)) => {
            (tokenize(&greeting(model.model, text, options.echo_chars_max)), None, 0)
        }
        (_, Subject::ToolResult(text)) => {
            (tokenize(&conclusion(text, options.echo_chars_max)), None, 0)
        }
    };
    let overhead = overhead + model.reasoning_tokens;
    let wanted = length(pieces.len()) + overhead;
    let room = usize::try_from(cap.saturating_sub(overhead)).unwrap_or(usize::MAX);
    pieces.truncate(room);
    if model.behaviour == Behaviour::Exact {
        return Generation { pieces, tool, capped: true, tokens: cap };
    }
    if model.behaviour == Behaviour::Overrun {
        let tokens = cap.saturating_mul(10).saturating_add(OVERRUN_TOKENS);
        return Generation { pieces, tool, capped: true, tokens };
    }
    Generation { pieces, tool, capped: wanted > cap, tokens: wanted.min(cap) }
}

/// A length as a count of tokens or bytes.
pub(super) fn length(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

/// The bytes of what a body says, however widely it is written: no provider reads the spaces and
/// the escapes of the JSON that carries a prompt.
pub(super) fn said_bytes(bytes: &[u8], body: &Map<String, Value>) -> u64 {
    let plain = serde_json::to_string(body).map_or(bytes.len(), |text| text.len());
    length(plain.min(bytes.len()))
}

/// Cuts text into tokens: a word with the space before it, in pieces of at most four bytes.
pub(super) fn tokenize(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for letter in text.chars() {
        let full = piece.len() + letter.len_utf8() > TOKEN_BYTES;
        if !piece.is_empty() && (letter == ' ' || full) {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push(letter);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

fn drops(count: u64) -> Vec<String> {
    (1..=count).map(|drop| if drop == 1 { "1".to_owned() } else { format!(" {drop}") }).collect()
}

fn greeting(model: &str, said: &str, chars_max: usize) -> String {
    let echo = shorten(said, chars_max);
    if echo.is_empty() {
        return format!("Hello from the Farebox demo provider, model {model}.");
    }
    format!(
        "Hello from the Farebox demo provider, model {model}. You said: \"{echo}\". \
         The cost of this answer was held before the call and is settled after it."
    )
}

fn conclusion(result: &str, chars_max: usize) -> String {
    format!("The tool answered: \"{}\". That is all I needed.", shorten(result, chars_max))
}

fn shorten(text: &str, chars_max: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A value that a JSON schema accepts; `name` is the property it stands in. A command is what the
/// user wrote between backticks.
fn sample(schema: &Value, name: &str, said: &str, depth: usize) -> Value {
    if let Some(first) = schema.pointer("/enum/0").or_else(|| schema.get("const")) {
        return first.clone();
    }
    let kind = schema.get("type").and_then(|kind| match kind {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    });
    match kind {
        Some("integer") => schema.get("minimum").cloned().unwrap_or(Value::from(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(Value::from(1.5)),
        Some("boolean") => Value::Bool(true),
        Some("null") => Value::Null,
        Some("array") => Value::Array(Vec::new()),
        Some("string") if ["city", "location"].contains(&name) => Value::from("Paris"),
        Some("string") if ["cmd", "command"].contains(&name) => {
            Value::from(said.split('`').nth(1).unwrap_or("sample"))
        }
        Some("string") => Value::from("sample"),
        _ if depth == 0 => Value::Null,
        _ => {
            let required = schema.get("required").and_then(Value::as_array);
            let names = required.into_iter().flatten().filter_map(Value::as_str);
            let filled = names.map(|name| {
                let property = schema.get("properties").and_then(|all| all.get(name));
                (name.to_owned(), sample(property.unwrap_or(&Value::Null), name, said, depth - 1))
            });
            Value::Object(filled.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::behaviour::{Wire, model};
    use super::*;

    fn ask(text: &str, cap: Option<u64>) -> Ask {
        Ask {
            model: "chat".to_owned(),
            stream: false,
            include_usage: false,
            cap,
            choices: 1,
            subject: Subject::Said(text.to_owned()),
            blocks: Vec::new(),
            body_bytes: 1_000,
            vectors: None,
            searches: 0,
        }
    }

    #[test]
    fn tokens_join_to_the_text_and_are_at_most_four_bytes() {
        for text in ["", " ", "Hello there, world", "日本語のテキスト 🙂🙂", "{\"a\": 1}"]
        {
            let pieces = tokenize(text);

            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| (1..=4).contains(&piece.len())), "{pieces:?}");
        }
    }

    #[test]
    fn an_answer_is_never_longer_than_its_cap() {
        let chat = model(Wire::OpenAi, "chat").expect("a model");
        let options = Options::default();
        for cap in 1..80 {
            let generation = generate(chat, &ask("hello", Some(cap)), &options);

            assert!(generation.tokens <= cap);
            assert_eq!(length(generation.pieces.len()), generation.tokens);
        }
        let free = generate(chat, &ask("hello", None), &options);
        assert!(!free.capped && free.text().contains("\"hello\""), "{}", free.text());
        assert!(!generate(chat, &ask("hello", Some(free.tokens)), &options).capped);
        assert!(generate(chat, &ask("hello", Some(free.tokens - 1)), &options).capped);
    }

    #[test]
    fn exact_states_its_cap_whatever_it_wrote() {
        let exact = model(Wire::OpenAi, "exact").expect("a model");

        for cap in [1, 10, 5_000] {
            let generation = generate(exact, &ask("hello", Some(cap)), &Options::default());
            assert_eq!(generation.tokens, cap);
            assert!(length(generation.pieces.len()) <= cap);
        }
    }

    #[test]
    fn a_long_message_is_echoed_in_part() {
        let said = "é".repeat(1_000);
        assert_eq!(shorten(&said, 10), format!("{}…", "é".repeat(10)));
    }

    #[test]
    fn a_tool_is_called_with_its_required_arguments() {
        let tool = Tool {
            name: "forecast".to_owned(),
            schema: json!({
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer"},
                    "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
                    "at": {"type": "object", "properties": {"hour": {"type": "number"}},
                           "required": ["hour"]},
                    "extra": {"type": "string"},
                },
                "required": ["city", "days", "unit", "at"],
            }),
        };
        let tools = [tool];
        let arguments = json!({"city": "Paris", "days": 1, "unit": "celsius", "at": {"hour": 1.5}});
        let call = Subject::CallTool { name: "forecast".to_owned(), arguments };
        let said = |text: &str, choice| subject(text.to_owned(), None, &tools, &choice);

        assert_eq!(said("WEATHER please", ToolChoice::Auto), call);
        assert_eq!(said("hello", ToolChoice::Any), call);
        assert_eq!(said("hello", ToolChoice::Named("forecast".to_owned())), call);
        assert_eq!(said("hello", ToolChoice::Auto), Subject::Said("hello".to_owned()));
        assert_eq!(said("WEATHER", ToolChoice::Never), Subject::Said("WEATHER".to_owned()));
        assert_eq!(
            subject("WEATHER".to_owned(), Some("sun".to_owned()), &tools, &ToolChoice::Any),
            Subject::ToolResult("sun".to_owned())
        );
    }

    #[test]
    fn a_prompt_never_counts_more_than_the_bytes_received() {
        let tally = Tally { text_bytes: 9, tool_bytes: 5, messages: 2 };

        assert_eq!(tally.tokens(1_000), 3 + 2 + 6);
        assert_eq!(tally.tokens(4), 4);
    }
}
