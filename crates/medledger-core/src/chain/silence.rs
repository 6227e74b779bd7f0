//! Chains on which nothing happens for a day, a month or a year.

use super::*;
use crate::follow::{self, FollowError};
use crate::memory::MemoryStore;
use crate::replay;
use crate::state::SignatureCheck;
use crate::store::Store;
use crate::testing::*;

const DAY: u64 = 86_400;
const SILENCES: [u64; 3] = [DAY, 30 * DAY, 365 * DAY];
const SPACING: u64 = 600;
const WINDOW: u64 = 8;
const HALF_LIFE: u64 = 2 * DAY;
/// Blocks before the silence, so that it falls into the middle of a window.
const BEFORE: u64 = 19;

fn bits(tries: u128) -> Bits {
    Target::from_expected_tries(tries).to_bits()
}

/// 64 tries a block at first, two at least.
fn schedules() -> [Schedule; 3] {
    let (bits, floor, spacing) = (bits(64), bits(2), SPACING as u32);
    [
        Schedule::Fixed { bits },
        Schedule::Bitcoin { bits, floor, window: WINDOW as u32, spacing },
        Schedule::Asert { bits, floor, spacing, half_life: HALF_LIFE as u32 },
    ]
}

/// The target as a number, read from its spelling.
fn number(bits: Bits) -> f64 {
    let bits = bits.to_u32();
    f64::from(bits & 0x007f_ffff) * 256f64.powi((bits >> 24) as i32 - 3)
}

/// The target of the block after these, in floating point and straight from what the schedule is for.
fn expected(schedule: &Schedule, headers: &[Header]) -> f64 {
    let (first, parent) = (&headers[0], &headers[headers.len() - 1]);
    let between = |a: &Header, b: &Header| f64::from(b.time) - f64::from(a.time);
    let next = match schedule {
        Schedule::Fixed { .. } => number(first.bits),
        Schedule::Bitcoin { .. } if !headers.len().is_multiple_of(WINDOW as usize) => {
            number(parent.bits)
        }
        Schedule::Bitcoin { .. } => {
            let begun = &headers[headers.len() - WINDOW as usize];
            let factor = between(begun, parent) / (WINDOW * SPACING) as f64;
            number(parent.bits) * factor.clamp(0.25, 4.0)
        }
        Schedule::Asert { .. } => {
            let late = between(first, parent) - (SPACING * (headers.len() as u64 - 1)) as f64;
            number(first.bits) * (late / HALF_LIFE as f64).exp2()
        }
    };
    next.min(number(schedule.floor()))
}

/// Whether bits are this target, as near as 16 digits and the polynomial of aserti3-2d come to it.
fn alike(bits: Bits, target: f64) -> bool {
    (number(bits) / target - 1.0).abs() < 2e-4
}

struct Story {
    ledger: Ledger,
    headers: Vec<Header>,
}

impl Story {
    fn new(schedule: Schedule) -> Self {
        let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Work(schedule)));
        let headers = vec![ledger.tip().signed.header];
        let mut story = Self { ledger, headers };
        for _ in 0..BEFORE {
            story.mine_after(SPACING);
        }
        story
    }

    /// Mines when so much time has passed since the last block, and tells the clock's time then.
    fn mine_after(&mut self, seconds: u64) -> Timestamp {
        let last = self.headers[self.headers.len() - 1].time;
        let now = Timestamp::from_secs(u64::from(last) + seconds);
        self.ledger.clock.set(now);
        self.headers.push(self.ledger.try_order().unwrap().block.header);
        now
    }

    fn last(&self) -> &Header {
        &self.headers[self.headers.len() - 1]
    }

    /// Hands all blocks to somebody else, the last one with this clock.
    fn follow(&self, now: Timestamp) -> Result<StoredBlock, FollowError> {
        let (view, other) = (self.ledger.store.view().unwrap(), MemoryStore::new());
        let mut unit = other.unit().unwrap();
        follow::found(unit.as_mut(), &self.ledger.rules, &self.headers[0]).unwrap();
        let mut taken = None;
        for height in 1..self.headers.len() as u64 {
            let stored = block_at(view.as_ref(), height).unwrap();
            let block = replay::block(view.as_ref(), &stored).unwrap();
            let mut check = SignatureCheck::Now;
            let rules = &self.ledger.rules;
            taken =
                Some(follow::append(unit.as_mut(), rules, &block, &stored.node, now, &mut check)?);
        }
        Ok(taken.unwrap())
    }
}

