//! Asking again, for what may be asked twice.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// How often, and after which pauses, a request is sent again that failed in passing.
///
/// Pauses double, and each is between half and all of its length by chance, so that many who failed at the same
/// moment do not come back at the same moment. Only requests are repeated that do no harm when they
/// arrive twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is sent, at most; 1 is never again.
    pub attempts: u32,
    /// The first pause.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Retry {
    /// Four attempts within about two seconds.
    fn default() -> Self {
        let (pause, longest) = (Duration::from_millis(250), Duration::from_secs(5));
        Self { attempts: 4, pause, longest }
    }
}

/// Errors that tell whether another attempt makes sense.
pub(crate) trait MayRetry {
    fn may_pass(&self) -> bool;

    /// How long the server says to wait, where it does.
    fn wait(&self) -> Option<Duration> {
        None
    }
}

impl MayRetry for super::HttpError {
    fn may_pass(&self) -> bool {
        Self::may_pass(self)
    }
}

impl Retry {
    /// One attempt and no more.
    #[must_use]
    pub const fn never() -> Self {
        Self { attempts: 1, pause: Duration::ZERO, longest: Duration::ZERO }
    }

    /// Runs `ask` until it succeeds, fails for good, or has had its attempts. A server that says how long to
    /// wait is believed up to the longest pause; one that wants more is not asked again.
    pub(crate) fn run<T, E: MayRetry + std::fmt::Display>(
        &self,
        mut ask: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pause = self.pause;
        for attempt in 1.. {
            match ask() {
                Err(error)
                    if error.may_pass()
                        && attempt < self.attempts
                        && error.wait().is_none_or(|wait| wait <= self.longest) =>
                {
                    tracing::debug!(%error, attempt, "asking again");
                    let chance = by_chance(pause.min(self.longest));
                    std::thread::sleep(chance.max(error.wait().unwrap_or_default()));
                    pause = pause.saturating_mul(2);
                }
                result => return result,
            }
        }
        unreachable!("attempts end")
    }
}

/// Between half and all of a pause.
fn by_chance(pause: Duration) -> Duration {
    // Seeded anew for each value by the standard library.
    let chance = RandomState::new().hash_one(()) >> 40;
    pause / 2 + pause.mul_f64(chance as f64 / f64::from(1 << 24) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpError;

    fn status(status: u16) -> HttpError {
        HttpError::Status { server: "s".into(), status, message: String::new() }
    }

    fn attempts(retry: Retry, error: u16) -> u32 {
        let mut asked = 0;
        let result: Result<(), _> = retry.run(|| {
            asked += 1;
            Err(status(error))
        });
        assert!(result.is_err());
        asked
    }

    #[test]
    fn only_what_may_pass_is_asked_again_and_not_for_ever() {
        let retry = Retry { attempts: 3, pause: Duration::from_millis(1), ..Retry::default() };
        assert_eq!(attempts(retry, 503), 3);
        assert_eq!(attempts(retry, 404), 1);
        assert_eq!(attempts(Retry::never(), 503), 1);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("busy")]
    struct Busy(Duration);

    impl MayRetry for Busy {
        fn may_pass(&self) -> bool {
            true
        }

        fn wait(&self) -> Option<Duration> {
            Some(self.0)
        }
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_for_longer_is_left_alone() {
        let longest = Duration::from_millis(2);
        let retry = Retry { attempts: 3, pause: Duration::ZERO, longest };
        for (wait, expected) in [(longest, 3), (longest * 2, 1), (Duration::MAX, 1)] {
            let mut asked = 0;
            let result: Result<(), _> = retry.run(|| {
                asked += 1;
                Err(Busy(wait))
            });
            assert!(result.is_err());
            assert_eq!(asked, expected);
        }
    }

    #[test]
    fn a_success_ends_it() {
        let retry = Retry { attempts: 9, pause: Duration::ZERO, longest: Duration::ZERO };
        let mut left = 3;
        let result = retry.run(|| {
            left -= 1;
            if left == 0 { Ok(left) } else { Err(status(502)) }
        });
        assert_eq!(result.unwrap(), 0);
    }

    #[test]
    fn pauses_are_between_half_and_all() {
        let pause = Duration::from_millis(100);
        let pauses: Vec<_> = (0..1000).map(|_| by_chance(pause)).collect();
        assert!(pauses.iter().all(|p| *p >= pause / 2 && *p <= pause));
        assert!(pauses.iter().any(|p| *p != pauses[0]));
    }
}
