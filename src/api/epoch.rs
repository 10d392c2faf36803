//! A value that calls hold while they last, and that is replaced at a moment when none does.

use std::{
    convert::Infallible,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use tokio::sync::{Mutex, MutexGuard, oneshot, watch};

/// Holds the value that is current. Who takes it waits for nobody, unless it is about to be replaced.
pub struct Epochs<T> {
    /// None while nobody may have it.
    current: watch::Sender<Option<Arc<Epoch<T>>>>,
    last: Mutex<Last<T>>,
}

/// The value for as long as it was current.
pub struct Epoch<T> {
    value: T,
    /// Its receiver is told when nobody holds the epoch.
    _held: oneshot::Sender<Infallible>,
}

struct Last<T> {
    value: T,
    /// One of each epoch that may still be held: more than one if a pause was given up.
    held: Vec<oneshot::Receiver<Infallible>>,
}

/// Nobody has the value meanwhile but who paused. Dropped, it begins an epoch.
pub struct Pause<'a, T: Clone> {
    current: &'a watch::Sender<Option<Arc<Epoch<T>>>>,
    last: MutexGuard<'a, Last<T>>,
}

impl<T: Clone> Epochs<T> {
    /// Begins with `value`.
    pub fn new(value: T) -> Self {
        let mut last = Last { value, held: Vec::new() };
        Self { current: watch::Sender::new(Some(last.begin())), last: Mutex::new(last) }
    }

    /// The value, which will not be replaced before this is dropped.
    pub async fn hold(&self) -> Arc<Epoch<T>> {
        loop {
            if let Some(epoch) = &*self.current.borrow() {
                return epoch.clone();
            }
            // Its sender is here.
            let _ = self.current.subscribe().wait_for(Option::is_some).await;
        }
    }

    /// Hands out the value to nobody from now on, and returns when it was given back by all.
    pub async fn pause(&self) -> Pause<'_, T> {
        let mut pause = Pause { current: &self.current, last: self.last.lock().await };
        self.current.send_replace(None);
        while let Some(held) = pause.last.held.last_mut() {
            // Nothing is ever sent.
            let _ = held.await;
            pause.last.held.pop();
        }
        pause
    }
}

impl<T: Clone> Last<T> {
    fn begin(&mut self) -> Arc<Epoch<T>> {
        let (sender, receiver) = oneshot::channel();
        self.held.push(receiver);
        Arc::new(Epoch { value: self.value.clone(), _held: sender })
    }
}

impl<T> Deref for Epoch<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Clone> Deref for Pause<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.last.value
    }
}

impl<T: Clone> DerefMut for Pause<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.last.value
    }
}

impl<T: Clone> Drop for Pause<'_, T> {
    fn drop(&mut self) {
        self.current.send_replace(Some(self.last.begin()));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_pause_that_is_given_up_leaves_all_as_it_was_and_the_next_one_waits_for_all() {
        let epochs = Epochs::new(1);
        let first = epochs.hold().await;
        assert!(epochs.pause().now_or_never().is_none());
        let second = epochs.hold().now_or_never().unwrap();
        assert_eq!((**first, **second), (1, 1));
        let mut pause = pin!(epochs.pause());
        for held in [second, first] {
            assert!(pause.as_mut().now_or_never().is_none());
            assert!(epochs.hold().now_or_never().is_none());
            drop(held);
        }
        let mut newcomer = pin!(epochs.hold());
        let mut pause = pause.await;
        assert!(newcomer.as_mut().now_or_never().is_none());
        *pause = 2;
        drop(pause);
        assert_eq!(**newcomer.await, 2);
    }
}
