//! Signatures that are verified in parts while more of them are still coming.

use super::batch::{Shared, SignatureBatch, wrong};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Parts that wait for a free hand. Whoever gives one helps when too many wait, so that memory stays bounded and
/// nobody is idle.
pub(crate) struct Ahead<'a> {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    rng: Mutex<&'a mut (dyn CryptoRng + Send)>,
    /// Parts that may wait.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    /// Each with the place of its first signature.
    parts: VecDeque<(usize, SignatureBatch)>,
    /// Parts that are being verified.
    running: usize,
    /// Places of the signatures found wrong.
    failed: Vec<usize>,
    /// Whether a hand gave up in the middle of a part.
    abandoned: bool,
    /// Whether no part will come.
    ended: bool,
}

impl<'a> Ahead<'a> {
    /// A queue in which so many parts may wait.
    pub(crate) fn new(rng: &'a mut (dyn CryptoRng + Send), most: usize) -> Self {
        let (waiting, changed) = (Mutex::default(), Condvar::new());
        Self { waiting, changed, rng: Mutex::new(rng), most }
    }

    /// Gives a part, whose first signature has this place.
    pub(crate) fn give(&self, first: usize, part: SignatureBatch) {
        let mut waiting = self.lock();
        waiting.parts.push_back((first, part));
        self.changed.notify_one();
        if waiting.parts.len() > self.most {
            drop(self.verify_one(waiting));
        }
    }

    /// Verifies part after part, until no more will come.
    pub(crate) fn work(&self) {
        let mut waiting = self.lock();
        loop {
            if !waiting.parts.is_empty() {
                waiting = self.verify_one(waiting);
            } else if waiting.ended {
                return;
            } else {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Verifies what waits, and waits for what others verify; the places of wrong ones, in order.
    pub(crate) fn finish(&self) -> Vec<usize> {
        let mut waiting = self.lock();
        while !waiting.parts.is_empty() {
            waiting = self.verify_one(waiting);
        }
        while waiting.running > 0 {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        assert!(!waiting.abandoned, "a worker panicked while it verified signatures");
        let mut failed = std::mem::take(&mut waiting.failed);
        failed.sort_unstable();
        failed
    }

    /// Whether a signature is known to be wrong.
    pub(crate) fn faulty(&self) -> bool {
        !self.lock().failed.is_empty()
    }

    /// Says, when dropped, that no more parts will come, so that nobody waits for them.
    pub(crate) fn end_when_dropped(&self) -> impl Drop + '_ {
        struct End<'a, 'b>(&'a Ahead<'b>);
        impl Drop for End<'_, '_> {
            fn drop(&mut self) {
                self.0.lock().ended = true;
                self.0.changed.notify_all();
            }
        }
        End(self)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that may panic happens under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies the part that came first, while others may look at the queue.
    fn verify_one<'b>(&'b self, mut waiting: MutexGuard<'b, Waiting>) -> MutexGuard<'b, Waiting> {
        /// A part that is being verified; one that is dropped before it is done was abandoned.
        struct Running<'a, 'b>(&'a Ahead<'b>, bool);
        impl Drop for Running<'_, '_> {
            fn drop(&mut self) {
                let mut waiting = self.0.lock();
                waiting.running -= 1;
                waiting.abandoned |= !self.1;
                self.0.changed.notify_all();
            }
        }
        let Some((first, part)) = waiting.parts.pop_front() else { return waiting };
        waiting.running += 1;
        drop(waiting);
        let mut running = Running(self, false);
        let found = wrong(&part.0, &mut Shared(&self.rng));
        self.lock().failed.extend(found.into_iter().map(|index| first + index));
        running.1 = true;
        drop(running);
        self.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;
    use crate::registry::domain;
    use rand_core::UnwrapErr;

    /// So many signatures, of which those at `wrong` are by another key.
    fn part(count: usize, wrong: &[usize]) -> SignatureBatch {
        let [right, other] = [1, 2].map(|seed| SigningKey::from_seed(&[seed; 32]));
        let mut batch = SignatureBatch::new();
        for index in 0..count {
            let key = if wrong.contains(&index) { &other } else { &right };
            let signature = key.sign(domain::RECORD_SIGNATURE, b"message");
            let right = right.verifying_key();
            batch.queue(&right, domain::RECORD_SIGNATURE, b"message", &signature);
        }
        batch
    }

    #[test]
    fn wrong_ones_are_named_in_order_whoever_finds_them() {
        let mut rng = UnwrapErr(getrandom::SysRng);
        for hands in 0..3 {
            let ahead = Ahead::new(&mut rng, 1);
            let failed = std::thread::scope(|scope| {
                for _ in 0..hands {
                    scope.spawn(|| ahead.work());
                }
                let _end = ahead.end_when_dropped();
                for (first, wrong) in [(0, &[][..]), (10, &[9]), (20, &[0, 5]), (30, &[])] {
                    ahead.give(first, part(10, wrong));
                }
                let failed = ahead.finish();
                assert_eq!(ahead.finish(), [0; 0], "told once");
                ahead.give(0, part(3, &[1]));
                assert_eq!(ahead.finish(), [1], "counted from what was given");
                failed
            });
            assert_eq!(failed, [19, 20, 25], "{hands} hands");
        }
    }

    #[test]
    fn who_gives_helps_when_too_many_wait() {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let ahead = Ahead::new(&mut rng, 2);
        for first in 0..5 {
            ahead.give(first, part(1, &[0]));
            assert_eq!(ahead.lock().parts.len(), (first + 1).min(2));
            assert_eq!(ahead.faulty(), first >= 2);
        }
        assert_eq!(ahead.finish(), [0, 1, 2, 3, 4]);
    }
}
