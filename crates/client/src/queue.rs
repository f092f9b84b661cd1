//! A bounded queue from the connection's task to one reader. The task never
//! waits for a reader: what does not fit makes room at the old end, and the
//! reader is told in that place.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

/// What a reader queue holds.
pub(crate) trait Item: Sized {
    /// What it counts against the byte limit; `None`: it is small and must not be
    /// dropped.
    fn droppable_bytes(&self) -> Option<usize>;

    /// Stands for `dropped`, which was right before whatever comes next.
    fn in_place_of(dropped: Self) -> Option<Self>;

    /// Takes in the next item if one can say what both do.
    fn absorb(&mut self, next: Self) -> Result<(), Self>;
}

/// The queue, shared by the connection's task and one reader.
///
/// Bounded in items and in bytes; the policy is drop-oldest. Items that must not
/// be dropped (reports of gaps, of reconnects, of the end) are not counted; equal
/// ones are joined, so there is one for each gap or reconnect at most.
pub(crate) struct Queue<T> {
    limits: Limits,
    // A lock because the reader may live on any thread. Held for a push or a pop
    // only, never across an await or a wake-up.
    inner: Mutex<Inner<T>>,
}

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

struct Inner<T> {
    items: VecDeque<T>,
    /// Droppable ones and their bytes.
    count: usize,
    bytes: usize,
    reader: Option<Waker>,
    /// Nothing more will be pushed.
    ended: bool,
    /// Nobody will read.
    abandoned: bool,
}

// === impl Queue ===

impl<T: Item> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        let inner = Inner {
            items: VecDeque::new(),
            count: 0,
            bytes: 0,
            reader: None,
            ended: false,
            abandoned: false,
        };
        Self {
            limits,
            inner: Mutex::new(inner),
        }
    }

    /// Appends `item`, at the cost of the oldest if need be.
    pub(crate) fn push(&self, item: T) {
        let reader = {
            let mut inner = self.lock();
            if inner.ended || inner.abandoned {
                return;
            }
            inner.append(item);
            while inner.count > self.limits.items
                || (inner.bytes > self.limits.bytes && inner.count > 1)
            {
                inner.drop_oldest();
            }
            inner.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) {
        let reader = {
            let mut inner = self.lock();
            inner.ended = true;
            inner.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Says that nobody reads any more.
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        inner.abandoned = true;
        inner.items = VecDeque::new();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The oldest item; `None` at the end.
    pub(crate) fn poll_next(&self, ctx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.lock();
        match inner.items.pop_front() {
            Some(item) => {
                inner.uncount(&item);
                Poll::Ready(Some(item))
            }
            None if inner.ended => Poll::Ready(None),
            None => {
                inner.reader = Some(ctx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().expect("nothing panics under this lock")
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl<T: Item> Inner<T> {
    fn append(&mut self, item: T) {
        if let Some(bytes) = item.droppable_bytes() {
            self.count += 1;
            self.bytes += bytes;
            return self.items.push_back(item);
        }
        let rest = match self.items.back_mut() {
            Some(last) => last.absorb(item),
            None => Err(item),
        };
        self.items.extend(rest.err());
    }

    fn uncount(&mut self, item: &T) {
        if let Some(bytes) = item.droppable_bytes() {
            self.count -= 1;
            self.bytes -= bytes;
        }
    }

    /// Near the front: what stands before the oldest droppable item are reports.
    fn drop_oldest(&mut self) {
        let oldest = self
            .items
            .iter()
            .position(|item| item.droppable_bytes().is_some())
            .expect("only called while one is counted");
        let dropped = self.items.remove(oldest).expect("just found");
        self.uncount(&dropped);
        let Some(report) = T::in_place_of(dropped) else {
            return;
        };
        let before = oldest.checked_sub(1).map(|index| &mut self.items[index]);
        let rest = match before {
            Some(before) => before.absorb(report),
            None => Err(report),
        };
        if let Err(report) = rest {
            self.items.insert(oldest, report);
        }
    }
}
