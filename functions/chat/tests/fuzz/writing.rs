//! What each dialect makes of an answer, as `relay` and `reply` drive it.

use std::sync::Arc;

use farebox_chat::dialect::{Answer, Dialect, Opening, StreamWriter};
use farebox_chat::reply::Paid;
use farebox_core::{ChatCall, Completion, Money, Rid, Timestamp, Usage};

fn request_id() -> Rid {
    Rid::new(Timestamp::from_ms(1), 1)
}

/// What begins a stream of a dialect.
pub fn begun(dialect: &dyn Dialect, verbatim: bool) -> Box<dyn StreamWriter + Send> {
    let request_id = request_id();
    let repeated = Arc::new(dialect.repeats(&ChatCall::default()));
    dialect.stream(Opening { request_id, created: 7, include_usage: true, verbatim, repeated })
}

/// Hands on an answer with what is known when its books are closed.
pub fn with_answer<T>(
    dialect: &dyn Dialect,
    completion: &Completion,
    usage: Option<&Usage>,
    write: impl FnOnce(&Answer<'_>) -> T,
) -> T {
    let paid = Paid {
        request_id: request_id(),
        provider: "demo",
        cost: None,
        charged: Money::ONE_PICO,
        response_time_ms: 1,
    };
    let repeated = Arc::new(dialect.repeats(&ChatCall::default()));
    write(&Answer {
        completion,
        verbatim: None,
        usage,
        paid: &paid,
        tier: None,
        repeated: &repeated,
        created: 7,
    })
}

/// The good end of a stream.
pub fn ended(
    dialect: &dyn Dialect,
    writer: &mut dyn StreamWriter,
    completion: &Completion,
    usage: Option<&Usage>,
) -> Vec<u8> {
    let mut out = Vec::new();
    with_answer(dialect, completion, usage, |answer| writer.last(answer, &mut out));
    out
}
