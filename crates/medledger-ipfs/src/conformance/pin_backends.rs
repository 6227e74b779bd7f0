//! What every back end that keeps replicas must do.

use crate::replication::{PinBackend, Standing};
use medledger_core::Cid;

/// How often a back end is asked until it has a root.
const POLLS: u32 = 10_000;

/// Runs the suite against a back end that keeps nothing under its label yet. The three roots must be such that the back
/// end can get all that lies below them; `between` is called between two questions about the same, and may wait.
///
/// # Panics
/// When the back end breaks the contract of [`PinBackend`].
pub fn pin_backend(backend: &dyn PinBackend, roots: [Cid; 3], between: &mut dyn FnMut()) {
    nothing_is_kept_at_first(backend, &roots);
    what_is_added_is_kept_in_the_end(backend, &roots[0], between);
    adding_again_changes_nothing(backend, &roots[0]);
    asking_again_for_what_is_there_does_no_harm(backend, &roots[0], between);
    roots_are_listed_sorted_and_once(backend, &roots);
    a_list_longer_than_wanted_is_an_error(backend);
    what_is_removed_is_gone_and_nothing_else(backend, &roots, between);
    a_root_may_come_again(backend, &roots[0], between);
    many_threads_ask_for_the_same(backend, &roots[1], between);
    for root in &roots {
        backend.remove(root).unwrap();
    }
    nothing_is_kept_at_first(backend, &roots);
}

fn until_kept(backend: &dyn PinBackend, root: &Cid, between: &mut dyn FnMut()) -> Standing {
    for _ in 0..POLLS {
        let standing = backend.status(root).unwrap();
        assert!(standing.known, "what was added is not known: {standing:?}");
        assert_eq!((standing.failed, standing.lost), (0, 0), "{standing:?}");
        if standing.pinned > 0 && standing.waiting == 0 {
            return standing;
        }
        assert!(standing.waiting > 0, "neither there nor on its way: {standing:?}");
        between();
    }
    panic!("{root} is not kept after {POLLS} questions");
}

fn nothing_is_kept_at_first(backend: &dyn PinBackend, roots: &[Cid]) {
    for root in roots {
        let standing = backend.status(root).unwrap();
        assert_eq!(standing, Standing::absent());
        assert_eq!(standing.expected(), 0);
        assert!(!backend.remove(root).unwrap(), "removed what was not there");
    }
    assert_eq!(backend.list(100).unwrap(), []);
}

fn what_is_added_is_kept_in_the_end(
    backend: &dyn PinBackend,
    root: &Cid,
    between: &mut dyn FnMut(),
) {
    let first = backend.add(root).unwrap();
    assert!(first.known && first.expected() > 0, "{first:?}");
    until_kept(backend, root, between);
}

fn adding_again_changes_nothing(backend: &dyn PinBackend, root: &Cid) {
    let before = backend.status(root).unwrap();
    assert_eq!(backend.add(root).unwrap(), before);
    assert_eq!(backend.status(root).unwrap(), before);
    assert_eq!(backend.list(1).unwrap(), [*root]);
}

fn asking_again_for_what_is_there_does_no_harm(
    backend: &dyn PinBackend,
    root: &Cid,
    between: &mut dyn FnMut(),
) {
    let before = backend.status(root).unwrap();
    backend.recover(root).unwrap();
    assert_eq!(until_kept(backend, root, between).pinned, before.pinned);
}

fn roots_are_listed_sorted_and_once(backend: &dyn PinBackend, roots: &[Cid; 3]) {
    for root in roots.iter().rev() {
        backend.add(root).unwrap();
    }
    let mut sorted = roots.to_vec();
    sorted.sort_unstable();
    assert_eq!(backend.list(3).unwrap(), sorted);
}

fn a_list_longer_than_wanted_is_an_error(backend: &dyn PinBackend) {
    use crate::replication::BackendError::TooMany;
    let error = backend.list(2).unwrap_err();
    assert!(matches!(error, TooMany { limit: 2, .. }), "{error:?}");
}

fn what_is_removed_is_gone_and_nothing_else(
    backend: &dyn PinBackend,
    roots: &[Cid; 3],
    between: &mut dyn FnMut(),
) {
    until_kept(backend, &roots[1], between);
    assert!(backend.remove(&roots[1]).unwrap());
    assert!(!backend.remove(&roots[1]).unwrap());
    assert_eq!(backend.status(&roots[1]).unwrap(), Standing::absent());
    let mut left = vec![roots[0], roots[2]];
    left.sort_unstable();
    assert_eq!(backend.list(3).unwrap(), left);
    until_kept(backend, &roots[0], between);
    // One that is not there yet can be given up, too.
    assert!(backend.remove(&roots[2]).unwrap());
    assert_eq!(backend.list(3).unwrap(), [roots[0]]);
}

fn a_root_may_come_again(backend: &dyn PinBackend, root: &Cid, between: &mut dyn FnMut()) {
    assert!(backend.remove(root).unwrap());
    backend.add(root).unwrap();
    until_kept(backend, root, between);
}

fn many_threads_ask_for_the_same(backend: &dyn PinBackend, root: &Cid, between: &mut dyn FnMut()) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| backend.add(root).unwrap());
        }
    });
    // Where they came twice all the same, the next one reduces them to one.
    backend.add(root).unwrap();
    until_kept(backend, root, between);
    assert!(backend.remove(root).unwrap());
    assert!(!backend.remove(root).unwrap());
    assert_eq!(backend.status(root).unwrap(), Standing::absent());
}
