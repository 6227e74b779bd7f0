//! Work on many things at once, each by itself.

use medledger_core::pow::Workers;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What `work` makes of each item, in the order of the items, by all workers at once.
pub(crate) fn spread<T: Sync, R: Send>(
    workers: &dyn Workers,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    if items.len() < 2 || workers.count() < 2 {
        return items.iter().map(work).collect();
    }
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    workers.run(&|_| {
        let mut own = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { break };
            own.push((place, work(item)));
        }
        // A panic of another worker comes out of `run`.
        all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Threads;

    #[test]
    fn results_are_in_the_order_of_the_items_whoever_is_first() {
        for workers in [1, 2, 7] {
            for count in [0, 1, 2, 100] {
                let items: Vec<u64> = (0..count).collect();
                let squares = spread(&Threads::new(workers), &items, |n| {
                    // The later ones are done sooner.
                    std::thread::sleep(std::time::Duration::from_micros(7 * (5 - n % 5)));
                    n * n
                });
                assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
            }
        }
    }
}
