//! What does the heavy work.

use medledger_core::pow::{Inline, Workers};
use sha256_lanes::Kernel;
use std::fmt;

/// Threads and instructions that sealing and hashing may use. No result depends on them.
///
/// ```
/// use medledger_ipfs::{Kernel, Processor};
/// let one_thread = Processor::default();
/// assert_eq!(one_thread.kernel, Kernel::best());
/// ```
#[derive(Clone, Copy)]
pub struct Processor<'a> {
    /// Threads; this crate starts none itself.
    pub workers: &'a dyn Workers,
    /// How SHA-256 is computed.
    pub kernel: Kernel,
}

impl<'a> Processor<'a> {
    /// These threads and the best kernel of the machine.
    #[must_use]
    pub fn new(workers: &'a dyn Workers) -> Self {
        Self { workers, kernel: Kernel::best() }
    }
}

/// The calling thread and the best kernel.
impl Default for Processor<'_> {
    fn default() -> Self {
        Self::new(&Inline)
    }
}

impl fmt::Debug for Processor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("workers", &self.workers.count())
            .field("kernel", &self.kernel)
            .finish()
    }
}
