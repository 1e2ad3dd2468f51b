//! A bounded cache by the wall clock, with one load at a time for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use farebox_core::Timestamp;

/// Values by key. A frozen process thaws with the age that the wall clock says.
pub struct Cache<K, V> {
    capacity: usize,
    slots: Mutex<HashMap<K, Used<V>>>,
}

struct Used<V> {
    at: Timestamp,
    slot: Arc<Slot<V>>,
}

/// Locked while a value is loaded, so that others wait for that load instead of their own.
type Slot<V> = tokio::sync::Mutex<Option<(V, Timestamp)>>;

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache of at most so many values.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, slots: Mutex::new(HashMap::new()) }
    }

    /// The cached value where `is_fresh` accepts it and its age in ms, else a loaded one. A load
    /// that fails with an error that `may_serve_stale` accepts (it gets the old value's age)
    /// gives the old value.
    ///
    /// # Errors
    /// The load's, where no old value stands in for it.
    pub async fn value<E>(
        &self,
        key: &K,
        now: impl Fn() -> Timestamp,
        is_fresh: impl Fn(&V, i64) -> bool,
        may_serve_stale: impl Fn(&E, i64) -> bool,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let slot = self.slot(key, now());
        let mut slot = slot.lock().await;
        if let Some((value, since)) = slot.as_ref() {
            let age_ms = now().since(*since);
            // A clock that went back says nothing about the age.
            if age_ms >= 0 && is_fresh(value, age_ms) {
                return Ok(value.clone());
            }
        }
        let asked_at = now();
        match load.await {
            Ok(value) => {
                *slot = Some((value.clone(), asked_at));
                Ok(value)
            }
            Err(error) => match slot.as_ref() {
                Some((value, since)) if may_serve_stale(&error, now().since(*since)) => {
                    Ok(value.clone())
                }
                _ => Err(error),
            },
        }
    }

    fn slot(&self, key: &K, now: Timestamp) -> Arc<Slot<V>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(key) && slots.len() >= self.capacity {
            let oldest = slots.iter().min_by_key(|(_, used)| used.at).map(|(key, _)| key.clone());
            oldest.map(|oldest| slots.remove(&oldest));
        }
        let new = || Used { at: now, slot: Arc::default() };
        let used = slots.entry(key.clone()).or_insert_with(new);
        used.at = now;
        Arc::clone(&used.slot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const fn at(ms: i64) -> impl Fn() -> Timestamp {
        move || Timestamp::from_ms(ms)
    }

    async fn read(cache: &Cache<u8, u32>, key: u8, ms: i64, next: Result<u32, ()>) -> Option<u32> {
        let young = |_: &u32, age_ms| age_ms < 100;
        let stale = |_: &(), age_ms| age_ms < 200;
        cache.value(&key, at(ms), young, stale, async { next }).await.ok()
    }

    #[tokio::test]
    async fn a_value_is_loaded_again_when_it_is_old() {
        let cache = Cache::new(4);

        assert_eq!(read(&cache, 1, 0, Ok(7)).await, Some(7));
        assert_eq!(read(&cache, 1, 99, Ok(8)).await, Some(7));
        assert_eq!(read(&cache, 1, 100, Ok(8)).await, Some(8));
        assert_eq!(read(&cache, 1, 50, Ok(9)).await, Some(9), "the clock went back");
    }

    #[tokio::test]
    async fn an_old_value_outlives_a_failed_load_for_a_while() {
        let cache = Cache::new(4);
        read(&cache, 1, 0, Ok(7)).await;

        assert_eq!(read(&cache, 1, 150, Err(())).await, Some(7));
        assert_eq!(read(&cache, 1, 200, Err(())).await, None);
    }

    #[tokio::test]
    async fn the_least_recently_used_value_makes_room() {
        let cache = Cache::new(2);
        for (key, ms) in [(1, 0), (2, 1), (1, 2), (3, 3)] {
            read(&cache, key, ms, Ok(u32::from(key))).await;
        }

        assert_eq!(read(&cache, 1, 4, Err(())).await, Some(1));
        assert_eq!(read(&cache, 2, 4, Err(())).await, None);
        assert_eq!(cache.slots.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_load() {
        let (cache, loads) = (Cache::new(2), AtomicU32::new(0));
        let load = async || {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<u32, ()>(7)
        };
        let one = || cache.value(&1u8, at(0), |_, age_ms| age_ms < 100, |_, _| false, load());

        let all = futures_util::future::join_all((0..8).map(|_| one())).await;

        assert!(all.into_iter().all(|value| value == Ok(7)));
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }
}
