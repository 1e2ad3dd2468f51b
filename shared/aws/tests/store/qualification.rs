//! What a store must be before it is trusted with money (money.md 8.7). A store that fails one
//! of these is not used for a money test.

use farebox_aws::Aws;
use farebox_aws::expression::{self, Store};
use farebox_ledger::{Answer, Attr, Item, Key, Table, Transaction, Update, Verdict, Write};
use futures_util::stream::{self, StreamExt};

use crate::deployment;

/// Requests under way at once. An emulator that answers one at a time must answer the last of
/// them within the three seconds of a patient request.
const AT_ONCE: usize = 100;

struct Bench {
    aws: Aws,
}

impl Bench {
    async fn new() -> Self {
        Self { aws: deployment::empty().await }
    }

    /// An item of this run and this test.
    fn key(&self, name: &str) -> Key {
        let pk = format!("Q#{}#{name}", deployment::unique(&self.aws));
        Key { table: Table::Ledger, pk, sk: "0".to_owned() }
    }

    async fn put(&self, name: &str, numbers: &[(&str, i128)]) -> Key {
        let key = self.key(name);
        let mut item = key.item();
        for (name, number) in numbers {
            item.insert((*name).to_owned(), Attr::N(*number));
        }
        let put = change(&key, Write::Put(item), "", &[]);
        assert_eq!(self.write(&put).await, Answer::Applied);
        key
    }

    async fn write(&self, update: &Update) -> Answer {
        Store::patient(&self.aws).write(update).await.answer
    }

    async fn number(&self, key: &Key, name: &str) -> Option<i128> {
        let found = Store::patient(&self.aws).fetch(key).await.unwrap();
        match expression::item(found?).remove(name) {
            Some(Attr::N(number)) => Some(number),
            _ => None,
        }
    }
}

fn change(key: &Key, write: Write, condition: &str, values: &[(&str, i128)]) -> Update {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), Attr::N(*value)));
    Update {
        key: key.clone(),
        write,
        condition: condition.to_owned(),
        names: Vec::new(),
        values: values.collect(),
    }
}

fn update(key: &Key, text: &str, condition: &str, values: &[(&str, i128)]) -> Update {
    change(key, Write::Update(text.to_owned()), condition, values)
}

/// The old item of a write whose condition failed.
fn refused(answer: Answer) -> Item {
    let Answer::ConditionFailed(Some(old)) = answer else { panic!("{answer:?}") };
    old
}

#[tokio::test]
async fn a_thousand_conditional_additions_lose_none() {
    let bench = Bench::new().await;
    let key = bench.put("storm", &[("n", 0)]).await;
    let add = update(&key, "ADD n :one", "n < :most", &[(":one", 1), (":most", 700)]);

    let answers: Vec<_> =
        stream::iter(0..1_000).map(|_| bench.write(&add)).buffer_unordered(AT_ONCE).collect().await;

    let applied = answers.iter().filter(|answer| **answer == Answer::Applied).count();
    assert_eq!(applied, 700);
    assert_eq!(bench.number(&key, "n").await, Some(700));
    for answer in answers.into_iter().filter(|answer| *answer != Answer::Applied) {
        assert_eq!(refused(answer).get("n"), Some(&Attr::N(700)));
    }
}

#[tokio::test]
async fn a_failed_condition_gives_the_whole_old_item_and_changes_nothing() {
    let bench = Bench::new().await;
    let key = bench.put("old", &[("a", 3), ("b", 5)]).await;

    let answer = bench.write(&update(&key, "SET a = :x", "a > :x", &[(":x", 4)])).await;

    let mut whole = key.item();
    whole.extend([("a".to_owned(), Attr::N(3)), ("b".to_owned(), Attr::N(5))]);
    assert_eq!(refused(answer), whole);
    assert_eq!(bench.number(&key, "a").await, Some(3));
    let absent = bench.key("absent");
    let answer = bench.write(&update(&absent, "SET a = :x", "a = :x", &[(":x", 4)])).await;
    assert_eq!(answer, Answer::ConditionFailed(None));
}

