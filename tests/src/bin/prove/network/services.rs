//! DynamoDB and SQS as far as the ledger, the logger and the scheduler use them: their requests,
//! read off the wire, are done by the interpreter of the ledger's expressions.

use std::collections::{BTreeMap, BTreeSet};

use farebox_core::Money;
use farebox_ledger::{
    Answer, Attr, Budget, Item, Key, Mode, Period, Table, Transaction, Update, Verdict, Write,
};
use serde_json::{Map, Value, json};

use crate::support::Store;

/// A message is not seen for so long.
const DELAY_MS: i64 = 2_000;

/// What a service answers.
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

/// A message of the queue.
#[derive(Clone, Debug)]
pub struct Message {
    pub visible_ms: i64,
    pub body: String,
}

#[derive(Default)]
pub struct Services {
    pub store: Store,
    /// What a read of an item shows beside what the interpreter knows of it: lists and maps.
    pub shown: BTreeMap<Key, Map<String, Value>>,
    pub secrets: BTreeMap<String, String>,
    /// What was done: the operation, and the write units that it takes.
    pub done: Vec<(String, usize)>,
    /// The largest hold that each budget has had.
    pub largest: BTreeMap<Key, i128>,
    /// What was committed in each period of each budget when it was looked at last.
    committed: BTreeMap<(Key, Period), Money>,
    pub queue: Vec<Message>,
    /// A mark of everything that was done, in its order: equal for equal histories.
    pub trace: u64,
}

impl Services {
    /// Does one request, and checks what must hold after each.
    pub fn answer(&mut self, target: &str, body: &Value, now_ms: i64) -> Reply {
        self.mark(target.as_bytes());
        self.mark_all(body);
        let (service, operation) = target.split_once('.').expect("a target");
        self.done.push((operation.to_owned(), 0));
        if service == "AmazonSQS" {
            let text = body["MessageBody"].as_str().expect("a body").to_owned();
            self.queue.push(Message { visible_ms: now_ms + DELAY_MS, body: text });
            return good(json!({"MessageId": "m", "MD5OfMessageBody": "-"}));
        }
        if service == "secretsmanager" {
            return self.secret(body);
        }
        let has_rows = body.to_string().contains("logs");
        let reply = match operation {
            "UpdateItem" | "PutItem" | "DeleteItem" => self.write(&update(operation, body)),
            "TransactWriteItems" => self.transact(body),
            "GetItem" => {
                let found = self.read(&key(body, &body["Key"]));
                let units = json!({"TableName": body["TableName"], "CapacityUnits": 1.0});
                good(json!({"Item": found, "ConsumedCapacity": units}))
            }
            "BatchGetItem" => self.batch(body),
            "Scan" => self.scan(body),
            "Query" if body["IndexName"] == "due" => self.due(body),
            "Query" => self.partition(body),
            other => panic!("{other} is not part of the simulation"),
        };
        if has_rows {
            super::sums::check(&self.store);
        }
        reply
    }

