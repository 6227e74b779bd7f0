//! A small HTTP server for tests: it answers what it is told to, also what no honest server would.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What came in.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body; what came of it, where it was not whole.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Request {
    /// The path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The first value of a name in the query, percent-decoding left out.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.target.split_once('?')?.1.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What goes out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// A status, headers and a body of declared length.
    Whole(u16, Vec<(String, String)>, Vec<u8>),
    /// A body in chunks, and trailers behind it.
    Chunks(Vec<Vec<u8>>, Vec<(String, String)>),
    /// A body that declares more bytes than it has.
    Truncated(Vec<u8>, usize),
    /// These bytes again and again, with a pause between, until no one takes them.
    Endless(Vec<u8>, Duration),
    /// The beginning of a body in chunks, then silence.
    Stalled(Vec<u8>),
    /// Silence.
    Nothing,
    /// The connection closes.
    Closed,
    /// Another answer with more headers.
    With(Vec<(String, String)>, Box<Answer>),
}

impl Answer {
    /// A status and a text.
    #[must_use]
    pub fn status(status: u16, text: &str) -> Self {
        Self::Whole(status, Vec::new(), text.as_bytes().to_vec())
    }

    /// This answer with a header more.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self::With(vec![(name.to_owned(), value.to_owned())], Box::new(self))
    }

    /// Status 200 and these bytes.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(200, Vec::new(), body.into())
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// The server; it stops when dropped. Connections carry one request each.
pub struct TestServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl std::fmt::Debug for TestServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl TestServer {
    /// Starts to listen on the loopback address. Each request is read to its end before it is answered.
    ///
    /// # Panics
    /// When no port is to be had.
    #[must_use]
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(handler, |_| None)
    }

    /// As [`start`](Self::start), but `early` sees a request before its body was read and may answer then.
    ///
    /// # Panics
    /// When no port is to be had.
    #[must_use]
    pub fn with(
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        early: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let stopped = Arc::<AtomicBool>::default();
        let server = Self { address, seen: Arc::clone(&seen), stopped: Arc::clone(&stopped) };
        let (handler, early) = (Arc::new(handler), Arc::new(early));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (handler, early) = (Arc::clone(&handler), Arc::clone(&early));
                let (seen, stopped) = (Arc::clone(&seen), Arc::clone(&stopped));
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || {
                    let early: &(dyn Fn(&Request) -> Option<Answer> + Send + Sync) = &*early;
                    // A client that goes away is part of many tests.
                    let _ = serve(stream, &*handler, early, &seen, &stopped);
                });
            }
        });
        server
    }

    /// Its address, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came in so far, in the order of its ends.
    pub fn seen(&self) -> Vec<Request> {
        lock(&self.seen).clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    stream: TcpStream,
    handler: &Handler,
    early: &(dyn Fn(&Request) -> Option<Answer> + Send + Sync),
    seen: &Mutex<Vec<Request>>,
    stopped: &AtomicBool,
) -> io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut request = read_head(&mut input)?;
    if let Some(answer) = early(&request) {
        lock(seen).push(request);
        return send(stream, answer, stopped);
    }
    let body = read_body(&mut input, &mut request);
    request.whole = body.is_ok();
    lock(seen).push(request.clone());
    body?;
    send(stream, handler(&request), stopped)
}

fn read_head(input: &mut impl BufRead) -> io::Result<Request> {
    let mut request = Request::default();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    request.method = words.next().unwrap_or_default().to_owned();
    request.target = words.next().unwrap_or_default().to_owned();
    if request.target.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(request) };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(input: &mut impl BufRead, request: &mut Request) -> io::Result<()> {
    if request.header("transfer-encoding").is_none() {
        let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        return input.read_exact(&mut request.body);
    }
    let mut line = String::new();
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16)
            .map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let from = request.body.len();
        request.body.resize(from + length, 0);
        input.read_exact(&mut request.body[from..])?;
        line.clear();
        input.read_line(&mut line)?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn send(mut stream: TcpStream, mut answer: Answer, stopped: &AtomicBool) -> io::Result<()> {
    let mut more = "Connection: close\r\n".to_owned();
    while let Answer::With(headers, inner) = answer {
        for (name, value) in headers {
            more += &format!("{name}: {value}\r\n");
        }
        answer = *inner;
    }
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{more}");
    match answer {
        Answer::Whole(status, headers, body) => {
            write!(stream, "HTTP/1.1 {status} Status\r\n{more}")?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
            stream.write_all(&body)?;
        }
        Answer::Truncated(body, declared) => {
            write!(stream, "HTTP/1.1 200 OK\r\n{more}Content-Length: {declared}\r\n\r\n")?;
            stream.write_all(&body)?;
        }
        Answer::Chunks(chunks, trailers) => {
            let names: Vec<_> = trailers.iter().map(|(name, _)| name.as_str()).collect();
            write!(stream, "{chunked}Trailer: {}\r\n\r\n", names.join(", "))?;
            for chunk in chunks {
                write_chunk(&mut stream, &chunk)?;
            }
            write!(stream, "0\r\n")?;
            for (name, value) in trailers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            write!(stream, "\r\n")?;
        }
        Answer::Endless(piece, pause) => {
            write!(stream, "{chunked}\r\n")?;
            while !stopped.load(Ordering::Relaxed) {
                write_chunk(&mut stream, &piece)?;
                std::thread::sleep(pause);
            }
        }
        Answer::Stalled(piece) => {
            write!(stream, "{chunked}\r\n")?;
            write_chunk(&mut stream, &piece)?;
            until_gone(&stream)?;
        }
        Answer::Nothing => until_gone(&stream)?,
        Answer::Closed | Answer::With(..) => return Ok(()),
    }
    stream.flush()?;
    // So that what was sent is not lost because something that came in was never read.
    stream.shutdown(std::net::Shutdown::Write)?;
    until_gone(&stream)
}

fn write_chunk(stream: &mut TcpStream, chunk: &[u8]) -> io::Result<()> {
    write!(stream, "{:x}\r\n", chunk.len())?;
    stream.write_all(chunk)?;
    stream.write_all(b"\r\n")
}

/// Waits until the client has gone, or is not going to.
fn until_gone(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    io::copy(&mut stream, &mut io::sink()).map(drop)
}