/// Transactions carry ones from `a` to `b` while plain writes add ones to `a`: nothing may be
/// lost or made, and no transaction may do one half.
#[tokio::test]
async fn transactions_and_plain_writes_do_not_disturb_each_other() {
    const EACH: usize = 150;
    let bench = Bench::new().await;
    let (a, b) = (bench.put("a", &[("n", 20)]).await, bench.put("b", &[("n", 0)]).await);
    let carry = Transaction {
        actions: vec![
            update(&a, "ADD n :less", "n >= :one", &[(":less", -1), (":one", 1)]),
            update(&b, "ADD n :one", "attribute_exists(pk)", &[(":one", 1)]),
        ],
    };
    let add = update(&a, "ADD n :one", "", &[(":one", 1)]);
    let store = Store::patient(&bench.aws);

    let writes = stream::iter(0..2 * EACH).map(|turn| {
        let (store, carry, add) = (&store, &carry, &add);
        async move {
            if turn % 2 == 0 {
                ((store.transact(carry).await.answer == Answer::Applied), false)
            } else {
                (false, store.write(add).await.answer == Answer::Applied)
            }
        }
    });
    let done: Vec<(bool, bool)> = writes.buffer_unordered(AT_ONCE / 4).collect().await;

    let carried = done.iter().filter(|(carried, _)| *carried).count();
    let added = done.iter().filter(|(_, added)| *added).count();
    assert!(carried > 0 && added > 0, "{carried} {added}");
    let [carried, added] = [carried, added].map(|count| i128::try_from(count).unwrap());
    assert_eq!(bench.number(&b, "n").await, Some(carried));
    assert_eq!(bench.number(&a, "n").await, Some(20 + added - carried));
}

#[tokio::test]
async fn a_cancelled_transaction_says_which_condition_failed_and_does_nothing() {
    let bench = Bench::new().await;
    let (a, b) = (bench.put("a", &[("n", 1)]).await, bench.put("b", &[("n", 2)]).await);
    let actions = vec![
        update(&a, "ADD n :one", "n = :one", &[(":one", 1)]),
        update(&b, "ADD n :one", "n = :one", &[(":one", 1)]),
    ];

    let written = Store::patient(&bench.aws).transact(&Transaction { actions }).await;

    let Answer::Cancelled(verdicts) = written.answer else { panic!("{written:?}") };
    assert_eq!(verdicts[0], Verdict::Passed);
    let Verdict::ConditionFailed(Some(old)) = &verdicts[1] else { panic!("{verdicts:?}") };
    assert_eq!(old.get("n"), Some(&Attr::N(2)));
    assert_eq!(bench.number(&a, "n").await, Some(1));
}

#[tokio::test]
async fn additions_may_be_negative_and_make_what_is_absent() {
    let bench = Bench::new().await;
    let key = bench.put("negative", &[("a", 3)]).await;
    let text = "ADD a :less, b :less";

    assert_eq!(bench.write(&update(&key, text, "", &[(":less", -5)])).await, Answer::Applied);

    assert_eq!(bench.number(&key, "a").await, Some(-2));
    assert_eq!(bench.number(&key, "b").await, Some(-5));
}

/// An amount has at most 28 digits (`Money` holds up to 10²⁷ pUSD). DynamoDB keeps 38; an
/// emulator that keeps 28 is enough for the ledger.
#[tokio::test]
async fn the_largest_amounts_are_kept_to_the_last_digit() {
    const MOST: i128 = 10_i128.pow(27);
    let bench = Bench::new().await;
    let key = bench.put("digits", &[("a", MOST - 2)]).await;
    let add = update(&key, "ADD a :one", "a < :most", &[(":one", 1), (":most", MOST)]);

    assert_eq!(bench.write(&add).await, Answer::Applied);
    assert_eq!(bench.write(&add).await, Answer::Applied);
    assert_eq!(refused(bench.write(&add).await).get("a"), Some(&Attr::N(MOST)));
    let less = update(&key, "ADD a :less", "", &[(":less", 1 - 2 * MOST)]);
    assert_eq!(bench.write(&less).await, Answer::Applied);
    assert_eq!(bench.number(&key, "a").await, Some(1 - MOST));
}

/// That two absent attributes are not equal is not asked: no write of the ledger compares two
/// attributes that may be absent, and one emulator differs.
#[tokio::test]
async fn two_attributes_are_compared_and_an_absent_one_never_passes() {
    let bench = Bench::new().await;
    let key = bench.put("paths", &[("a", 9), ("b", 10)]).await;
    for (condition, passes) in [
        ("a < b", true),
        ("a = b", false),
        ("a <= c", false),
        ("c <= a", false),
        ("attribute_not_exists(c) OR c <= a", true),
        ("attribute_not_exists(a) OR a > b", false),
    ] {
        let answer = bench.write(&update(&key, "SET t = :x", condition, &[(":x", 1)])).await;

        assert_eq!(answer == Answer::Applied, passes, "{condition}: {answer:?}");
    }
}

#[tokio::test]
async fn an_update_reads_the_old_item_throughout() {
    let bench = Bench::new().await;
    let key = bench.put("throughout", &[("a", 1), ("b", 2), ("c", 3)]).await;
    let text = "SET d = a + :x, a = b REMOVE b ADD c :x";

    let answer = bench.write(&update(&key, text, "b = :two", &[(":x", 10), (":two", 2)])).await;

    assert_eq!(answer, Answer::Applied);
    for (name, number) in [("a", Some(2)), ("b", None), ("c", Some(13)), ("d", Some(11))] {
        assert_eq!(bench.number(&key, name).await, number, "{name}");
    }
}