#[test]
fn after_any_silence_blocks_bear_the_bits_that_the_schedule_is_for() {
    for (schedule, silence) in schedules().into_iter().flat_map(|s| SILENCES.map(|n| (s, n))) {
        let mut story = Story::new(schedule);
        let at = story.headers.len();
        for block in 0..3 * WINDOW {
            story.mine_after(if block == 0 { silence } else { SPACING });
        }
        for height in 1..story.headers.len() {
            let (before, header) = (&story.headers[..height], &story.headers[height]);
            let target = expected(&schedule, before);
            assert!(
                alike(header.bits, target),
                "{schedule:?}, {silence} s, {height}: {}",
                header.bits
            );
            assert!(header.meets_target());
        }
        // Silence makes nothing harder, and the first block after it knows nothing of it yet.
        let tries = |at: usize| story.headers[at].target().unwrap().expected_tries();
        let last = story.headers.len() - 1;
        let apart = tries(at).abs_diff(tries(at - 1));
        assert!(apart <= 1, "{schedule:?}");
        assert!((at..=last).all(|height| tries(height) <= tries(at - 1)), "{schedule:?}");
        let (low, high) = match schedule {
            Schedule::Fixed { .. } => (64, 64),
            // Easier by four, once. Each of the four other windows counts one spacing less than it should: 8 / 7.
            Schedule::Bitcoin { .. } => (26, 28),
            // By a half-life and a half, or all that the floor allows.
            _ if silence == DAY => (45, 46),
            _ => (2, 2),
        };
        assert!((low..=high).contains(&tries(last)), "{schedule:?}, {silence} s: {}", tries(last));
    }
}

#[test]
fn after_any_silence_the_first_block_has_the_time_of_the_clock_and_others_take_it() {
    for (schedule, silence) in schedules().into_iter().flat_map(|s| SILENCES.map(|n| (s, n))) {
        let mut story = Story::new(schedule);
        let median = story.ledger.tip().median_time;
        let now = story.mine_after(silence);
        assert_eq!(u64::from(story.last().time), now.as_secs());
        // The chain's own time stays behind until six blocks are newer: it is the median of eleven.
        assert!(story.ledger.tip().median_time.as_secs() <= median.as_secs() + SPACING);
        for _ in 0..4 {
            story.mine_after(SPACING);
            assert!(story.ledger.tip().median_time < now);
        }
        story.mine_after(SPACING);
        assert_eq!(story.ledger.tip().median_time, now);
        let newest = u64::from(story.last().time);
        let tip = story.follow(Timestamp::from_secs(newest)).unwrap();
        assert_eq!(tip, story.ledger.tip());
        // Two hours ahead of somebody's clock are allowed, and no second more; then it is deferred, not wrong.
        let limit = limit::FUTURE_BLOCK_SECONDS;
        assert!(story.follow(Timestamp::from_secs(newest - limit)).is_ok());
        let early = story.follow(Timestamp::from_secs(newest - limit - 1)).unwrap_err();
        let FollowError::Rule { error: BlockError::Header(error), .. } = early else {
            panic!("{early:?}")
        };
        assert!(matches!(error, HeaderError::TooEarly { .. }), "{error}");
    }
}

