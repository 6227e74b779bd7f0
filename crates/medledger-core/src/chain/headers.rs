//! Headers alone: a chain's work and times judged at the speed of hashing, before anything else is looked at.

use super::{HeaderError, Rules, check_time, headers_of};
use crate::clock::Timestamp;
use crate::genesis::Consensus;
use crate::ids::BlockId;
use crate::pow::{Below, Bits, Header, Target, Work};
use crate::registry::limit::MEDIAN_TIME_BLOCKS;
use crate::store::{StoreError, StoredBlock, View};
use std::convert::Infallible;

/// Headers hashed together: enough to keep every lane busy, few enough to stay in the cache.
const BATCH: usize = 256;

/// A header that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {height}: {error}")]
pub struct HeaderFault {
    /// Its height, were it taken.
    pub height: u64,
    /// The rule.
    pub error: HeaderError,
}

/// A chain of headers, judged one after another by the rules that are visible in them: link, difficulty, work,
/// time. Of these it keeps the last and what the next one is judged by; the cost is that of hashing, which is
/// done for many headers at once.
///
/// With [`Schedule::BITCOIN_MAINNET`](crate::pow::Schedule::BITCOIN_MAINNET) it takes the headers of Bitcoin.
///
/// ```
/// use medledger_core::chain::HeaderChain;
/// use medledger_core::clock::Timestamp;
/// use medledger_core::genesis::Consensus;
/// use medledger_core::pow::{Header, Schedule};
/// let genesis: Header = concat!(
///     "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd",
///     "7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
/// )
/// .parse()?;
/// let second: Header = concat!(
///     "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd",
///     "1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299"
/// )
/// .parse()?;
/// let bitcoin = Consensus::Work(Schedule::BITCOIN_MAINNET);
/// let mut chain = HeaderChain::from_genesis(bitcoin, &genesis)?;
/// chain.extend(&[second.to_bytes()], Timestamp::from_secs(1_300_000_000))?;
/// assert_eq!((chain.height(), chain.chain_work().to_string()), (1, "8590065666".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderChain {
    consensus: Consensus,
    height: u64,
    tip: Header,
    id: BlockId,
    chain_work: Work,
    times: Times,
    /// The header that the schedule looks back to.
    base: Header,
    /// What the next header must bear.
    next: Measured,
}

/// Bits, with what follows from them: that takes a division, and in most chains they seldom change.
#[derive(Clone, Copy, Debug)]
struct Measured {
    bits: Bits,
    target: Option<Target>,
    work: Work,
}

impl Measured {
    fn new(consensus: &Consensus, bits: Bits) -> Self {
        let target = match consensus {
            Consensus::Work(_) => Target::from_bits(bits).ok(),
            Consensus::Log => None,
        };
        Self { bits, target, work: target.map_or(Work::ZERO, Target::work) }
    }
}

impl HeaderChain {
    /// The chain that is only a genesis header; what its root stands for is not looked at.
    ///
    /// # Errors
    /// When it builds on something, bears other bits than the chain starts with, or has not done the work.
    pub fn from_genesis(consensus: Consensus, header: &Header) -> Result<Self, HeaderError> {
        let nothing = BlockId::from_bytes([0; 32]);
        if header.previous != nothing {
            return Err(HeaderError::Previous { expected: nothing, found: header.previous });
        }
        let bits = match &consensus {
            Consensus::Work(schedule) => schedule.genesis_bits(),
            Consensus::Log => Bits::NO_WORK,
        };
        let first = Measured::new(&consensus, bits);
        let id = header.id();
        check_work(header, &id, &consensus, &first)?;
        let Ok(chain) = Self::resume(consensus, 0, first.work, &|_| Ok::<_, Infallible>(*header));
        Ok(chain)
    }

    /// The chain up to the header at `height`, which was judged before; `chain_work` is the work up to there.
    ///
    /// `below` is asked for that header, the ten below it and the one the schedule
    /// [looks back to](crate::pow::Schedule::looks_back_to), all on this chain.
    ///
    /// # Errors
    /// What `below` says when a header cannot be had.
    pub fn resume<E>(
        consensus: Consensus,
        height: u64,
        chain_work: Work,
        below: Below<'_, E>,
    ) -> Result<Self, E> {
        let mut times = Times::default();
        for height in (height + 1).saturating_sub(MEDIAN_TIME_BLOCKS as u64)..height {
            times.push(below(height)?.time);
        }
        let tip = below(height)?;
        times.push(tip.time);
        let base = match &consensus {
            Consensus::Work(schedule) => schedule.looks_back_to(height),
            Consensus::Log => None,
        };
        let base = if let Some(at) = base { below(at)? } else { tip };
        let next = Measured::new(&consensus, tip.bits);
        let mut chain =
            Self { consensus, height, tip, id: tip.id(), chain_work, times, base, next };
        chain.demand();
        Ok(chain)
    }