    /// Names in their order, because the SDK writes its maps in any; and without the token that
    /// it makes up for each transaction, which nothing here depends on.
    fn mark_all(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let sorted: BTreeMap<_, _> = fields.iter().collect();
                for (name, value) in sorted {
                    if name == "ClientRequestToken" {
                        continue;
                    }
                    self.mark(name.as_bytes());
                    self.mark_all(value);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.mark_all(value)),
            plain => self.mark(plain.to_string().as_bytes()),
        }
    }

    fn mark(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write(&mut self, update: &Update) -> Reply {
        // When an owner's credential was used last stands in a map, and nothing here has owners.
        if matches!(&update.write, Write::Update(text) if text.starts_with("SET #ps.#p.")) {
            return bad("ConditionalCheckFailedException");
        }
        let old = self.store.get(&update.key).unwrap_or_default();
        let answer = self.store.apply(update);
        self.check([&update.key].into_iter());
        let new = self.store.get(&update.key).unwrap_or_default();
        if let Some((_, units)) = self.done.last_mut() {
            *units = size(&old).max(size(&new)).div_ceil(1_024);
        }
        match answer {
            Answer::Applied => {
                let changed = new.into_iter().filter(|(name, value)| old.get(name) != Some(value));
                let units = json!({"TableName": "ledger", "CapacityUnits": 1.0});
                good(json!({"Attributes": wire(&changed.collect()), "ConsumedCapacity": units}))
            }
            Answer::ConditionFailed(old) => {
                let mut reply = bad("ConditionalCheckFailedException");
                if let Some(old) = old {
                    reply.body["Item"] = wire(&old);
                }
                reply
            }
            other => panic!("a write is answered by {other:?}"),
        }
    }

    fn transact(&mut self, body: &Value) -> Reply {
        let items = body["TransactItems"].as_array().expect("items");
        let actions = items.iter().map(|item| {
            let (kind, fields) = item.as_object().and_then(|item| item.iter().next()).expect("one");
            update(kind, fields)
        });
        let transaction = Transaction { actions: actions.collect() };
        let sizes = |store: &Store| -> Vec<usize> {
            let items = transaction.actions.iter().map(|action| store.get(&action.key));
            items.map(|item| size(&item.unwrap_or_default())).collect()
        };
        let before = sizes(&self.store);
        let answer = self.store.transact(&transaction);
        if let Some((_, units)) = self.done.last_mut() {
            // Each item costs twice what it costs alone.
            let sizes = before.into_iter().zip(sizes(&self.store));
            *units = sizes.map(|(old, new)| 2 * old.max(new).div_ceil(1_024).max(1)).sum();
        }
        self.check(transaction.actions.iter().map(|action| &action.key));
        match answer {
            Answer::Applied => good(json!({})),
            Answer::Cancelled(verdicts) => {
                let reasons = verdicts.iter().map(|verdict| match verdict {
                    Verdict::ConditionFailed(Some(old)) => {
                        json!({"Code": "ConditionalCheckFailed", "Item": wire(old)})
                    }
                    Verdict::ConditionFailed(None) => json!({"Code": "ConditionalCheckFailed"}),
                    _ => json!({"Code": "None"}),
                });
                let mut reply = bad("TransactionCanceledException");
                reply.body["CancellationReasons"] = reasons.collect();
                reply
            }
            other => panic!("a transaction is answered by {other:?}"),
        }
    }

    fn batch(&self, body: &Value) -> Reply {
        let tables = body["RequestItems"].as_object().expect("tables");
        let responses: Map<String, Value> = tables
            .iter()
            .map(|(name, asked)| {
                let keys = asked["Keys"].as_array().expect("keys").iter();
                let table = json!({"TableName": name});
                let found = keys.filter_map(|asked| self.store.get(&key(&table, asked)));
                (name.clone(), found.map(|item| wire(&item)).collect())
            })
            .collect();
        good(json!({"Responses": responses, "UnprocessedKeys": {}}))
    }

    fn scan(&self, body: &Value) -> Reply {
        let table = table(body);
        let segment = body["Segment"].as_u64().unwrap_or(0);
        let segments = body["TotalSegments"].as_u64().unwrap_or(1);
        let items = self.store.items.iter().filter(|(key, _)| key.table == table).enumerate();
        let found = items.filter(|(at, _)| *at as u64 % segments == segment);
        good(json!({"Items": found.map(|(_, (_, item))| wire(item)).collect::<Value>()}))
    }

    /// An item as a read shows it.
    fn read(&self, key: &Key) -> Option<Value> {
        let mut item = self.store.get(key).as_ref().map(wire)?;
        if let (Some(shown), Some(fields)) = (self.shown.get(key), item.as_object_mut()) {
            fields.extend(shown.clone());
        }
        Some(item)
    }

    fn partition(&self, body: &Value) -> Reply {
        let (table, pk) = (table(body), attr(&body["ExpressionAttributeValues"][":pk"]));
        let keys = self.store.items.keys();
        let keys = keys.filter(|key| key.table == table && Attr::S(key.pk.clone()) == pk);
        good(json!({"Items": keys.filter_map(|key| self.read(key)).collect::<Value>()}))
    }

    fn secret(&self, body: &Value) -> Reply {
        let name = body["SecretId"].as_str().expect("a name");
        match self.secrets.get(name) {
            Some(text) => good(json!({"Name": name, "SecretString": text})),
            None => bad("ResourceNotFoundException"),
        }
    }

    fn due(&self, body: &Value) -> Reply {
        let now = attr(&body["ExpressionAttributeValues"][":now"]);
        let items = self.store.items.iter().filter(|(key, item)| {
            let is_past = match (item.get("at"), &now) {
                (Some(Attr::N(at)), Attr::N(now)) => at <= now,
                _ => false,
            };
            key.table == Table::Main && item.contains_key("due") && is_past
        });
        let keys = items.map(|(key, _)| wire(&key.item()));
        good(json!({"Items": keys.collect::<Value>()}))
    }

    /// The budgets.
    pub fn budgets(&self) -> impl Iterator<Item = (&Key, Budget)> {
        let items = self.store.items.iter();
        let budgets =
            items.filter(|(key, _)| key.table == Table::Ledger && key.pk.starts_with("B#"));
        budgets.map(|(key, item)| (key, Budget::parse(item).expect("a budget")))
    }

    /// A budget, and behind it its shares.
    pub fn places(&self, whole: &str) -> Vec<(&Key, Budget)> {
        let is_of_it = |key: &Key| {
            let rest = key.pk.strip_prefix(whole);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('~'))
        };
        self.budgets().filter(|(key, _)| is_of_it(key)).collect()
    }

    /// I1, I4 and E1 of the budgets that a write has touched.
    fn check<'k>(&mut self, touched: impl Iterator<Item = &'k Key>) {
        let budgets = touched.filter(|key| key.table == Table::Ledger);
        let wholes: BTreeSet<_> =
            budgets.map(|key| key.pk.split('~').next().expect("a part").to_owned()).collect();
        for whole in wholes {
            let places = self.places(&whole);
            let places: Vec<_> =
                places.into_iter().map(|(key, budget)| (key.clone(), budget)).collect();
            let (mut granted, mut allowed) = (0, 0);
            for (key, budget) in &places {
                granted += budget.granted.get(&Period::Total).map_or(0, |amount| amount.pico());
                let own = budget.terms.allowances.as_ref();
                let own = own.and_then(|allowances| allowances.get(&Period::Total));
                allowed += own.map_or(0, |amount| amount.pico());
                self.check_place(key, budget);
            }
            assert_eq!(granted, allowed, "E1: {whole}");
        }
    }

    fn check_place(&mut self, key: &Key, budget: &Budget) {
        let (pk, mode) = (&key.pk, budget.terms.settings.mode);
        let months = budget.months.keys().map(|month| Period::Month(*month));
        let days = budget.days.keys().map(|day| Period::Day(*day));
        for period in months.chain(days).chain([Period::Total]) {
            let committed = budget.counter(period).committed;
            let before = self.committed.insert((key.clone(), period), committed);
            // A limit may fall below what is committed; from then on nothing is admitted.
            let is_more = committed > before.unwrap_or_default();
            let is_bound = is_more && matches!(mode, Mode::Hard | Mode::Balanced);
            if let Some(limit) = budget.terms.limit(period).filter(|_| is_bound) {
                assert!(committed <= limit, "I1: {pk} {period} has {committed} of {limit}");
            }
        }
        let amounts = budget.holds.values().map(|hold| hold.amount.pico());
        let largest = self.largest.entry(key.clone()).or_default();
        *largest = amounts.clone().chain([*largest]).max().unwrap_or_default();
        let granted = budget.granted.get(&Period::Total).map_or(0, |amount| amount.pico());
        let total = budget.total.settled().pico() + amounts.sum::<i128>() + granted;
        assert_eq!(budget.total.committed.pico(), total, "I4: {pk}");
    }
}

