//! Named tasks, the cancellation tree, signals and deadlines.
