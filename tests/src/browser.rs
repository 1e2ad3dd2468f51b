//! As much of a browser as signing in needs: it keeps cookies of one origin, and goes where it is
//! sent one step at a time, so that a test can do something else on the way.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use crate::oidc::Typed;
use crate::{Answer, Call, Stack};

/// A browser at the console of a stack.
#[derive(Clone, Debug)]
pub struct Browser {
    origin: String,
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser that has been nowhere.
    #[must_use]
    pub fn new(stack: &Stack) -> Self {
        Self { origin: stack.url(""), cookies: BTreeMap::new() }
    }

    /// Opens a path as a link does, and keeps the cookies that come back.
    pub async fn open(&mut self, path: &str) -> Answer {
        let call = Call::get(format!("{}{path}", self.origin)).with("cookie", self.cookie());
        let answer = call.send().await;
        self.keep(&answer);
        answer
    }

    /// What the console's own page asks.
    pub async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.request(&method, path, body).send().await;
        self.keep(&answer);
        answer
    }

    /// A request as the console's own page makes it, which a test may change.
    #[must_use]
    pub fn request(&self, method: &Method, path: &str, body: Option<&Value>) -> Call {
        let call = Call::new(method.clone(), format!("{}{path}", self.origin))
            .with("cookie", self.cookie())
            .with("x-farebox-console", "1")
            .with("sec-fetch-site", "same-origin")
            .with("if-match", "*");
        let call = if *method == Method::GET { call } else { call.with("origin", &self.origin) };
        match body {
            Some(body) => call.json(body),
            None => call,
        }
    }

    /// Goes to the provider, types there, and gives the path and query that it is sent back to.
    ///
    /// # Panics
    /// Where a step does not lead on.
    pub async fn go_and_type(&mut self, back: &str, typed: &Typed) -> String {
        let query = if back.is_empty() { String::new() } else { format!("?back={back}") };
        let begun = self.open(&format!("/admin/console/sign-in{query}")).await.expect(303);
        let page = begun.header("location").expect("a place").to_owned();
        let typed = serde_json::to_string(typed).expect("JSON");
        let mut page = form_urlencoded::Serializer::new(page);
        let answer = Call::get(page.append_pair("typed", &typed).finish()).send().await.expect(302);
        let place = answer.header("location").expect("a place");
        let place = place.strip_prefix(&self.origin).expect("it is sent back to the console");
        place.to_owned()
    }

    /// Signs in, whatever comes of it.
    pub async fn sign_in(&mut self, typed: &Typed) -> Answer {
        let place = self.go_and_type("", typed).await;
        self.open(&place).await
    }

    fn cookie(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("text");
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
