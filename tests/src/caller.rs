//! A user with a credential for the demo provider and one key.

use farebox_core::Money;
use http::Method;
use serde_json::{Value, json};

use crate::stack::Stack;
use crate::tables::Books;
use crate::tap::Seen;
use crate::wire::{Answer, Call};
use crate::{fresh, until, usd};

/// What the demo provider takes as its API key.
pub const DEMO_SECRET: &str = "demo-key";

/// A user of its own, so that nothing of it is shared with another test.
#[derive(Clone, Debug)]
pub struct Caller<'s> {
    stack: &'s Stack,
    /// The user's id.
    pub user: String,
    /// The key's id.
    pub key_id: String,
    /// The key.
    pub key: String,
}

impl<'s> Caller<'s> {
    /// Makes a user, its credential and a key without limits.
    pub async fn new(stack: &'s Stack) -> Self {
        Self::with_key(stack, &json!({})).await
    }

    /// The same with further fields of the key.
    pub async fn with_key(stack: &'s Stack, more: &Value) -> Self {
        let user = fresh("u");
        stack.add_user(&user).await;
        stack.set_credential(&user, "demo", DEMO_SECRET, &stack.tap().base_url(&user)).await;
        let (key_id, key) = stack.add_key(&user, more).await;
        Self { stack, user, key_id, key }
    }

    /// Another key of the same user.
    pub async fn another_key(&self) -> Self {
        let (key_id, key) = self.stack.add_key(&self.user, &json!({})).await;
        Self { stack: self.stack, user: self.user.clone(), key_id, key }
    }

    /// A user and key that stand in the state of a stack that was started again.
    pub async fn known(stack: &'s Stack, user: String, key_id: String, key: String) -> Self {
        stack.set_credential(&user, "demo", DEMO_SECRET, &stack.tap().base_url(&user)).await;
        Self { stack, user, key_id, key }
    }

    /// Its stack.
    #[must_use]
    pub const fn stack(&self) -> &'s Stack {
        self.stack
    }

    /// The scope of its user's budget.
    #[must_use]
    pub fn user_scope(&self) -> String {
        format!("user:{}", self.user)
    }

    /// The scope of its key's budget.
    #[must_use]
    pub fn key_scope(&self) -> String {
        format!("key:{}", self.key_id)
    }

    /// A request to a path of the public API, with the key.
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> Call {
        Call::new(method, self.stack.url(path)).bearer(&self.key)
    }

    /// A POST of JSON, not sent yet.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.request(Method::POST, path).json(body)
    }

    /// A GET that must succeed.
    pub async fn read(&self, path: &str) -> Value {
        self.request(Method::GET, path).send().await.expect(200).json()
    }

    /// One question to a model through Farebox's own contract.
    pub async fn chat(&self, model: &str, options: &Value) -> Answer {
        self.post("/v1/chat", &native(model, options)).send().await
    }

    /// One question to a model through `OpenAI`'s contract.
    pub async fn complete(&self, model: &str, options: &Value) -> Answer {
        self.post("/v1/chat/completions", &openai(model, options)).send().await
    }

    /// Replaces the budget of the user.
    pub async fn limit_user(&self, budget: &Value) {
        self.stack.set_budget(&self.user_scope(), budget).await;
    }

    /// Replaces the budget of the key.
    pub async fn limit_key(&self, budget: &Value) {
        self.stack.set_budget(&self.key_scope(), budget).await;
    }

    /// The user's budget as the ledger wrote it.
    pub async fn user_books(&self) -> Books {
        self.stack.books(&self.user_scope()).await
    }

    /// Lets a hold of so many pico-USD stand in the user's way, in the total only; with a negative
    /// amount it goes.
    pub async fn block(&self, pico: i64) {
        let books = self.user_books().await;
        let update = json!({
            "TableName": "farebox-ledger",
            "Key": {"pk": {"S": books.item.text("pk")}, "sk": {"S": books.item.text("sk")}},
            "UpdateExpression": "ADD tc :a, n :n",
            "ExpressionAttributeValues": {
                ":a": {"N": pico.to_string()}, ":n": {"N": pico.signum().to_string()},
            },
        });
        self.stack.dynamodb("UpdateItem", &update).await;
    }

    /// The key's budget as the ledger wrote it.
    pub async fn key_books(&self) -> Books {
        self.stack.books(&self.key_scope()).await
    }

    /// The entries of the provider's bill that this user made.
    pub async fn bill_entries(&self) -> Vec<Value> {
        let url = format!("{}/bill", provider_origin(self.stack));
        let bill = Call::get(url).send().await.expect(200).json();
        let entries = bill["entries"].as_array().cloned().unwrap_or_default();
        entries.into_iter().filter(|entry| entry["rid"] == self.user.as_str()).collect()
    }

    /// What the provider charges this user.
    ///
    /// # Panics
    /// Where the bill is none.
    pub async fn bill(&self) -> Money {
        self.bill_entries().await.iter().fold(Money::ZERO, |sum, entry| {
            let entry = usd(entry["usd"].as_str().expect("an amount"));
            sum.plus(entry).expect("a sum")
        })
    }

    /// The POSTs of this user that reached the provider's side of the wire.
    #[must_use]
    pub fn posts(&self) -> Vec<Seen> {
        self.stack.tap().seen(&self.user)
    }

    /// Waits until the provider has so many of its calls.
    pub async fn called(&self, times: usize) {
        let is_there = || async { (self.posts().len() == times).then_some(()) };
        until(&format!("the provider has {times} calls"), is_there).await;
    }

    /// The log row of a call, once the queue is empty.
    pub async fn row(&self, request_id: &str) -> Value {
        self.stack.drain().await;
        self.read(&format!("/v1/requests/{request_id}")).await
    }

    /// Asserts that nothing is held and that what is charged is what the provider bills, in both
    /// scopes; gives that amount.
    ///
    /// # Panics
    /// Where a hold is left or the books and the bill differ.
    pub async fn assert_settled_to_the_bill(&self) -> Money {
        let bill = self.bill().await;
        for books in [self.user_books().await, self.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), bill, "charged and billed of {}", books.scope);
        }
        bill
    }

    /// Asserts that nothing was ever held, charged or sent.
    ///
    /// # Panics
    /// Where something was.
    pub async fn assert_untouched(&self) {
        for books in [self.user_books().await, self.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), Money::ZERO, "{}", books.scope);
        }
        assert_eq!(self.posts().len(), 0, "requests at the provider");
    }
}

fn provider_origin(stack: &Stack) -> String {
    let url = stack.ready().url("demo_provider_url");
    url.strip_suffix("/v1").unwrap_or(url).to_owned()
}

/// A question in Farebox's own form.
#[must_use]
pub fn native(model: &str, options: &Value) -> Value {
    json!({
        "provider": "demo",
        "model": model.strip_prefix("demo/").unwrap_or(model),
        "messages": [{"role": "user", "content": "hello"}],
        "options": options,
    })
}

/// A question in `OpenAI`'s form.
#[must_use]
pub fn openai(model: &str, options: &Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    if let (Some(body), Some(options)) = (body.as_object_mut(), options.as_object()) {
        body.extend(options.clone());
    }
    body
}
