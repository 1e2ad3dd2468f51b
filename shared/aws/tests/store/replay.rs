//! Random histories of the ledger's writes, done again on the store.
//!
//! The ledger's properties are found on an interpreter of its expressions. Here everything that
//! the interpreter was asked is asked of the store in the same order: each answer must be the
//! same, old items included, and so must every item at the end.

use farebox_aws::Aws;
use farebox_aws::expression::{self, Store};
use farebox_ledger::{Answer, Attr, Item, Key, Transaction, Update, Verdict, Write};

use crate::deployment;
use crate::support::Request;
use crate::world::World;

/// Histories in a usual run; `FAREBOX_REPLAYS` asks for more.
const HISTORIES: u64 = 40;
const STEPS: u32 = 120;
/// Of a request that the store had no capacity for.
const TRIES: u32 = 20;

#[tokio::test]
async fn the_store_answers_every_write_as_the_interpreter_does() {
    let aws = deployment::empty().await;
    let (mut writes, mut refusals) = (0, 0);
    for seed in 1..=histories() {
        let place =
            Place { aws: aws.clone(), name: format!("{}-{seed}", deployment::unique(&aws)) };
        let mut world = world(seed);
        world.store.journal = Some(Vec::new());
        for item in world.store.items.clone() {
            place.put(item).await;
        }
        let mut bytes = Bytes::seeded(seed);
        for _ in 0..STEPS {
            world.step(bytes.next(), bytes.next(), bytes.next());
        }
        let mut end = world.rest(true);

        for (request, expected) in end.journal.take().unwrap() {
            let answer = place.perform(&request).await;
            assert_eq!(answer, place.seen(expected), "seed {seed}: {request:?}");
            writes += 1;
            refusals += u32::from(answer != Answer::Applied);
        }
        for (key, item) in end.items {
            let found = place.get(&key).await;
            assert_eq!(found, Some(place.item(item)), "seed {seed}: {key:?}");
        }
    }
    println!("{} histories, {writes} writes, {refusals} of them refused", histories());
    assert!(refusals > 0 && writes > refusals, "the histories show nothing");
}

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn histories() -> u64 {
    let asked = std::env::var("FAREBOX_REPLAYS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(HISTORIES)
}

fn world(seed: u64) -> World {
    let mut bytes = Bytes::seeded(!seed);
    let limits = [(); 3].map(|()| {
        let limit = bytes.next();
        limit.is_multiple_of(2).then(|| i128::from(limit))
    });
    World::new(limits, seed.is_multiple_of(2))
}

/// Bytes by a xorshift of 64 bits.
struct Bytes(u64);

impl Bytes {
    /// Near seeds are spread far apart.
    fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[3]
    }
}

/// Where one history's items are in the store: before its keys stands a name.
struct Place {
    aws: Aws,
    name: String,
}

impl Place {
    async fn put(&self, (key, item): (Key, Item)) {
        let put = Update {
            key: self.key(&key),
            write: Write::Put(self.item(item)),
            condition: String::new(),
            names: Vec::new(),
            values: Vec::new(),
        };
        assert_eq!(Store::patient(&self.aws).write(&put).await.answer, Answer::Applied);
    }

    async fn get(&self, key: &Key) -> Option<Item> {
        let found = Store::patient(&self.aws).fetch(&self.key(key)).await.unwrap();
        found.map(expression::item)
    }

    async fn perform(&self, request: &Request) -> Answer {
        for _ in 0..TRIES {
            let answer = self.perform_once(request).await;
            if answer != Answer::Throttled {
                return answer;
            }
        }
        panic!("throttled {TRIES} times: {request:?}");
    }

    async fn perform_once(&self, request: &Request) -> Answer {
        let store = Store::patient(&self.aws);
        match request {
            Request::One(update) => store.write(&self.update(update)).await.answer,
            Request::Many(transaction) => {
                let actions = transaction.actions.iter().map(|action| self.update(action));
                let transaction = Transaction { actions: actions.collect() };
                store.transact(&transaction).await.answer
            }
        }
    }

    /// What the store is expected to answer. A transaction of one action is a plain write there.
    fn seen(&self, answer: Answer) -> Answer {
        match answer {
            Answer::ConditionFailed(old) => {
                Answer::ConditionFailed(old.map(|item| self.item(item)))
            }
            Answer::Cancelled(verdicts) => {
                let mut verdicts: Vec<_> = verdicts
                    .into_iter()
                    .map(|verdict| match verdict {
                        Verdict::ConditionFailed(old) => {
                            Verdict::ConditionFailed(old.map(|item| self.item(item)))
                        }
                        verdict => verdict,
                    })
                    .collect();
                match verdicts.as_mut_slice() {
                    [Verdict::ConditionFailed(old)] => Answer::ConditionFailed(old.take()),
                    _ => Answer::Cancelled(verdicts),
                }
            }
            answer => answer,
        }
    }

    fn update(&self, update: &Update) -> Update {
        let write = match &update.write {
            Write::Put(item) => Write::Put(self.item(item.clone())),
            write => write.clone(),
        };
        Update { key: self.key(&update.key), write, ..update.clone() }
    }

    fn key(&self, key: &Key) -> Key {
        Key { pk: self.pk(&key.pk), ..key.clone() }
    }

    fn item(&self, mut item: Item) -> Item {
        if let Some(Attr::S(pk)) = item.get_mut("pk") {
            *pk = self.pk(pk);
        }
        item
    }

    fn pk(&self, pk: &str) -> String {
        format!("{}/{pk}", self.name)
    }
}
