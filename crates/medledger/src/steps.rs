//! Named steps of the long use cases, told to whoever listens: progress for people, and the places
//! at which a crash test kills the process.

/// A step that has just been taken. Between two steps a crash loses nothing acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Upload: so many plaintext bytes are encrypted so far.
    Sealed {
        /// Plaintext bytes.
        bytes: u64,
    },
    /// Upload, rotation: ciphertext and envelope are on disk and pinned; nothing refers to them yet.
    BlocksStored,
    /// The unit of work is filled, but not committed.
    AboutToAccept,
    /// Record, slots, mail and idempotency key are durable.
    Accepted,
    /// Letters that were waiting have been sent or left in the queue.
    MailTried,
    /// The search for a block begins.
    MiningBegun,
    /// A block is durable.
    BlockStored,
}

impl Step {
    /// The step's name, as crash tests and progress displays use it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed { .. } => "sealed",
            Self::BlocksStored => "blocks-stored",
            Self::AboutToAccept => "about-to-accept",
            Self::Accepted => "accepted",
            Self::MailTried => "mail-tried",
            Self::MiningBegun => "mining-begun",
            Self::BlockStored => "block-stored",
        }
    }
}

/// Listens to steps. Called on the thread that takes them, so it should return soon. It must not call
/// the ledger that tells it: at [`Step::AboutToAccept`] a unit of work is open, and another would wait
/// for it for ever.
pub trait Observer: Send + Sync {
    /// A step was taken.
    fn step(&self, step: Step);
}

impl<F: Fn(Step) + Send + Sync> Observer for F {
    fn step(&self, step: Step) {
        self(step);
    }
}