/// The bytes that DynamoDB charges an item by: a number is half its digits and one more.
pub fn size(item: &Item) -> usize {
    let value = |value: &Attr| match value {
        Attr::S(text) => text.len(),
        Attr::N(number) => 1 + number.unsigned_abs().to_string().len().div_ceil(2),
    };
    item.iter().map(|(name, of)| name.len() + value(of)).sum()
}

fn good(body: Value) -> Reply {
    Reply { status: 200, body }
}

/// The service says no.
pub fn bad(kind: &str) -> Reply {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{kind}");
    Reply { status: 400, body: json!({"__type": kind, "message": "simulated"}) }
}

fn table(body: &Value) -> Table {
    match body["TableName"].as_str() {
        Some("ledger") => Table::Ledger,
        Some("main") => Table::Main,
        Some("logs") => Table::Logs,
        other => panic!("no table {other:?}"),
    }
}

fn key(body: &Value, key: &Value) -> Key {
    let text = |name: &str| key[name]["S"].as_str().expect("a key").to_owned();
    Key { table: table(body), pk: text("pk"), sk: text("sk") }
}

fn attr(value: &Value) -> Attr {
    if let Some(text) = value["S"].as_str() {
        return Attr::S(text.to_owned());
    }
    let number = value["N"].as_str().unwrap_or_else(|| panic!("neither text nor number: {value}"));
    Attr::N(number.parse().expect("a whole number"))
}

fn wire(item: &Item) -> Value {
    let fields = item.iter().map(|(name, value)| {
        let value = match value {
            Attr::S(text) => json!({"S": text}),
            Attr::N(number) => json!({"N": number.to_string()}),
        };
        (name.clone(), value)
    });
    Value::Object(fields.collect())
}

fn update(operation: &str, body: &Value) -> Update {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let fields = |name: &str| body[name].as_object().cloned().unwrap_or_default().into_iter();
    let names = fields("ExpressionAttributeNames");
    let names = names.map(|(place, name)| (place, name.as_str().expect("a name").to_owned()));
    let values = fields("ExpressionAttributeValues").map(|(place, value)| (place, attr(&value)));
    let (key, write) = match operation {
        "PutItem" | "Put" => {
            let item = fields("Item").map(|(name, value)| (name, attr(&value)));
            (key(body, &body["Item"]), Write::Put(item.collect()))
        }
        "DeleteItem" | "Delete" => (key(body, &body["Key"]), Write::Delete),
        _ => (key(body, &body["Key"]), Write::Update(text("UpdateExpression"))),
    };
    Update {
        key,
        write,
        condition: text("ConditionExpression"),
        names: names.collect(),
        values: values.collect(),
    }
}
