//! A store that executes the real expressions: a small interpreter of DynamoDB's language.
//!
//! It is strict where DynamoDB is: a placeholder that is unused or undefined, a reserved word,
//! and two changes of one attribute are errors, which here are panics.

use std::collections::{BTreeMap, BTreeSet};

use farebox_ledger::{Answer, Attr, Item, Key, Owner, Transaction, Update, Verdict, Write};

/// Those of DynamoDB's reserved words that a ledger is tempted to use.
const RESERVED: &[&str] = &[
    "add",
    "all",
    "and",
    "at",
    "between",
    "by",
    "capacity",
    "condition",
    "consumed",
    "count",
    "cost",
    "counter",
    "date",
    "day",
    "delete",
    "domain",
    "end",
    "exists",
    "hash",
    "hour",
    "index",
    "item",
    "items",
    "key",
    "keys",
    "language",
    "last",
    "limit",
    "list",
    "local",
    "lock",
    "map",
    "max",
    "min",
    "mode",
    "month",
    "name",
    "not",
    "number",
    "old",
    "or",
    "order",
    "owner",
    "pool",
    "range",
    "rank",
    "region",
    "remove",
    "role",
    "set",
    "size",
    "state",
    "status",
    "sum",
    "table",
    "time",
    "timestamp",
    "timezone",
    "token",
    "total",
    "ttl",
    "type",
    "until",
    "update",
    "user",
    "value",
    "values",
    "view",
    "year",
    "zone",
];

#[derive(Clone, Debug, Default)]
pub struct Store {
    pub items: BTreeMap<Key, Item>,
    /// Where it is kept: every request and its answer, in the order of their effect.
    pub journal: Option<Vec<(Request, Answer)>>,
}

/// What a store is asked to do.
#[derive(Clone, Debug)]
pub enum Request {
    One(Update),
    Many(Transaction),
}

impl Store {
    pub fn get(&self, key: &Key) -> Option<Item> {
        self.items.get(key).cloned()
    }

    /// One conditional write, atomically.
    pub fn apply(&mut self, update: &Update) -> Answer {
        let answer = self.write(update);
        self.note(|| Request::One(update.clone()), &answer);
        answer
    }

    /// All writes or none.
    pub fn transact(&mut self, transaction: &Transaction) -> Answer {
        let answer = self.write_all(transaction);
        self.note(|| Request::Many(transaction.clone()), &answer);
        answer
    }

    fn note(&mut self, request: impl FnOnce() -> Request, answer: &Answer) {
        if let Some(journal) = &mut self.journal {
            journal.push((request(), answer.clone()));
        }
    }

    fn write(&mut self, update: &Update) -> Answer {
        let old = self.items.get(&update.key);
        if !Condition::holds(update, old) {
            return Answer::ConditionFailed(old.cloned());
        }
        match &update.write {
            Write::Update(text) => {
                let new = changed(update, text, old);
                self.items.insert(update.key.clone(), new);
            }
            Write::Put(item) => {
                assert_eq!(item.get("pk"), Some(&Attr::S(update.key.pk.clone())));
                assert_eq!(item.get("sk"), Some(&Attr::S(update.key.sk.clone())));
                self.items.insert(update.key.clone(), item.clone());
            }
            Write::Delete => drop(self.items.remove(&update.key)),
        }
        Answer::Applied
    }

    fn write_all(&mut self, transaction: &Transaction) -> Answer {
        let keys: BTreeSet<_> = transaction.actions.iter().map(|action| &action.key).collect();
        assert_eq!(keys.len(), transaction.actions.len(), "one action an item");
        let verdicts: Vec<_> = transaction
            .actions
            .iter()
            .map(|action| {
                let old = self.items.get(&action.key);
                if Condition::holds(action, old) {
                    Verdict::Passed
                } else {
                    Verdict::ConditionFailed(old.cloned())
                }
            })
            .collect();
        if verdicts.iter().any(|verdict| *verdict != Verdict::Passed) {
            return Answer::Cancelled(verdicts);
        }
        for action in &transaction.actions {
            assert_eq!(self.write(action), Answer::Applied);
        }
        Answer::Applied
    }
}

