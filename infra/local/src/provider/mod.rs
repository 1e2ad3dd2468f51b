//! The demo provider: an HTTP server that speaks OpenAI's, Anthropic's and Gemini's wire formats,
//! answers by rule, states honest usage, and keeps its own bill.
//!
//! It makes the first call of a newcomer work offline, and it is the oracle of the money tests:
//! `GET /bill` says what a real provider would have charged, counted without the gateway's code.
//! Model names choose behaviours (the table in `behaviour.rs`), so a test needs no switches.
//!
//! A call is billed when the model has written its answer, before the first byte is sent: a cut or
//! abandoned stream costs all of it, and a client that has its answer finds it on the bill.

mod anthropic;
mod ask;
mod behaviour;
mod bill;
mod cache;
mod fault;
mod gemini;
mod openai;
mod responses;
mod script;
mod server;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderMap;
use tokio::net::TcpListener;

pub use behaviour::{DemoPrice, Wire, prices};

use ask::{Ask, Generation};
use behaviour::Behaviour;
use bill::{Bill, Ending, Entry, Tokens};
use cache::PromptCache;
use fault::Fault;
use script::{Reply, Step};

/// What a caller may set. `Options::default()` is what the laptop runs.
#[derive(Clone)]
pub struct Options {
    /// The API key that is accepted.
    pub key: String,
    /// How long the model `slow` waits before it answers.
    pub slow: Duration,
    /// How long the model `drip` waits before each token; zero waits not at all.
    pub drip_interval: Duration,
    /// How many tokens the model `drip` writes.
    pub drip_tokens: u64,
    /// How many characters of the last user message the answer repeats.
    pub echo_chars_max: usize,
    /// The clock, in seconds since 1970; it only dates answers.
    pub now_s: fn() -> u64,
}

impl Default for Options {
    #[expect(clippy::disallowed_methods, reason = "a provider has a clock of its own")]
    fn default() -> Self {
        Self {
            key: "demo-key".to_owned(),
            slow: Duration::from_secs(1),
            drip_interval: Duration::from_millis(50),
            drip_tokens: 40,
            echo_chars_max: 200,
            now_s: || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()),
        }
    }
}

/// Serves the demo provider on `listener` until `shutdown` is ready; then every connection closes.
///
/// # Errors
/// When the listener has no local address, so cannot be served.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    server::run(listener, Arc::new(Provider::new(options)), shutdown).await;
    Ok(())
}

/// What the wire formats need to write an answer.
struct Answer<'a> {
    ask: &'a Ask,
    generation: &'a Generation,
    tokens: Tokens,
    behaviour: Behaviour,
    /// How many of its tokens are reasoning.
    reasoning_tokens: u64,
    /// Whether the model states its usage at all.
    states_usage: bool,
    serial: &'a str,
    now_s: u64,
}

/// What becomes of a call: a reply after a wait, or none at all.
enum Act {
    Reply {
        after: Duration,
        reply: Reply,
    },
    /// As `Reply`, and the connection does not survive the next request.
    ReplyThenClose(Reply),
    Hang,
}

/// Who calls: header values that the call needs beside its body.
struct Credentials<'a> {
    key: Option<&'a str>,
    rid: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        Self {
            key: bearer.or_else(|| text("x-api-key")).or_else(|| text("x-goog-api-key")),
            rid: text("x-client-request-id").or_else(|| text("x-request-id")),
        }
    }
}

/// The shared state of one server.
struct Provider {
    options: Options,
    books: Arc<Mutex<Books>>,
    serial: AtomicU64,
}

#[derive(Default)]
struct Books {
    /// Callers whose last call to `busy-once` was refused.
    refused: BTreeSet<String>,
    bill: Bill,
    cache: PromptCache,
}

impl Provider {
    fn new(options: Options) -> Self {
        Self { options, books: Arc::default(), serial: AtomicU64::new(1) }
    }

