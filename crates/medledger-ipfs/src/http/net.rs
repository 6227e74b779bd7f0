//! The thread that talks to the network.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that talks to the network while callers wait. Clones share it; it ends with the last of them.
///
/// ```
/// let net = medledger_ipfs::http::Net::start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Net(Arc<Running>);

#[derive(Debug)]
struct Running {
    handle: Handle,
    /// The thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Net {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread or no sockets to give.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("medledger-net".to_owned()).spawn(move || {
            // Nothing is ever sent: the error says that the last clone is gone.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self(Arc::new(Running { handle, _stop: stop })))
    }

    /// Lets the thread do something beside what else it does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.handle.spawn(task));
    }

    /// Waits for what the thread brings. Must not be called by a task of the thread itself, and no
    /// task has a `Net` to call it with.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (send, receive) = sync_channel(1);
        self.spawn(async move {
            // Whoever asked may have gone.
            let _ = send.send(task.await);
        });
        receive.recv().expect("a task of the network thread panicked")
    }
}
