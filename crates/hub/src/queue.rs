//! A queue that costs nothing while empty, nothing more for one item, and one
//! allocation of a `VecDeque` beyond that. Most outboxes hold no item or one.

use std::{collections::VecDeque, mem};

#[derive(Debug)]
pub(crate) enum Queue<T> {
    Empty,
    One(T),
    /// Holds an item at least; given back when it is drained.
    #[expect(clippy::box_collection, reason = "the box keeps an idle member small")]
    Many(Box<VecDeque<T>>),
}

// === impl Queue ===

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(items) => items.len(),
        }
    }

    pub(crate) fn front(&self) -> Option<&T> {
        match self {
            Self::Empty => None,
            Self::One(item) => Some(item),
            Self::Many(items) => items.front(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match self {
            Self::One(item) if index == 0 => Some(item),
            Self::Empty | Self::One(_) => None,
            Self::Many(items) => items.get(index),
        }
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        match self {
            Self::One(item) if index == 0 => Some(item),
            Self::Empty | Self::One(_) => None,
            Self::Many(items) => items.get_mut(index),
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let (front, back) = match self {
            Self::Empty => (&[][..], &[][..]),
            Self::One(item) => (std::slice::from_ref(item), &[][..]),
            Self::Many(items) => items.as_slices(),
        };
        front.iter().chain(back)
    }

    /// Puts an item at `index`, before what is there and behind it; cheap near
    /// either end.
    ///
    /// # Panics
    /// If that is beyond the end.
    pub(crate) fn insert(&mut self, index: usize, item: T) {
        match self {
            Self::Empty => *self = Self::One(item),
            Self::Many(items) => items.insert(index, item),
            Self::One(_) => {
                let Self::One(first) = mem::replace(self, Self::Empty) else {
                    unreachable!("matched above")
                };
                let mut items = VecDeque::with_capacity(4);
                items.push_back(first);
                items.insert(index, item);
                *self = Self::Many(Box::new(items));
            }
        }
    }

    /// Removes the item at `index`; cheap near either end.
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        if let Self::Many(items) = self {
            let item = items.remove(index);
            if items.is_empty() {
                *self = Self::Empty;
            }
            return item;
        }
        match mem::replace(self, Self::Empty) {
            Self::One(item) if index == 0 => Some(item),
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_leave_in_order_and_a_drained_queue_holds_nothing() {
        let mut queue = Queue::Empty;
        for item in 1..5 {
            queue.insert(item - 1, item);
        }
        queue.insert(0, 0);
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        for item in 0..5 {
            assert_eq!(
                (queue.front().copied(), queue.remove(0)),
                (Some(item), Some(item))
            );
        }
        assert!(matches!(queue, Queue::Empty));
    }

    #[test]
    fn one_item_is_kept_in_place() {
        let mut queue = Queue::Empty;
        queue.insert(0, 'a');
        assert!(matches!(queue, Queue::One('a')));
        assert_eq!((queue.get(0), queue.get(1)), (Some(&'a'), None));
        assert_eq!(queue.remove(1), None);
        assert_eq!((queue.remove(0), queue.len()), (Some('a'), 0));
    }
}
