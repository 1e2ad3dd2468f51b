//! What clients of the dialects know and Farebox does not serve. Each is a row.

use crate::dialect::{Dialect, GENERATE_CONTENT, MESSAGES, RESPONSES};

/// A path, with all that is below it and by any method; in whose words that is told, or in the
/// caller's, where several dialects have such a path; and what to do instead.
pub type Row = (&'static str, Option<&'static dyn Dialect>, &'static str);

const CHAT_INSTEAD: &str = "Use POST /v1/chat/completions or POST /v1/chat.";
const NO_STATE: &str = "Farebox keeps no responses: send the whole input with each call.";
const ONE_BY_ONE: &str = "Send the calls one by one: each is held and settled by itself.";
const IN_THE_CALL: &str = "Send the file inside the call, as base64.";
const AT_THE_PROVIDER: &str = "Call the provider itself: Farebox cannot hold its cost yet.";

/// Every row.
const ROWS: &[Row] = &[
    ("/v1/batches", None, ONE_BY_ONE),
    ("/v1/files", None, IN_THE_CALL),
    ("/v1/uploads", None, IN_THE_CALL),
    ("/v1/vector_stores", None, IN_THE_CALL),
    ("/v1/containers", None, AT_THE_PROVIDER),
    ("/v1/assistants", None, NO_STATE),
    ("/v1/threads", None, NO_STATE),
    ("/v1/chat/completions", None, NO_STATE),
    ("/v1/responses", Some(&RESPONSES), NO_STATE),
    ("/v1/conversations", Some(&RESPONSES), NO_STATE),
    ("/v1/fine_tuning", None, AT_THE_PROVIDER),
    ("/v1/evals", None, AT_THE_PROVIDER),
    ("/v1/realtime", None, CHAT_INSTEAD),
    ("/v1/videos", None, AT_THE_PROVIDER),
    ("/v1/images", None, AT_THE_PROVIDER),
    ("/v1/audio", None, AT_THE_PROVIDER),
    ("/v1/moderations", None, AT_THE_PROVIDER),
    ("/v1/rerank", None, AT_THE_PROVIDER),
    ("/v2/rerank", None, AT_THE_PROVIDER),
    ("/v1/messages/batches", Some(&MESSAGES), ONE_BY_ONE),
    ("/v1/skills", Some(&MESSAGES), IN_THE_CALL),
    ("/v1/complete", Some(&MESSAGES), "Use POST /v1/messages."),
    ("/v1beta/files", Some(&GENERATE_CONTENT), IN_THE_CALL),
    ("/upload/v1beta/files", Some(&GENERATE_CONTENT), IN_THE_CALL),
    ("/v1beta/cachedContents", Some(&GENERATE_CONTENT), AT_THE_PROVIDER),
    ("/v1/cachedContents", Some(&GENERATE_CONTENT), AT_THE_PROVIDER),
    ("/v1beta/batches", Some(&GENERATE_CONTENT), ONE_BY_ONE),
    ("/v1beta/tunedModels", Some(&GENERATE_CONTENT), AT_THE_PROVIDER),
    ("/v1beta/fileSearchStores", Some(&GENERATE_CONTENT), IN_THE_CALL),
    ("/v1beta/interactions", Some(&GENERATE_CONTENT), NO_STATE),
];

/// The row of a path.
pub fn find(path: &str) -> Option<&'static Row> {
    let below = |row: &&Row| path.strip_prefix(row.0).is_some_and(|rest| !is_more(rest));
    ROWS.iter().find(below)
}

/// Whether what follows a row's path makes another name of its last part.
fn is_more(rest: &str) -> bool {
    !(rest.is_empty() || rest.starts_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_its_path_and_what_is_below_it() {
        for path in ["/v1/files", "/v1/files/file-1/content", "/v1beta/files:register"] {
            assert!(find(path).is_some(), "{path}");
        }
        for path in ["/v1/filesystem", "/v1/file", "/v1beta/models"] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