    /// Judges headers that follow, each given by its 80 bytes, and takes them.
    ///
    /// # Errors
    /// The first header that breaks a rule, and which; those before it are taken.
    pub fn extend(
        &mut self,
        headers: &[[u8; Header::LEN]],
        now: Timestamp,
    ) -> Result<(), HeaderFault> {
        let mut ids = Vec::with_capacity(BATCH.min(headers.len()));
        for batch in headers.chunks(BATCH) {
            ids.clear();
            sha256_lanes::double_digest_many(batch, &mut ids);
            for (header, id) in batch.iter().zip(&ids) {
                let (header, id) = (Header::from_bytes(header), BlockId::from_bytes(*id));
                let height = self.height + 1;
                self.judge(&header, &id, now).map_err(|error| HeaderFault { height, error })?;
                self.take(&header, id);
            }
        }
        Ok(())
    }

    /// Height of the last header.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// The last header.
    #[must_use]
    pub const fn tip(&self) -> &Header {
        &self.tip
    }

    /// Its id.
    #[must_use]
    pub const fn tip_id(&self) -> BlockId {
        self.id
    }

    /// Work of the chain up to and including the last header.
    #[must_use]
    pub const fn chain_work(&self) -> Work {
        self.chain_work
    }

    /// The median time of the last eleven headers, which the next must exceed.
    #[must_use]
    pub fn median_time(&self) -> Timestamp {
        Timestamp::from_secs(u64::from(self.times.median()))
    }

    /// The bits that the next header must bear.
    #[must_use]
    pub const fn next_bits(&self) -> Bits {
        self.next.bits
    }

    fn judge(&self, header: &Header, id: &BlockId, now: Timestamp) -> Result<(), HeaderError> {
        if header.previous != self.id {
            return Err(HeaderError::Previous { expected: self.id, found: header.previous });
        }
        check_work(header, id, &self.consensus, &self.next)?;
        check_time(header.time, self.median_time(), now)
    }

    fn take(&mut self, header: &Header, id: BlockId) {
        self.height += 1;
        self.tip = *header;
        self.id = id;
        self.chain_work = self.chain_work.saturating_add(self.next.work);
        self.times.push(header.time);
        self.demand();
    }

    /// Works out what the next header must bear.
    fn demand(&mut self) {
        let Consensus::Work(schedule) = &self.consensus else { return };
        if schedule.looks_back_to(self.height) == Some(self.height) {
            self.base = self.tip;
        }
        // It asks for no other.
        let base = |_| Ok::<_, Infallible>(self.base);
        let Ok(bits) = schedule.next_bits(&self.tip, self.height, &base);
        if bits != self.next.bits {
            self.next = Measured::new(&self.consensus, bits);
        }
    }
}

impl Rules {
    /// The headers up to `tip`, ready to judge those that follow; `view` has the blocks below it, on its own
    /// branch.
    ///
    /// # Errors
    /// When the store fails.
    pub fn header_chain(
        &self,
        view: &dyn View,
        tip: &StoredBlock,
    ) -> Result<HeaderChain, StoreError> {
        let consensus = self.genesis.consensus.clone();
        HeaderChain::resume(consensus, tip.height, tip.chain_work, &headers_of(view))
    }
}

fn check_work(
    header: &Header,
    id: &BlockId,
    consensus: &Consensus,
    demanded: &Measured,
) -> Result<(), HeaderError> {
    let bits = demanded.bits;
    if header.bits != bits {
        return Err(HeaderError::Bits { expected: bits, found: header.bits });
    }
    let done = match consensus {
        Consensus::Work(_) => demanded.target.is_some_and(|target| target.is_met_by(id)),
        Consensus::Log => true,
    };
    if done { Ok(()) } else { Err(HeaderError::Work { id: *id, bits }) }
}

/// The times of the last eleven headers, in their order and in that of time.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    ring: [u32; MEDIAN_TIME_BLOCKS],
    sorted: [u32; MEDIAN_TIME_BLOCKS],
    pushed: usize,
}

impl Times {
    fn push(&mut self, time: u32) {
        let slot = self.pushed % MEDIAN_TIME_BLOCKS;
        let mut count = self.pushed.min(MEDIAN_TIME_BLOCKS);
        if count == MEDIAN_TIME_BLOCKS {
            let leaves = self.sorted.partition_point(|kept| *kept < self.ring[slot]);
            self.sorted.copy_within(leaves + 1.., leaves);
            count -= 1;
        }
        let at = self.sorted[..count].partition_point(|kept| *kept < time);
        self.sorted.copy_within(at..count, at + 1);
        self.sorted[at] = time;
        self.ring[slot] = time;
        self.pushed += 1;
    }

    /// As [`median_time_past`](crate::pow::median_time_past) has it.
    fn median(&self) -> u32 {
        self.sorted[self.pushed.min(MEDIAN_TIME_BLOCKS) / 2]
    }
}

#[cfg(test)]
mod tests;
