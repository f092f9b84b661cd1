//! The book of what runs: one node per scope, one entry per task and node.
//!
//! A task is entered in its scope and in all scopes above, so that draining a
//! scope waits for its whole subtree. An entry ends when its guard is dropped,
//! however the task ends.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// What a task or thread is called, in logs and in
/// [`DrainOutcome`](crate::DrainOutcome).
pub type TaskName = Cow<'static, str>;

/// Proof that a task runs: its scope's drain waits until this is dropped.
///
/// Dropped by a panic, it logs the name and, unless the scope contains panics,
/// cancels the root.
#[must_use = "the entry ends when this is dropped"]
pub struct Tracked {
    node: Arc<Node>,
    name: TaskName,
    _entries: Entry,
}

/// One scope of the tree.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) token: CancellationToken,
    pub(crate) tracker: TaskTracker,
    parent: Option<Arc<Node>>,
    contains_panics: bool,
    /// How many tasks of each name run here and below. A lock, because tasks of
    /// any thread end at any time; held for one map operation.
    running: Mutex<BTreeMap<TaskName, usize>>,
    /// The first task whose panic brought the tree down; set on the root only.
    panicked: OnceLock<TaskName>,
}

/// One line in the book of `node`, and those of the scopes above.
struct Entry {
    node: Arc<Node>,
    name: TaskName,
    _token: TaskTrackerToken,
    _above: Option<Box<Entry>>,
}

// === impl Node ===

impl Node {
    pub(crate) fn root() -> Arc<Self> {
        Arc::new(Self::new("root", CancellationToken::new(), None, false))
    }

    pub(crate) fn child(self: &Arc<Self>, name: &'static str, contains_panics: bool) -> Arc<Self> {
        let contains_panics = contains_panics || self.contains_panics;
        Arc::new(Self::new(
            name,
            self.token.child_token(),
            Some(Arc::clone(self)),
            contains_panics,
        ))
    }

    fn new(
        name: &'static str,
        token: CancellationToken,
        parent: Option<Arc<Self>>,
        contains_panics: bool,
    ) -> Self {
        let running = Mutex::default();
        let (tracker, panicked) = (TaskTracker::new(), OnceLock::new());
        Self {
            name,
            token,
            tracker,
            parent,
            contains_panics,
            running,
            panicked,
        }
    }

    pub(crate) fn track(self: &Arc<Self>, name: TaskName) -> Tracked {
        Tracked {
            node: Arc::clone(self),
            name: name.clone(),
            _entries: Entry::new(self, name),
        }
    }

    /// The names of what runs in this scope and below, each once.
    pub(crate) fn running(&self) -> Vec<TaskName> {
        self.lock().keys().cloned().collect()
    }

    pub(crate) fn panicked(&self) -> Option<&TaskName> {
        self.top().panicked.get()
    }

    fn top(&self) -> &Self {
        let mut node = self;
        while let Some(parent) = &node.parent {
            node = parent;
        }
        node
    }

    fn on_panic(&self, task: &TaskName) {
        tracing::error!(scope = self.name, %task, contained = self.contains_panics, "task panicked");
        if !self.contains_panics {
            let top = self.top();
            // Only the first panic is the cause; later ones may be its effects.
            let _ = top.panicked.set(task.clone());
            top.token.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskName, usize>> {
        // Counts stay right whatever panicked meanwhile.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl Entry {
    fn new(node: &Arc<Node>, name: TaskName) -> Self {
        *node.lock().entry(name.clone()).or_default() += 1;
        let above = node
            .parent
            .as_ref()
            .map(|parent| Box::new(Self::new(parent, name.clone())));
        Self {
            node: Arc::clone(node),
            name,
            _token: node.tracker.token(),
            _above: above,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut running = self.node.lock();
        if let Some(count) = running.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.name);
            }
        }
    }
}

// === impl Tracked ===

impl Drop for Tracked {
    fn drop(&mut self) {
        if thread::panicking() {
            self.node.on_panic(&self.name);
        }
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked")
            .field("scope", &self.node.name)
            .field("name", &self.name)
            .finish()
    }
}
