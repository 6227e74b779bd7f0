//! Bodies that stream: a writer here to a request there, an answer there to a reader here.

use super::error::{HttpError, Wait};
use super::net::Net;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use reqwest::header::HeaderMap;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes on their way in one direction: written and not sent yet, or received and not read yet.
const WINDOW: usize = 4 << 20;
/// Smaller writes are gathered until they come to this.
const PIECE: usize = 64 << 10;
/// The most that is shown of what a server says went wrong.
const MAX_MESSAGE_CHARS: usize = 500;

/// Writes the body of a request that is under way.
///
/// Dropped before [`finish`](Self::finish), the request fails: half a body is never taken for a whole one.
#[derive(Debug)]
pub(crate) struct Upload {
    pipe: Arc<Pipe>,
    small: Vec<u8>,
    patience: Duration,
}

/// The other end of an [`Upload`].
#[derive(Debug)]
pub(crate) struct UploadBody(Arc<Pipe>);

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PipeState {
    pieces: VecDeque<bytes::Bytes>,
    bytes: usize,
    end: Option<End>,
    /// The request is over, whatever became of it.
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Dropped,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, PipeState> {
        // Each change is made whole under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Two ends; a write that finds no room waits for as long as `patience`.
    pub(crate) fn new(patience: Duration) -> (Self, UploadBody) {
        let pipe = Arc::<Pipe>::default();
        let body = UploadBody(Arc::clone(&pipe));
        (Self { pipe, small: Vec::new(), patience }, body)
    }

    fn send(&self, piece: bytes::Bytes) -> io::Result<()> {
        let full = |state: &mut PipeState| state.bytes >= WINDOW && !state.closed;
        let waited = self.pipe.changed.wait_timeout_while(self.pipe.state(), self.patience, full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            // The answer says why.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if timeout.timed_out() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        state.bytes += piece.len();
        state.pieces.push_back(piece);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    fn send_small(&mut self) -> io::Result<()> {
        if self.small.is_empty() {
            return Ok(());
        }
        let small = std::mem::take(&mut self.small);
        self.send(small.into())
    }

    /// Says that this was all.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.send_small()?;
        self.end(End::Whole);
        Ok(())
    }

    fn end(&self, end: End) {
        let mut state = self.pipe.state();
        state.end.get_or_insert(end);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.small.len() + bytes.len() < PIECE {
            self.small.extend_from_slice(bytes);
        } else {
            self.send_small()?;
            self.send(bytes::Bytes::copy_from_slice(bytes))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_small()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

impl http_body::Body for UploadBody {
    type Data = bytes::Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, io::Error>>> {
        let mut state = self.0.state();
        if let Some(piece) = state.pieces.pop_front() {
            state.bytes -= piece.len();
            self.0.changed.notify_all();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match state.end {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Dropped) => {
                let given_up = io::Error::other("given up before it was whole");
                Poll::Ready(Some(Err(given_up)))
            }
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for UploadBody {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.pieces.clear();
        self.0.changed.notify_all();
    }
}

/// Reads the body of an answer. The end is told only when the answer was whole and the server did not
/// say, behind it, that it failed; otherwise there is an error that holds an [`HttpError`].
#[derive(Debug)]
pub(crate) struct Download {
    pieces: Receiver<Piece>,
    room: Arc<Semaphore>,
    piece: bytes::Bytes,
    ended: bool,
    server: String,
    /// The thread that receives must outlive this.
    _net: Net,
}

type Piece = Result<Option<bytes::Bytes>, HttpError>;

impl Download {
    /// Starts to receive; what is not read waits, and so does the server then.
    pub(super) fn start(net: &Net, server: &str, body: reqwest::Body, patience: Duration) -> Self {
        let (send, pieces) = channel();
        let room = Arc::new(Semaphore::new(WINDOW));
        let task = Receiving { body, send, room: Arc::clone(&room), server: server.to_owned() };
        net.spawn(task.run(patience));
        let (piece, net) = (bytes::Bytes::new(), net.clone());
        Self { pieces, room, piece, ended: false, server: server.to_owned(), _net: net }
    }

    /// The next bytes, none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<bytes::Bytes>, HttpError> {
        if self.ended {
            return Ok(None);
        }
        let gone = || HttpError::Broken {
            server: self.server.clone(),
            cause: "the network thread ended".into(),
        };
        let piece = self.pieces.recv().map_err(|_| gone()).flatten();
        self.ended = !matches!(piece, Ok(Some(_)));
        if let Ok(Some(bytes)) = &piece {
            self.room.add_permits(bytes.len());
        }
        piece
    }

    /// All of it.
    ///
    /// # Errors
    /// When it is longer than `limit` bytes, too.
    pub(crate) fn all(mut self, limit: u64) -> Result<Vec<u8>, HttpError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next()? {
            if all.len() as u64 + bytes.len() as u64 > limit {
                let server = self.server.clone();
                return Err(HttpError::TooLong { server, limit });
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// Gets the next piece that is not empty, unless there is something left of the last one. None at the end.
pub(crate) fn fill<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    piece: &mut bytes::Bytes,
    mut next: impl FnMut() -> Result<Option<bytes::Bytes>, E>,
) -> io::Result<()> {
    while piece.is_empty() {
        match next().map_err(io::Error::other)? {
            Some(more) => *piece = more,
            None => break,
        }
    }
    Ok(())
}

/// Takes what fits into a buffer from the front of a piece.
pub(crate) fn take(piece: &mut bytes::Bytes, buffer: &mut [u8]) -> usize {
    let n = buffer.len().min(piece.len());
    buffer[..n].copy_from_slice(&piece.split_to(n));
    n
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill_buf()?;
        Ok(take(&mut self.piece, buffer))
    }
}

impl BufRead for Download {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let mut piece = std::mem::take(&mut self.piece);
        let filled = fill(&mut piece, || self.next());
        self.piece = piece;
        filled.map(|()| &self.piece[..])
    }

    fn consume(&mut self, bytes: usize) {
        bytes::Buf::advance(&mut self.piece, bytes);
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // Whoever waits for room learns that there will be none.
        self.room.close();
    }
}

/// Receives an answer on the network thread.
struct Receiving {
    body: reqwest::Body,
    send: Sender<Piece>,
    room: Arc<Semaphore>,
    server: String,
}

impl Receiving {
    async fn run(mut self, patience: Duration) {
        loop {
            let piece = self.next(patience).await;
            let last = !matches!(piece, Ok(Some(_)));
            if self.send.send(piece).is_err() || last {
                return;
            }
        }
    }

    async fn next(&mut self, patience: Duration) -> Piece {
        loop {
            let server = || self.server.clone();
            let frame = match tokio::time::timeout(patience, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(HttpError::of(&self.server, error, Wait::Bytes, patience));
                }
                Err(_) => {
                    let (server, what) = (server(), Wait::Bytes);
                    return Err(HttpError::TimedOut { server, what, after: patience });
                }
            };
            match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    // Frames are pieces of what came over a socket at once: far smaller than the window.
                    let wanted = bytes.len().min(WINDOW) as u32;
                    match self.room.acquire_many(wanted).await {
                        Ok(permit) => permit.forget(),
                        // No one reads any more.
                        Err(_) => return Ok(None),
                    }
                    return Ok(Some(bytes));
                }
                Err(frame) => {
                    if let Some(message) = frame.trailers_ref().and_then(stream_error) {
                        return Err(HttpError::Failed { server: server(), message });
                    }
                }
            }
        }
    }
}

/// What Kubo says behind an answer that failed in the middle. IPFS Cluster sends the trailer behind
/// answers that went well, too, empty.
fn stream_error(trailers: &HeaderMap) -> Option<String> {
    let mut values = trailers.get_all("x-stream-error").iter();
    let value = values.find(|value| !value.as_bytes().trim_ascii().is_empty())?;
    Some(shown(&String::from_utf8_lossy(value.as_bytes())))
}

/// What a server says, cut to what fits on a screen, without what could move the cursor.
pub(crate) fn shown(text: &str) -> String {
    let clean = text.trim().chars().take(MAX_MESSAGE_CHARS);
    clean.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
