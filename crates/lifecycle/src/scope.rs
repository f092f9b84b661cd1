//! Scopes: who owns which tasks and threads, and how they end.
//!
//! Cancelling a scope cancels everything below it; draining waits for it.

use std::{fmt, future::Future, io, sync::Arc, thread, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tracing::Instrument;

use crate::tracked::{Node, TaskName, Tracked};

/// A handle to one node of the cancellation tree; cheap to clone.
///
/// A panic of a task or thread is logged and cancels the root, so that the
/// process ends in order instead of living on without a part. Work done for a
/// single client belongs in a [`contained_child`](Self::contained_child),
/// where a panic ends only itself.
#[derive(Clone)]
pub struct Scope(Arc<Node>);

/// How a drain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum DrainOutcome {
    /// Every task and thread ended.
    Finished,
    /// The deadline passed first.
    Abandoned {
        /// What still ran: each name once, sorted.
        names: Vec<TaskName>,
    },
}

// === impl Scope ===

impl Scope {
    /// Makes the root of a new tree: one in a process, one in a test.
    pub fn root() -> Self {
        Self(Node::root())
    }

    /// Makes a scope that ends with this one, or earlier.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        Self(self.0.child(name, false))
    }

    /// Like [`child`](Self::child), but panics in it and below end only the task
    /// that panicked.
    #[must_use]
    pub fn contained_child(&self, name: &'static str) -> Self {
        Self(self.0.child(name, true))
    }

    /// Starts a task on the current runtime. It is not stopped by cancellation:
    /// it awaits [`cancelled`](Self::cancelled) and ends in its own order.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts tasks: named and tracked here"
    )]
    pub fn spawn<F>(&self, name: impl Into<TaskName>, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let name = name.into();
        let span = tracing::debug_span!("task", scope = self.0.name, %name);
        tokio::spawn(self.tracked(name, task).instrument(span))
    }

    /// Starts a task that is dropped at its next await when the scope is
    /// cancelled; its output is then `None`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn_cancellable<F>(
        &self,
        name: impl Into<TaskName>,
        task: F,
    ) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.spawn(name, self.0.token.clone().run_until_cancelled_owned(task))
    }

    /// Starts an OS thread of this name. Like a task of [`spawn`](Self::spawn)
    /// it ends by itself, for which it takes a clone of the scope.
    ///
    /// # Errors
    /// If the system refuses another thread.
    pub fn spawn_thread<T, F>(
        &self,
        name: impl Into<TaskName>,
        body: F,
    ) -> io::Result<thread::JoinHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let name = name.into();
        let span = tracing::debug_span!("thread", scope = self.0.name, %name);
        let tracked = self.track(name.clone());
        thread::Builder::new()
            .name(name.into_owned())
            .spawn(move || {
                let _tracked = tracked;
                span.in_scope(body)
            })
    }

    /// Enters into the book what another executor runs, such as the local
    /// tasks of a shard: keep the entry inside of the future.
    pub fn track(&self, name: impl Into<TaskName>) -> Tracked {
        self.0.track(name.into())
    }

    /// Asks everything in this scope and below to end. Does not wait.
    pub fn cancel(&self) {
        self.0.token.cancel();
    }

    /// Resolves once this scope, or one above, is cancelled. Cancel-safe.
    pub async fn cancelled(&self) {
        self.0.token.cancelled().await;
    }

    /// Whether this scope, or one above, is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// The first task whose panic cancelled the root, if that is what happened:
    /// the process then ends with a failure code.
    pub fn panicked(&self) -> Option<&TaskName> {
        self.0.panicked()
    }

    /// Cancels this scope and waits for everything in it and below, at most for
    /// `deadline`. Not to be awaited by a task of the scope itself.
    pub async fn drain(&self, deadline: Duration) -> DrainOutcome {
        self.cancel();
        self.0.tracker.close();
        match timeout(deadline, self.0.tracker.wait()).await {
            Ok(()) => DrainOutcome::Finished,
            Err(_) => DrainOutcome::Abandoned {
                names: self.0.running(),
            },
        }
    }

    fn tracked<F: Future>(
        &self,
        name: TaskName,
        task: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        // Entered now and not at the first poll, so that a drain right after a
        // spawn waits for it.
        let tracked = self.track(name);
        async move {
            let _tracked = tracked;
            task.await
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.0.name)
            .field("running", &self.0.running())
            .finish()
    }
}

#[cfg(test)]
mod tests;