    /// The books; a panic elsewhere leaves them whole, because each entry is one push.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for one answer, unique in this server.
    fn serial(&self) -> String {
        let now_s = (self.options.now_s)();
        format!("demo{now_s:08x}{:08x}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    fn authenticate(&self, caller: &Credentials<'_>) -> Result<(), Fault> {
        match caller.key {
            None => Err(Fault::NoKey),
            Some(key) if key == self.options.key => Ok(()),
            Some(_) => Err(Fault::BadKey),
        }
    }

    fn failure(&self, wire: Wire, fault: &Fault) -> Reply {
        match wire {
            Wire::OpenAi | Wire::Responses | Wire::Completions | Wire::Embeddings => {
                openai::failure(fault)
            }
            Wire::Anthropic => anthropic::failure(fault, &self.serial(), (self.options.now_s)()),
            Wire::Gemini => gemini::failure(fault),
        }
    }

    /// One call, from what was read of it to what becomes of it. Everything but time happens here.
    fn call(&self, wire: Wire, ask: Ask, caller: &Credentials<'_>) -> Result<Act, Fault> {
        let Some(model) = behaviour::model(wire, &ask.model) else {
            return Err(Fault::UnknownModel(ask.model));
        };
        let note = |tokens, ending| Entry::free(model, tokens, ask.stream, ending, caller.rid);
        let refusal =
            self.refuses_once(model.behaviour, caller).or(refusal_of(model.behaviour, ask.stream));
        if let Some((fault, ending)) = refusal {
            self.books().bill.enter(note(Tokens::default(), ending));
            return Err(fault);
        }
        if model.behaviour == Behaviour::Hang {
            self.books().bill.enter(note(Tokens::default(), Ending::Hung));
            return Ok(Act::Hang);
        }
        let generation = ask::generate(model, &ask, &self.options);
        let (tokens, ticket) = {
            let mut books = self.books();
            let counted = match model.behaviour {
                Behaviour::Exact => Tokens { prompt: ask.body_bytes, ..Tokens::default() },
                _ => books.cache.count(model.model, &ask.blocks, ask.body_bytes),
            };
            fault::limits(model, &ask, counted.input())?;
            let completion = generation.tokens * ask.choices;
            let tokens = Tokens { completion, searches: ask.searches, ..counted };
            let ticket = books.bill.enter(match model.behaviour {
                Behaviour::Long if ask.stream => {
                    let begun = Tokens { completion: 0, ..tokens };
                    Entry::charged(model, begun, true, Ending::Served, caller.rid)
                }
                Behaviour::Refusal => note(tokens, Ending::Refused),
                Behaviour::Cut => {
                    Entry::charged(model, tokens, ask.stream, Ending::Cut, caller.rid)
                }
                Behaviour::ErrorInStream | Behaviour::FailAtEnd => {
                    Entry::charged(model, tokens, ask.stream, Ending::Failed, caller.rid)
                }
                _ => Entry::charged(model, tokens, ask.stream, Ending::Served, caller.rid),
            });
            (tokens, ticket)
        };
        let answer = Answer {
            ask: &ask,
            generation: &generation,
            tokens,
            behaviour: model.behaviour,
            reasoning_tokens: model.reasoning_tokens,
            states_usage: model.behaviour != Behaviour::NoUsage,
            serial: &self.serial(),
            now_s: (self.options.now_s)(),
        };
        let act = self.act(wire, &answer);
        let books = Arc::clone(&self.books);
        Ok(match act {
            Act::Reply { after, reply } if model.behaviour == Behaviour::Long => {
                let bill = move || {
                    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
                    books.bill.add_token(ticket, model);
                };
                Act::Reply { after, reply: reply.telling(bill) }
            }
            act => act,
        })
    }

    /// The fault of every odd call of one caller to a model that is busy once.
    fn refuses_once(
        &self,
        behaviour: Behaviour,
        caller: &Credentials<'_>,
    ) -> Option<(Fault, Ending)> {
        let who = caller.rid.unwrap_or_default().to_owned();
        let is_odd = behaviour == Behaviour::BusyOnce && {
            let mut books = self.books();
            !books.refused.remove(&who) && books.refused.insert(who)
        };
        is_odd.then_some((Fault::BusyBriefly, Ending::Failed))
    }

    fn act(&self, wire: Wire, answer: &Answer<'_>) -> Act {
        let reply =
            if answer.ask.stream { self.stream(wire, answer) } else { buffered(wire, answer) };
        let reply = match wire {
            Wire::Anthropic => anthropic::headers(reply, answer.serial, answer.now_s),
            Wire::Gemini => reply,
            Wire::OpenAi | Wire::Responses | Wire::Completions | Wire::Embeddings => {
                openai::headers(reply, answer.serial)
            }
        };
        let after = match answer.behaviour {
            Behaviour::Close => return Act::ReplyThenClose(reply),
            Behaviour::Slow => self.options.slow,
            Behaviour::Drip if !answer.ask.stream => {
                let tokens = u32::try_from(answer.tokens.completion).unwrap_or(u32::MAX);
                self.options.drip_interval.saturating_mul(tokens)
            }
            _ => Duration::ZERO,
        };
        Act::Reply { after, reply }
    }

    /// A streamed answer, cut or spoiled where the model's behaviour says so.
    fn stream(&self, wire: Wire, answer: &Answer<'_>) -> Reply {
        let frames = match wire {
            Wire::OpenAi | Wire::Embeddings => openai::frames(answer),
            Wire::Anthropic => anthropic::frames(answer),
            Wire::Gemini => gemini::frames(answer),
            Wire::Completions => texts::frames(answer),
            Wire::Responses => responses::frames(answer),
        };
        let half = frames.tokens.len() / 2;
        let send = |frames: Vec<Bytes>| frames.into_iter().map(Step::Send);
        let mut steps: Vec<Step> = send(frames.head).collect();
        let tokens = frames.tokens.into_iter();
        match answer.behaviour {
            Behaviour::Cut => {
                steps.extend(tokens.take(half).map(Step::Send));
                steps.push(Step::Break);
            }
            Behaviour::ErrorInStream => {
                steps.extend(tokens.take(half).map(Step::Send));
                steps.push(Step::Send(match wire {
                    Wire::Anthropic => anthropic::stream_error(),
                    Wire::Gemini => gemini::stream_error(),
                    Wire::Responses => responses::stream_error(),
                    Wire::OpenAi | Wire::Completions | Wire::Embeddings => openai::stream_error(),
                }));
            }
            Behaviour::BadJson => {
                steps.extend(tokens.take(half).map(Step::Send));
                steps.push(Step::Send(script::data_event(BROKEN_JSON)));
                steps.extend(send(frames.tail));
            }
            Behaviour::Long => {
                // Slow enough that a reader who leaves is noticed before the end.
                let pause = Step::Sleep(LONG_PAUSE);
                steps.extend(tokens.enumerate().flat_map(|(at, token)| {
                    let pause = at.is_multiple_of(LONG_RUN).then(|| pause.clone());
                    [Some(Step::Generate(token)), pause].into_iter().flatten()
                }));
                steps.extend(send(frames.tail));
            }
            Behaviour::Drip if !self.options.drip_interval.is_zero() => {
                let wait = Step::Sleep(self.options.drip_interval);
                steps.extend(tokens.flat_map(|token| [wait.clone(), Step::Send(token)]));
                steps.extend(send(frames.tail));
            }
            _ => {
                steps.extend(tokens.map(Step::Send));
                steps.extend(send(frames.tail));
            }
        }
        Reply::events(steps)
    }
}

/// Tokens of the model `long` between two pauses.
const LONG_RUN: usize = 10;
/// Such a pause.
const LONG_PAUSE: Duration = Duration::from_millis(2);

/// The start of an answer that no parser takes.
const BROKEN_JSON: &str = r#"{"id":"chatcmpl-broken","choices":[{"index":0,"message":{"role":"ass"#;

fn buffered(wire: Wire, answer: &Answer<'_>) -> Reply {
    let body = match (wire, &answer.ask.vectors) {
        (_, Some(wanted)) => texts::list(answer, wanted),
        (Wire::Anthropic, _) => anthropic::whole(answer),
        (Wire::Gemini, _) => gemini::whole(answer),
        (Wire::Completions, _) => texts::whole(answer),
        (Wire::Responses, _) => responses::whole(answer),
        (Wire::OpenAi | Wire::Embeddings, _) => openai::whole(answer),
    };
    match answer.behaviour {
        Behaviour::Cut => Reply::cut_json(&body),
        Behaviour::BadJson => Reply::text(200, BROKEN_JSON.to_owned()),
        _ => Reply::json(200, &body),
    }
}

/// The fault of a model that never answers, and how the bill calls it.
fn refusal_of(behaviour: Behaviour, stream: bool) -> Option<(Fault, Ending)> {
    match behaviour {
        Behaviour::Fail => Some((Fault::Internal, Ending::Failed)),
        // A buffered answer has no inside for an error to be in.
        Behaviour::ErrorInStream if !stream => Some((Fault::Internal, Ending::Failed)),
        Behaviour::Busy => Some((Fault::Busy, Ending::Failed)),
        Behaviour::Overloaded => Some((Fault::Overloaded, Ending::Failed)),
        Behaviour::Unauthorized => Some((Fault::BadKey, Ending::Failed)),
        Behaviour::Refuse => {
            let fault = Fault::invalid("messages", "The demo model refuses every request.");
            Some((fault, Ending::Failed))
        }
        _ => None,
    }
}