/// W6: every placeholder is used and every used one is defined, and no bare name is reserved.
pub fn check_placeholders(update: &Update) {
    let expression = match &update.write {
        Write::Update(text) => text.as_str(),
        Write::Put(_) | Write::Delete => "",
    };
    let words = tokens(expression).into_iter().chain(tokens(&update.condition));
    let used: BTreeSet<String> =
        words.filter(|word| word.starts_with('#') || word.starts_with(':')).collect();
    let names = update.names.iter().map(|(name, _)| name.clone());
    let defined: Vec<_> = names.chain(update.values.iter().map(|(name, _)| name.clone())).collect();
    let unique: BTreeSet<String> = defined.iter().cloned().collect();
    assert_eq!(defined.len(), unique.len(), "defined twice: {update:?}");
    assert_eq!(used, unique, "placeholders of {update:?}");
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = if is_word(first) || first == '#' || first == ':' {
            1 + rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1)
        } else if ["<=", ">=", "<>"].iter().any(|sign| rest.starts_with(sign)) {
            2
        } else {
            assert!("()=<>,+-".contains(first), "unknown character {first:?} in {text:?}");
            1
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

struct Reader<'a> {
    update: &'a Update,
    old: Option<&'a Item>,
    tokens: Vec<String>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(update: &'a Update, text: &str, old: Option<&'a Item>) -> Self {
        Self { update, old, tokens: tokens(text), at: 0 }
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_next = self.peek() == token;
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: &str) {
        assert!(self.eat(token), "expected {token} before {:?} of {:?}", self.peek(), self.tokens);
    }

    fn path(&mut self) -> String {
        let word = self.next();
        if word.starts_with('#') {
            let name = self.update.names.iter().find(|(place, _)| *place == word);
            return name.unwrap_or_else(|| panic!("undefined {word}")).1.clone();
        }
        assert!(word.starts_with(|c: char| c.is_ascii_alphabetic()), "not a path: {word:?}");
        assert!(!RESERVED.contains(&word.to_lowercase().as_str()), "reserved word {word}");
        word
    }

    fn operand(&mut self) -> Option<Attr> {
        if self.peek().starts_with(':') {
            let word = self.next();
            let value = self.update.values.iter().find(|(place, _)| *place == word);
            return Some(value.unwrap_or_else(|| panic!("undefined {word}")).1.clone());
        }
        let path = self.path();
        self.old.and_then(|old| old.get(&path)).cloned()
    }
}

struct Condition;

impl Condition {
    fn holds(update: &Update, old: Option<&Item>) -> bool {
        check_placeholders(update);
        if update.condition.is_empty() {
            return true;
        }
        let mut reader = Reader::new(update, &update.condition, old);
        let holds = Self::any(&mut reader);
        assert_eq!(reader.at, reader.tokens.len(), "rest of {:?}", update.condition);
        holds
    }

    fn any(reader: &mut Reader<'_>) -> bool {
        let mut holds = Self::all(reader);
        while reader.eat("OR") {
            holds |= Self::all(reader);
        }
        holds
    }

    fn all(reader: &mut Reader<'_>) -> bool {
        let mut holds = Self::one(reader);
        while reader.eat("AND") {
            holds &= Self::one(reader);
        }
        holds
    }

    fn one(reader: &mut Reader<'_>) -> bool {
        if reader.eat("(") {
            let holds = Self::any(reader);
            reader.expect(")");
            return holds;
        }
        let function = reader.peek().to_owned();
        if function.starts_with("attribute_") {
            reader.next();
            reader.expect("(");
            let path = reader.path();
            reader.expect(")");
            let exists = reader.old.is_some_and(|old| old.contains_key(&path));
            return match function.as_str() {
                "attribute_exists" => exists,
                "attribute_not_exists" => !exists,
                _ => panic!("unknown function {function}"),
            };
        }
        let left = reader.operand();
        let sign = reader.next();
        let right = reader.operand();
        // An absent attribute compares false, and so do two types.
        match (left, right) {
            (Some(Attr::N(left)), Some(Attr::N(right))) => compare(&left, &sign, &right),
            (Some(Attr::S(left)), Some(Attr::S(right))) => compare(&left, &sign, &right),
            _ => false,
        }
    }
}

fn compare<T: Ord>(left: &T, sign: &str, right: &T) -> bool {
    match sign {
        "=" => left == right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "<>" => left != right,
        _ => panic!("unknown sign {sign}"),
    }
}

/// The item after an update: every value is read from the old item.
fn changed(update: &Update, text: &str, old: Option<&Item>) -> Item {
    let mut new = old.cloned().unwrap_or_else(|| update.key.item());
    let mut seen = BTreeSet::new();
    let mut reader = Reader::new(update, text, old);
    while !reader.peek().is_empty() {
        let clause = reader.next();
        loop {
            let path = reader.path();
            assert!(seen.insert(path.clone()), "two changes of {path} in {text:?}");
            assert!(path != "pk" && path != "sk", "a key attribute is changed");
            match clause.as_str() {
                "SET" => {
                    reader.expect("=");
                    let mut value = reader.operand().expect("SET of an absent attribute");
                    if reader.eat("+") {
                        let (Attr::N(left), Some(Attr::N(right))) = (value, reader.operand())
                        else {
                            panic!("sum of what is no number in {text:?}");
                        };
                        value = Attr::N(left + right);
                    }
                    new.insert(path, value);
                }
                "ADD" => {
                    let Some(Attr::N(more)) = reader.operand() else { panic!("ADD no number") };
                    let before = match new.get(&path) {
                        None => 0,
                        Some(Attr::N(before)) => *before,
                        Some(Attr::S(_)) => panic!("ADD to a text"),
                    };
                    new.insert(path, Attr::N(before + more));
                }
                "REMOVE" => drop(new.remove(&path)),
                _ => panic!("unknown clause {clause} in {text:?}"),
            }
            if !reader.eat(",") {
                break;
            }
        }
    }
    new
}

/// An owner for tests.
pub fn owner() -> Owner {
    Owner::new("acme", "user:u1".parse().unwrap())
}
