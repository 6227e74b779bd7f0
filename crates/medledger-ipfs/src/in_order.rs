//! Work shared out over threads whose results are taken in the order of the pieces.

use crate::aligned::Buffer;
use medledger_core::pow::Workers;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that the buffers of all workers together may take.
const BUDGET: usize = 48 << 20;

/// Has pieces made by `feed`, one after the other, worked on by all workers at once, and their results taken
/// by `take` in the order of the pieces.
///
/// Each worker has a buffer of `buffer_len` bytes that goes from `feed` to `work`. As many workers take part
/// as have room in 48 MiB, and one at least. With a single piece no thread is started.
///
/// # Errors
/// The first error of any of the three; after it, no further piece is begun.
pub(crate) fn in_order<P: Send, R: Send, E: Send>(
    workers: &dyn Workers,
    buffer_len: usize,
    feed: impl FnMut(&mut [u8]) -> Result<Option<P>, E> + Send,
    work: impl Fn(P, &mut [u8]) -> Result<R, E> + Sync,
    take: impl FnMut(R) -> Result<(), E> + Send,
) -> Result<(), E> {
    let feed = Mutex::new(Feed { feed, next: 0, ended: false });
    let results = Mutex::new(Results { take, next: 0, early: BTreeMap::new() });
    let failure = Mutex::new(None);
    let failed = AtomicBool::new(false);
    let fail = |error| {
        failed.store(true, Ordering::Relaxed);
        lock(&failure).get_or_insert(error);
    };
    let run = |number, piece, buffer: &mut [u8]| {
        let done = work(piece, buffer).and_then(|result| lock(&results).add(number, result));
        done.unwrap_or_else(fail);
    };

    let mut first_buffer = Buffer::zeroed(buffer_len);
    let first = lock(&feed).next(&mut first_buffer)?;
    // Only now is it known whether there is a second piece; it needs a buffer of its own.
    let most = (BUDGET / buffer_len.max(1)).max(1);
    let alone = lock(&feed).ended || most == 1 || workers.count() == 1;
    let first = Mutex::new(first.map(|(number, piece)| (number, piece, first_buffer)));
    let job = |worker: usize| {
        if worker >= most {
            return;
        }
        let mut buffer = Buffer::default();
        // Whoever comes first has the first piece.
        let begun = lock(&first).take();
        if let Some((number, piece, taken)) = begun {
            buffer = taken;
            run(number, piece, &mut buffer);
        }
        while !failed.load(Ordering::Relaxed) && !lock(&feed).ended {
            if buffer.is_empty() {
                buffer = Buffer::zeroed(buffer_len);
            }
            let next = lock(&feed).next(&mut buffer);
            match next {
                Ok(Some((number, piece))) => run(number, piece, &mut buffer),
                Ok(None) => break,
                Err(error) => fail(error),
            }
        }
    };
    if alone {
        job(0);
    } else {
        workers.run(&job);
    }
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct Feed<F> {
    feed: F,
    next: u64,
    ended: bool,
}

impl<F> Feed<F> {
    /// The next piece with its number.
    fn next<P, E>(&mut self, buffer: &mut [u8]) -> Result<Option<(u64, P)>, E>
    where
        F: FnMut(&mut [u8]) -> Result<Option<P>, E>,
    {
        if self.ended {
            return Ok(None);
        }
        let piece = (self.feed)(buffer);
        self.ended = !matches!(piece, Ok(Some(_)));
        let number = self.next;
        self.next += 1;
        Ok(piece?.map(|piece| (number, piece)))
    }
}

struct Results<T, R> {
    take: T,
    next: u64,
    /// Results that came before their turn.
    early: BTreeMap<u64, R>,
}

impl<T, R> Results<T, R> {
    fn add<E>(&mut self, number: u64, result: R) -> Result<(), E>
    where
        T: FnMut(R) -> Result<(), E>,
    {
        self.early.insert(number, result);
        while let Some(result) = self.early.remove(&self.next) {
            self.next += 1;
            (self.take)(result)?;
        }
        Ok(())
    }
}

/// A panic of another worker comes out of `Workers::run`; nothing here is left half done by it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use medledger_core::pow::Inline;

    pub(crate) struct Threads(pub(crate) usize);

    impl Workers for Threads {
        fn count(&self) -> usize {
            self.0
        }

        fn run(&self, job: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                for worker in 0..self.0 {
                    scope.spawn(move || job(worker));
                }
            });
        }
    }

    fn squares(
        workers: &dyn Workers,
        pieces: u64,
        bad: Option<u64>,
    ) -> (Result<(), u64>, Vec<u64>) {
        let (mut next, mut taken) = (0, Vec::new());
        let result = in_order(
            workers,
            8,
            |buffer| {
                if next == pieces {
                    return Ok(None);
                }
                buffer.copy_from_slice(&u64::to_le_bytes(next));
                next += 1;
                Ok(Some(next - 1))
            },
            |piece, buffer| {
                assert_eq!(buffer, u64::to_le_bytes(piece), "a buffer goes with its piece");
                // The later ones are done sooner.
                std::thread::sleep(std::time::Duration::from_micros(7 * (5 - piece % 5)));
                if Some(piece) == bad { Err(piece) } else { Ok(piece * piece) }
            },
            |square| {
                taken.push(square);
                Ok(())
            },
        );
        (result, taken)
    }

    #[test]
    fn results_are_taken_in_order_whoever_is_first() {
        for workers in [&Inline as &dyn Workers, &Threads(1), &Threads(7)] {
            for pieces in [0, 1, 2, 100] {
                let want: Vec<u64> = (0..pieces).map(|n| n * n).collect();
                assert_eq!(squares(workers, pieces, None), (Ok(()), want));
            }
        }
    }

    #[test]
    fn an_error_ends_the_work_and_nothing_after_it_is_taken() {
        for workers in [&Inline as &dyn Workers, &Threads(7)] {
            for bad in [0, 1, 50] {
                let (result, taken) = squares(workers, 100, Some(bad));
                assert_eq!(result, Err(bad));
                assert!(taken.len() as u64 <= bad, "{taken:?}");
            }
        }
    }

    #[test]
    fn a_failing_feed_is_told_at_once_and_later() {
        for at in [0, 3] {
            let mut next = 0;
            let result = in_order(
                &Threads(3),
                1,
                |_| {
                    next += 1;
                    if next > at { Err("broken") } else { Ok(Some(())) }
                },
                |(), _| Ok(()),
                |()| Ok(()),
            );
            assert_eq!(result, Err("broken"), "{at}");
        }
    }

    #[test]
    fn buffers_stay_within_the_budget() {
        let most = Mutex::new(std::collections::HashSet::new());
        let mut pieces = 0..200;
        in_order::<_, _, ()>(
            &Threads(16),
            BUDGET / 3,
            |_| Ok(pieces.next()),
            |_, _| {
                lock(&most).insert(std::thread::current().id());
                Ok(())
            },
            |()| Ok(()),
        )
        .unwrap();
        assert!(lock(&most).len() <= 3);
    }
}
