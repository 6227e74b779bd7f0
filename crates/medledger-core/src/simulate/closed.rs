//! What theory says, to hold simulations against.

/// Who wins when an attacker's branch and the public one have the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// The attacker, as Nakamoto and Rosenfeld count it.
    Attacker,
    /// Whoever has the lower id, so each in half of the cases: the rule of this ledger.
    LowerId,
    /// What was there first.
    Public,
}

impl Ties {
    /// The chance to overtake at last, from the moment at which both branches are equal.
    fn overtakes(self, share: f64) -> f64 {
        match self {
            Self::Attacker => 1.0,
            // Wins at once, or by finding the next, or comes back to equality from one behind:
            // a = 1/2 + (q + p (q/p) a) / 2.
            Self::LowerId => (1.0 + share) / (2.0 - share),
            Self::Public => share / (1.0 - share),
        }
    }
}

/// The chance that a miner with this share of all work undoes a record that has so many confirmations: while
/// the others find these, it works on a branch of its own, and goes on until that one is preferred.
///
/// Exact where blocks reach everyone at once and the difficulty stays. With [`Ties::Attacker`] it is that of
/// M. Rosenfeld, "Analysis of hashrate-based double-spending" (2012), section 4.
///
/// ```
/// use medledger_core::simulate::{Ties, double_spend};
/// // The table of Rosenfeld's paper: 10 % of the work, 6 confirmations.
/// assert!((double_spend(0.1, 6, Ties::Attacker) - 0.000_59).abs() < 0.000_01);
/// assert!(double_spend(0.1, 6, Ties::LowerId) < double_spend(0.1, 6, Ties::Attacker));
/// ```
#[must_use]
pub fn double_spend(share: f64, confirmations: u32, ties: Ties) -> f64 {
    if share <= 0.0 {
        return 0.0;
    }
    if share >= 0.5 {
        return 1.0;
    }
    let (q, p) = (share, 1.0 - share);
    let (n, ratio) = (f64::from(confirmations), q / p);
    // Chance of m blocks of the attacker before the n-th of the others: C(m+n-1, m) p^n q^m.
    let mut chance = p.powf(n);
    let mut success = 0.0;
    for m in 0u32.. {
        let wins = match confirmations.checked_sub(m) {
            Some(behind) => ratio.powf(behind.into()) * ties.overtakes(q),
            None => 1.0,
        };
        success += chance * wins;
        chance *= q * (f64::from(m) + n) / f64::from(m + 1);
        // What follows shrinks by a half or more with each step, once past the peak.
        if m > 2 * confirmations && chance < success * 1e-18 {
            break;
        }
    }
    success.min(1.0)
}

/// The same as S. Nakamoto has it in section 11 of "Bitcoin: A Peer-to-Peer Electronic Cash System", which
/// takes the attacker's blocks for Poisson distributed.
#[must_use]
pub fn nakamoto(share: f64, confirmations: u32) -> f64 {
    let (q, p) = (share, 1.0 - share);
    if q >= p {
        return 1.0;
    }
    let lambda = f64::from(confirmations) * q / p;
    let mut poisson = (-lambda).exp();
    let mut never = 0.0;
    for k in 0..=confirmations {
        never += poisson * (1.0 - (q / p).powf(f64::from(confirmations - k)));
        poisson *= lambda / f64::from(k + 1);
    }
    1.0 - never
}

/// The share of blocks that a selfish miner gets, by its share of work and the part of the others that takes
/// its side in a tie: I. Eyal and E. G. Sirer, "Majority is not enough" (2014), equation 8.
///
/// Where the lower id decides, `side` is one half.
///
/// ```
/// use medledger_core::simulate::selfish_revenue;
/// // With no one on its side it pays from a third of the work on.
/// assert!((selfish_revenue(1.0 / 3.0, 0.0) - 1.0 / 3.0).abs() < 1e-12);
/// assert!((selfish_revenue(0.25, 0.5) - 0.25).abs() < 1e-12);
/// ```
#[must_use]
pub fn selfish_revenue(share: f64, side: f64) -> f64 {
    let a = share;
    let honest = 1.0 - a;
    (a * honest * honest * (4.0 * a + side * (1.0 - 2.0 * a)) - a.powi(3))
        / (1.0 - a * (1.0 + (2.0 - a) * a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nakamotos_table_is_met() {
        // Section 11 of the paper: q, z, P, to the digits printed there.
        let table = [
            (0.1, 0, 1.0),
            (0.1, 1, 0.204_587_3),
            (0.1, 2, 0.050_977_9),
            (0.1, 5, 0.000_913_7),
            (0.1, 10, 0.000_001_2),
            (0.3, 5, 0.177_352_3),
            (0.3, 10, 0.041_660_5),
            (0.3, 50, 0.000_000_6),
        ];
        for (q, z, expected) in table {
            let found = nakamoto(q, z);
            assert!((found - expected).abs() < 6e-8, "{q} {z}: {found}, expected {expected}");
        }
    }

    #[test]
    fn rosenfelds_table_is_met() {
        // Table 1 of the paper, in percent.
        let table = [
            (0.02, 1, 4.0),
            (0.10, 1, 20.0),
            (0.10, 2, 5.6),
            (0.10, 3, 1.712),
            (0.10, 4, 0.546),
            (0.10, 5, 0.178),
            (0.10, 6, 0.059),
            (0.20, 6, 2.331),
            (0.30, 1, 60.0),
            (0.30, 2, 43.2),
            (0.30, 6, 15.645),
            (0.40, 6, 49.300),
            (0.50, 6, 100.0),
        ];
        for (q, n, expected) in table {
            let found = 100.0 * double_spend(q, n, Ties::Attacker);
            assert!((found - expected).abs() < 0.000_6, "{q} {n}: {found}, expected {expected}");
        }
    }

    #[test]
    fn ties_are_worth_less_to_an_attacker_the_less_of_them_it_wins() {
        for q in [0.05, 0.25, 0.45] {
            for n in [1, 2, 6, 30] {
                let [all, half, none] = [Ties::Attacker, Ties::LowerId, Ties::Public]
                    .map(|ties| double_spend(q, n, ties));
                assert!(all > half && half > none && none > 0.0, "{q} {n}: {all} {half} {none}");
                assert!(double_spend(q, n + 1, Ties::LowerId) < half);
            }
        }
        assert_eq!(double_spend(0.0, 6, Ties::LowerId), 0.0);
        let near = double_spend(0.499_999, 6, Ties::LowerId);
        assert!((0.9999..1.0).contains(&near), "{near}");
    }

    #[test]
    fn selfish_mining_pays_from_the_published_thresholds_on() {
        // (1 - side) / (3 - 2 side), equation 9.
        for side in [0.0f64, 0.25, 0.5, 0.75, 0.99] {
            let threshold = (1.0 - side) / (3.0 - 2.0 * side);
            assert!((selfish_revenue(threshold, side) - threshold).abs() < 1e-12, "{side}");
            assert!(selfish_revenue(threshold + 0.01, side) > threshold + 0.01);
            assert!(selfish_revenue(threshold * 0.9, side) < threshold * 0.9);
        }
    }
}
