//! The dialects of callers.

use farebox_chat::dialect::{
    COMPLETIONS, Dialect, GENERATE_CONTENT, GENERATE_CONTENT_ARRAY, MESSAGES, NATIVE, OPENAI,
    RESPONSES,
};

/// Every dialect that tells a chat, with its name.
pub static DIALECTS: [(&str, &dyn Dialect); 7] = [
    ("chat", &OPENAI),
    ("native", &NATIVE),
    ("texts", &COMPLETIONS),
    ("responses", &RESPONSES),
    ("messages", &MESSAGES),
    ("gemini", &GENERATE_CONTENT),
    ("array", &GENERATE_CONTENT_ARRAY),
];
