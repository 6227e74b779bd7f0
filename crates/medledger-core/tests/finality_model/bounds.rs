//! What is explored, and what is found.

/// A rule taken away, or turned round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Hospitals forget what they are locked on and what they saw justified.
    NoLock,
    /// Hospitals forget in which rounds they prevoted, and what.
    NoMemoryOfPrevotes,
    /// A crash takes the state of the voter with it.
    NotDurable,
    /// A block that changes the hospitals is voted on by those after it.
    VotesOfTheNewSet,
    /// The checkpoint of such a block counts by the hospitals after it.
    CheckpointOfTheNewSet,
    /// Hospitals vote for what lies above a change that is not final.
    VotesAboveAChange,
    /// Hospitals let go of the old votes as soon as these have decided, before there is a checkpoint.
    HandoverByVotes,
    /// Who is put back to before a change, and has noted votes of after it, votes meanwhile.
    VotesBehindItsNote,
}

/// What is explored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Hospitals that keep the rules, founders or not; these are the first ones.
    pub(crate) honest: usize,
    /// Whether there is one more, which does not.
    pub(crate) misbehaves: bool,
    /// Blocks that may be mined beside those that are there from the beginning.
    pub(crate) mined: usize,
    /// A hospital that a block mined may admit, or expel if it is one.
    pub(crate) other: Option<usize>,
    pub(crate) crashes: usize,
    /// Whether a crash takes all that a hospital stored with it, the change of hospitals included, but what is noted of its
    /// votes outside.
    pub(crate) restores: bool,
    pub(crate) mutation: Option<Mutation>,
    /// Whether each state found must be able to go on once the network heals.
    pub(crate) heals: bool,
    /// States to look at, the nearest first; all of them where there is no number.
    pub(crate) most: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// Steps to the farthest state.
    pub(crate) depth: usize,
    /// States that were found and not looked at.
    pub(crate) left: usize,
    /// States in which something is decided.
    pub(crate) deciding: usize,
    /// States in which a quorum has signed the checkpoint of a change.
    pub(crate) changed: usize,
    /// States in which two blocks are justified that lie on different branches.
    pub(crate) torn: usize,
    /// Steps to two conflicting decisions, if there are such; or, without a rule, to two votes of an honest hospital in one
    /// round.
    pub(crate) conflict: Option<usize>,
    /// Why a state cannot go on when the network heals, if there is such a state.
    pub(crate) stuck: Option<String>,
    /// States from which the network was healed, those alike counted once.
    pub(crate) healed: usize,
}