/// A clock that was a year ahead for six blocks, all by a hospital that nobody corrects: who mines next has a clock that is
/// right, and waits until the limit allows it rather than make a block that others defer.
#[test]
fn pitfall_26_a_miner_waits_where_the_chain_is_ahead_of_its_clock() {
    for schedule in schedules() {
        let mut story = Story::new(schedule);
        let right = Timestamp::from_secs(u64::from(story.last().time));
        for block in 0..6 {
            story.mine_after(if block == 0 { 365 * DAY } else { 1 });
        }
        story.ledger.clock.set(right);
        let error = story.ledger.try_order().unwrap_err();
        assert!(matches!(error, crate::engine::OrderError::ClockBehind { .. }), "{error}");
        let median = story.ledger.tip().median_time.as_secs();
        let allowed = Timestamp::from_secs(median + 1 - limit::MINER_AHEAD_SECONDS);
        story.ledger.clock.set(allowed);
        let mined = story.ledger.try_order().unwrap();
        assert_eq!(u64::from(mined.block.header.time), median + 1);
    }
}

/// `Asert` owes a block for each spacing in which none came, and its bits come back as these are made up for.
#[test]
fn pitfall_26_asert_is_back_at_its_bits_once_the_blocks_that_are_owed_have_come() {
    let [.., schedule] = schedules();
    let mut story = Story::new(schedule);
    story.mine_after(DAY);
    let owed = DAY / SPACING;
    for block in 0..owed {
        assert!(
            number(schedule.genesis_bits()) < 0.9999 * expected(&schedule, &story.headers),
            "{block}"
        );
        story.mine_after(1);
    }
    // But for the seconds these took.
    let next = expected(&schedule, &story.headers);
    assert!((next / number(schedule.genesis_bits()) - 1.0).abs() < 1e-2);
}

#[test]
fn asert_asks_for_a_block_when_its_plan_does_and_twice_as_often_where_some_are_owed() {
    let [others @ .., schedule] = schedules();
    for other in others {
        let story = Story::new(other);
        assert_eq!(
            story.ledger.engine.beat(story.ledger.store.view().unwrap().as_ref()).unwrap(),
            None
        );
    }
    let mut story = Story::new(schedule);
    let beat = |story: &Story| {
        let view = story.ledger.store.view().unwrap();
        story.ledger.engine.beat(view.as_ref()).unwrap().unwrap().as_secs()
    };
    let after = |story: &Story| beat(story) - u64::from(story.last().time);
    assert_eq!(after(&story), SPACING, "on plan");
    story.mine_after(1);
    assert_eq!(after(&story), 2 * SPACING - 1, "ahead of it");
    story.mine_after(DAY);
    assert_eq!(after(&story), SPACING / 2, "behind");
    // Who beats by that is on plan again after about as long as the silence was.
    let begun = u64::from(story.last().time);
    while after(&story) < SPACING {
        let wait = after(&story);
        story.mine_after(wait);
    }
    let took = u64::from(story.last().time) - begun;
    assert!(took.abs_diff(DAY) <= 2 * SPACING, "{took}");
    let near = expected(&schedule, &story.headers) / number(schedule.genesis_bits());
    assert!((0.99..1.01).contains(&near), "{near}");
}

#[test]
fn of_several_hospitals_one_goes_first_at_each_height_and_the_others_stand_in_for_it() {
    let [.., schedule] = schedules();
    let several = Genesis { consensus: Consensus::Work(schedule), ..crate::fork::tests::genesis() };
    let ledgers = crate::fork::tests::FOUNDERS.map(|number| Ledger::of(several.clone(), number));
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..ledgers.len() {
        let beat = |ledger: &Ledger| {
            let view = ledger.store.view().unwrap();
            (ledger.engine.beat(view.as_ref()).unwrap().unwrap(), ledger.hospital)
        };
        let mut beats: Vec<_> = ledgers.iter().map(beat).collect();
        beats.sort_unstable();
        for (place, (time, _)) in beats.iter().enumerate() {
            let pause = SPACING / 2 * place as u64;
            assert_eq!(*time, beats[0].0.plus(pause));
        }
        first.insert(beats[0].1);
        let one = &ledgers[0];
        one.clock.set(beats[0].0);
        let block = one.try_order().unwrap().block;
        for other in &ledgers[1..] {
            assert!(matches!(other.receive(&block), crate::fork::Received::Best(_)));
        }
    }
    assert_eq!(first.len(), ledgers.len(), "each goes first once");
}
