//! What stands in the tables, read as plain DynamoDB JSON and by no code of the product.

use std::collections::BTreeMap;

use farebox_core::Money;
use serde_json::{Value, json};

use crate::stack::Stack;
use crate::wire::{Answer, Call};

/// The deployment that the local stack is.
const TENANT: &str = "main";

/// The queue that the local stack makes.
pub(crate) const QUEUE: &str = "farebox-log";

/// One item: attribute name to its plain text, number or JSON.
#[derive(Clone, Debug, Default)]
pub struct Item(pub BTreeMap<String, Value>);

/// A budget as the ledger wrote it.
#[derive(Clone, Debug)]
pub struct Books {
    /// Whose.
    pub scope: String,
    /// The item.
    pub item: Item,
}

impl Item {
    /// An attribute's text or number; empty where it is absent.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        let typed = self.0.get(name).and_then(Value::as_object);
        typed.and_then(|typed| typed.values().next()?.as_str()).unwrap_or_default()
    }

    /// A number of pico-USD; zero where it is absent.
    ///
    /// # Panics
    /// Where it is no amount.
    #[must_use]
    pub fn money(&self, name: &str) -> Money {
        match self.text(name) {
            "" => Money::ZERO,
            text => Money::from_pico(text.parse().expect("a number")).expect("an amount"),
        }
    }

    /// The names of attributes that begin so.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }
}

impl Books {
    /// All that was ever charged.
    #[must_use]
    pub fn settled(&self) -> Money {
        self.item.money("ts")
    }

    /// What is held now.
    ///
    /// # Panics
    /// Where less is committed than settled.
    #[must_use]
    pub fn held(&self) -> Money {
        self.item.money("tc").minus(self.settled()).expect("a difference")
    }

    /// Asserts that no hold is left and that committed equals settled in every period.
    ///
    /// # Panics
    /// Where it is not so.
    pub fn assert_quiet(&self) {
        let (scope, item) = (&self.scope, &self.item);
        assert_eq!(item.names("h_").collect::<Vec<_>>(), Vec::<&str>::new(), "holds of {scope}");
        assert_eq!(item.money("n"), Money::ZERO, "open holds of {scope}");
        assert_eq!(item.money("tc"), item.money("ts"), "total of {scope}");
        for (committed, settled) in [("mc_", "ms_"), ("dc_", "ds_")] {
            for name in item.names(committed) {
                let settled = name.replacen(committed, settled, 1);
                assert_eq!(item.money(name), item.money(&settled), "{name} of {scope}");
            }
        }
    }
}

impl Stack {
    /// One call to the embedded DynamoDB.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn dynamodb(&self, operation: &str, body: &Value) -> Value {
        aws(self.ready().url("dynamodb_url"), "DynamoDB_20120810", operation, body)
            .await
            .expect(200)
            .json()
    }

    /// One call to the embedded SQS.
    pub async fn sqs(&self, operation: &str, body: &Value) -> Value {
        aws(self.ready().url("services_url"), "AmazonSQS", operation, body).await.expect(200).json()
    }

    /// The queue between the functions and the logger.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn queue_url(&self) -> String {
        let answer = self.sqs("GetQueueUrl", &json!({"QueueName": QUEUE})).await;
        answer["QueueUrl"].as_str().expect("a URL").to_owned()
    }

    /// Every item of a table.
    pub async fn scan(&self, name: &str) -> Vec<Item> {
        let mut request = json!({"TableName": table(name), "ConsistentRead": true});
        let mut items = Vec::new();
        loop {
            let page = self.dynamodb("Scan", &request).await;
            for item in page["Items"].as_array().into_iter().flatten() {
                items.push(Item(serde_json::from_value(item.clone()).expect("an item")));
            }
            match page.get("LastEvaluatedKey").filter(|key| key.is_object()) {
                Some(key) => request["ExclusiveStartKey"] = key.clone(),
                None => return items,
            }
        }
    }

    /// The items of one partition of a table.
    pub async fn query(&self, name: &str, pk: &str) -> Vec<Item> {
        let items = self.scan(name).await;
        items.into_iter().filter(|item| item.text("pk") == pk).collect()
    }

    /// A budget.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn books(&self, scope: &str) -> Books {
        let key = json!({"pk": {"S": format!("B#{TENANT}#{scope}")}, "sk": {"S": "0"}});
        let request = json!({"TableName": table("ledger"), "Key": key, "ConsistentRead": true});
        let answer = self.dynamodb("GetItem", &request).await;
        let item = answer.get("Item").unwrap_or_else(|| panic!("no budget of {scope}"));
        let item = Item(serde_json::from_value(item.clone()).expect("an item"));
        Books { scope: scope.to_owned(), item }
    }

    /// A budget, and behind it its shares where it is divided.
    pub async fn places(&self, scope: &str) -> Vec<Books> {
        let mut places = vec![self.books(scope).await];
        let made = places[0].item.text("sm").parse().unwrap_or(0_u8);
        for share in 0..made {
            places.push(self.books(&format!("{scope}~{share}")).await);
        }
        places
    }

    /// All tables as one text, to search in.
    pub async fn all_tables(&self) -> String {
        let mut text = String::new();
        for name in ["ledger", "main", "logs"] {
            for item in self.scan(name).await {
                text.push_str(&serde_json::to_string(&item.0).expect("JSON"));
                text.push('\n');
            }
        }
        text
    }
}

/// The name that the local stack gives a table of the design.
fn table(name: &str) -> String {
    format!("farebox-{name}")
}

/// A request to one of the embedded services.
pub(crate) fn request(url: &str, service: &str, operation: &str, body: &Value) -> Call {
    // The embedded services look at the form of a signature, not at its value.
    let signature = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature=00";
    let date = "20260101T000000Z";

    Call::post(format!("{url}/"), body)
        .with("content-type", AMZ_JSON)
        .with("x-amz-target", format!("{service}.{operation}"))
        .with("x-amz-date", date)
        .with("authorization", signature)
}

async fn aws(url: &str, service: &str, operation: &str, body: &Value) -> Answer {
    request(url, service, operation, body).send().await
}

/// The content type of both protocols.
const AMZ_JSON: &str = "application/x-amz-json-1.0";
