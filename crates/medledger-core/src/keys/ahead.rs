//! Signatures that are verified while more of them are still coming.

use super::batch::{LEAST, MOST, Queued, Shared, SignatureBatch, wrong};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Signatures that wait for a free hand. Whoever gives some helps when too many wait, so that memory stays bounded and
/// nobody is idle.
pub(crate) struct Ahead<'a> {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    rng: Mutex<&'a mut (dyn CryptoRng + Send)>,
    hands: usize,
    /// Signatures that may wait.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Queued>,
    /// Place of the first of them.
    first: usize,
    /// Parts that are being verified.
    running: usize,
    /// Places of the signatures found wrong.
    failed: Vec<usize>,
    /// Whether a hand gave up in the middle of a part.
    abandoned: bool,
    /// Whether somebody waits for all of them.
    finishing: bool,
    /// Whether no more will come.
    ended: bool,
}

impl Waiting {
    /// How many to verify together now. Up to [`MOST`] the more, the cheaper is each; but when no more will come, hands
    /// that end at different times would wait for each other.
    fn share(&self, hands: usize) -> usize {
        let all = self.queue.len();
        let share = match self.finishing || self.ended {
            true => all.div_ceil(2 * hands),
            false => all,
        };
        let share = share.clamp(2 * LEAST, MOST);
        // Few that are left over would cost as much as twice as many.
        if all < share + LEAST { all } else { share }
    }
}

impl<'a> Ahead<'a> {
    /// A queue for so many hands, in which so many signatures may wait.
    pub(crate) fn new(rng: &'a mut (dyn CryptoRng + Send), hands: usize, most: usize) -> Self {
        let (waiting, changed) = (Mutex::default(), Condvar::new());
        Self { waiting, changed, rng: Mutex::new(rng), hands, most }
    }

    /// Gives signatures, of which the first has this place: the one after the last that was given, if that waits.
    pub(crate) fn give(&self, first: usize, batch: &mut SignatureBatch) {
        let mut waiting = self.lock();
        if waiting.queue.is_empty() {
            waiting.first = first;
        }
        debug_assert_eq!(waiting.first + waiting.queue.len(), first);
        waiting.queue.extend(batch.0.drain(..));
        self.changed.notify_one();
        if waiting.queue.len() > self.most {
            drop(self.verify_some(waiting));
        }
    }

    /// Verifies part after part, until no more will come.
    pub(crate) fn work(&self) {
        let mut waiting = self.lock();
        loop {
            if !waiting.queue.is_empty() {
                waiting = self.verify_some(waiting);
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
        waiting.finishing = true;
        while !waiting.queue.is_empty() {
            waiting = self.verify_some(waiting);
        }
        while waiting.running > 0 {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.finishing = false;
        assert!(!waiting.abandoned, "a worker panicked while it verified signatures");
        let mut failed = std::mem::take(&mut waiting.failed);
        failed.sort_unstable();
        failed
    }

    /// Whether a signature is known to be wrong.
    pub(crate) fn faulty(&self) -> bool {
        !self.lock().failed.is_empty()
    }

    /// Says, when dropped, that no more will come, so that nobody waits for them.
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

    /// Verifies some of those that came first, while others may look at the queue.
    fn verify_some<'b>(&'b self, mut waiting: MutexGuard<'b, Waiting>) -> MutexGuard<'b, Waiting> {
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
        let (first, count) = (waiting.first, waiting.share(self.hands));
        if count == 0 {
            return waiting;
        }
        let part: Vec<Queued> = waiting.queue.drain(..count).collect();
        waiting.first += count;
        waiting.running += 1;
        drop(waiting);
        let mut running = Running(self, false);
        let found = wrong(&part, &mut Shared(&self.rng));
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
            let ahead = Ahead::new(&mut rng, 1 + hands, 15);
            let failed = std::thread::scope(|scope| {
                for _ in 0..hands {
                    scope.spawn(|| ahead.work());
                }
                let _end = ahead.end_when_dropped();
                for (first, wrong) in [(0, &[][..]), (10, &[9]), (20, &[0, 5]), (30, &[])] {
                    ahead.give(first, &mut part(10, wrong));
                }
                let failed = ahead.finish();
                assert_eq!(ahead.finish(), [0; 0], "told once");
                ahead.give(0, &mut part(3, &[1]));
                assert_eq!(ahead.finish(), [1], "counted from what was given");
                failed
            });
            assert_eq!(failed, [19, 20, 25], "{hands} hands");
        }
    }

    #[test]
    fn who_gives_helps_when_too_many_wait() {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let ahead = Ahead::new(&mut rng, 1, 2);
        for (first, waiting, faulty) in [(0, 1, false), (1, 2, false), (2, 0, true), (3, 1, true)] {
            ahead.give(first, &mut part(1, &[0]));
            assert_eq!(ahead.lock().queue.len(), waiting);
            assert_eq!(ahead.faulty(), faulty);
        }
        assert_eq!(ahead.finish(), [0, 1, 2, 3]);
    }

    #[test]
    fn parts_are_large_while_more_come_and_smaller_towards_the_end() {
        let parts = |count: usize, finishing, hands| {
            let mut waiting = Waiting { finishing, ..Waiting::default() };
            waiting.queue.extend(std::iter::repeat_n(part(1, &[]).0.remove(0), count));
            let mut parts = Vec::new();
            while !waiting.queue.is_empty() {
                let share = waiting.share(hands);
                waiting.queue.drain(..share);
                parts.push(share);
            }
            parts
        };
        assert_eq!(parts(2 * MOST + 700, false, 2), [MOST, MOST, 700]);
        assert_eq!(parts(100, false, 2), [100]);
        assert_eq!(parts(2000, true, 2), [500, 375, 282, 256, 256, 331]);
        assert_eq!(parts(300, true, 1), [300]);
    }
}
