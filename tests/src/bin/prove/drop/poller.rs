//! Polls the futures of one call, counts their awaits, and drops all of them at one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;

/// A part of a call: gone when it is over, or when its process has died. Who waits for it is
/// told of both.
#[derive(Default)]
struct Part {
    future: Option<BoxFuture<'static, ()>>,
    waker: Option<Waker>,
}

type Slot = Arc<Mutex<Part>>;

/// Counts each time that one of its futures waits. Nothing changes between two polls, so these
/// are all the moments at which a process can be found dead. Cloning shares.
#[derive(Clone, Default)]
pub struct Poller(Arc<Mutex<Polls>>);

#[derive(Default)]
struct Polls {
    slots: Vec<Slot>,
    awaits: u64,
    dies_at: Option<u64>,
    is_dead: bool,
}

/// One of the futures.
struct Watched {
    slot: Slot,
    poller: Poller,
}

impl Poller {
    /// A poller that drops everything at the await with this number, counted from 0.
    pub fn dying_at(dies_at: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(Polls { dies_at, ..Polls::default() })))
    }

    /// Adds a future.
    pub fn watch(&self, future: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        let part = Part { future: Some(future), waker: None };
        let slot = Arc::new(Mutex::new(part));
        self.polls().slots.push(Arc::clone(&slot));
        Box::pin(Watched { slot, poller: self.clone() })
    }

    /// The awaits so far, and whether the process has died at one.
    pub fn awaits(&self) -> (u64, bool) {
        let polls = self.polls();
        (polls.awaits, polls.is_dead)
    }

    /// Whether every future has ended.
    pub fn is_over(&self) -> bool {
        self.polls().slots.iter().all(|slot| locked(slot).future.is_none())
    }

    fn polls(&self) -> MutexGuard<'_, Polls> {
        locked(&self.0)
    }

    /// Counts an await; true where it is the last of this process.
    fn waits(&self) -> bool {
        let slots = {
            let mut polls = self.polls();
            let number = polls.awaits;
            polls.awaits += 1;
            if polls.dies_at != Some(number) {
                return false;
            }
            polls.is_dead = true;
            polls.slots.clone()
        };
        for slot in slots {
            let Part { future, waker } = std::mem::take(&mut *locked(&slot));
            // A drop may run code of its own, so nothing is locked meanwhile.
            drop(future);
            waker.inspect(Waker::wake_by_ref);
        }
        true
    }
}

impl Future for Watched {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut part = locked(&self.slot);
            part.waker = Some(context.waker().clone());
            let Some(future) = part.future.as_mut() else { return Poll::Ready(()) };
            if future.as_mut().poll(context).is_ready() {
                part.future = None;
                return Poll::Ready(());
            }
        }
        if self.poller.waits() { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn every_future_of_the_process_is_dropped_at_the_await() {
        let poller = Poller::dying_at(Some(2));
        let ((one, mut of_one), (two, mut of_two)) = (oneshot::channel(), oneshot::channel());
        let waits = |kept: oneshot::Sender<()>| {
            async move {
                tokio::task::yield_now().await;
                std::future::pending::<()>().await;
                drop(kept);
            }
            .boxed()
        };
        let (mut first, mut second) = (poller.watch(waits(one)), poller.watch(waits(two)));

        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert!(of_one.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        assert!((&mut first).now_or_never().is_some());

        assert!(of_one.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert!(of_two.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert!((&mut second).now_or_never().is_some());
        assert_eq!((poller.awaits(), poller.is_over()), ((3, true), true));
    }
}
