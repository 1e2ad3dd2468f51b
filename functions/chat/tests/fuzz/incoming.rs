//! A request as the function gets it.

use bytes::Bytes;
use farebox_chat::incoming::Incoming;
use farebox_core::{Rid, Timestamp};
use http::{HeaderMap, HeaderValue, Method, header};

/// A JSON body posted to a path; dialects but Gemini's do not read the path.
pub fn incoming(path: impl Into<String>, body: impl Into<Bytes>) -> Incoming {
    let json = HeaderValue::from_static("application/json");
    Incoming {
        method: Method::POST,
        path: path.into(),
        query: Vec::new(),
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
        body: body.into(),
        request_id: Rid::new(Timestamp::from_ms(1), 1),
        client_request_id: None,
        started_at: Timestamp::from_ms(1),
        ends_at: Timestamp::from_ms(900_000),
        ip: None,
        user_agent: None,
    }
}
