//! Notification of complete flushes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Wakes one task after the next complete flush.
#[derive(Debug, Default)]
pub(super) struct Flush {
    is_awaited: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flush {
    /// Begins to wait for the next complete flush.
    pub(super) fn begin(&self) {
        self.is_awaited.store(true, Ordering::Release);
    }

    /// Ready after the flush that [`begin`](Self::begin) waits for.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.replace(Some(cx.waker().clone()));
        if self.is_awaited.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Records a complete flush.
    pub(super) fn done(&self) {
        if self.is_awaited.swap(false, Ordering::AcqRel)
            && let Some(waker) = self.replace(None)
        {
            waker.wake();
        }
    }

    fn replace(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.waker.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }
}
