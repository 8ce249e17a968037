//! The locks and atomics of the domain: the standard library's, or loom's when the models of
//! `tests/models.rs` explore every interleaving (`--cfg bugle_loom`).

#[cfg(bugle_loom)]
pub use loom::sync::{Arc, Mutex, MutexGuard, atomic};
#[cfg(not(bugle_loom))]
pub use std::sync::{Arc, Mutex, MutexGuard, atomic};

use std::sync::PoisonError;

/// Locks, whatever became of the thread that held the lock before: every critical section of the
/// domain leaves its data whole at each step, so a panic elsewhere must not spread.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
