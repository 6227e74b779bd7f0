//! What the servers of these tests have in common: a part that is played over HTTP, which can be looked at and changed
//! while it is, and made to misbehave.

use crate::http::test_server::{Answer, Request, TestServer};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A server as it should be: what it knows, and what it answers.
pub(super) trait Part: Send + 'static {
    /// The answer to a request. Whatever is asked with another method than `GET` may change something.
    fn answer(&mut self, request: &Request) -> Answer;
}

type Interference = Box<dyn Fn(&Request, u32) -> Option<Answer> + Send>;

/// A part, and how it misbehaves.
pub(super) struct Playing<P> {
    part: P,
    /// Answers to so many changes get lost after they were made.
    pub(super) lose: u32,
    /// Answers in place of the part; told how many requests came before.
    interfere: Option<Interference>,
    asked: u32,
}

/// A part and the server that plays it, on a loopback port of its own; it stops when dropped.
pub(super) struct Played<P> {
    server: TestServer,
    playing: Arc<Mutex<Playing<P>>>,
}

impl<P: Part> Played<P> {
    pub(super) fn play(part: P) -> Self {
        let playing = Playing { part, lose: 0, interfere: None, asked: 0 };
        let playing = Arc::new(Mutex::new(playing));
        let shared = Arc::clone(&playing);
        let server = TestServer::start(move |request| lock(&shared).serve(request));
        Self { server, playing }
    }

    /// Where it listens, without a path.
    pub(super) fn address(&self) -> String {
        self.server.url()
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.server.seen()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Playing<P>> {
        lock(&self.playing)
    }

    /// Answers in its place from now on, with what the function gives.
    pub(super) fn interfere(
        &self,
        with: impl Fn(&Request, u32) -> Option<Answer> + Send + 'static,
    ) {
        let mut playing = self.state();
        playing.asked = 0;
        playing.interfere = Some(Box::new(with));
    }

    pub(super) fn behave(&self) {
        self.state().interfere = None;
    }
}

impl<P: Part> Playing<P> {
    fn serve(&mut self, request: &Request) -> Answer {
        let asked = self.asked;
        self.asked += 1;
        if let Some(answer) = self.interfere.as_ref().and_then(|with| with(request, asked)) {
            return answer;
        }
        let answer = self.part.answer(request);
        if self.lose > 0 && request.method != "GET" {
            self.lose -= 1;
            return Answer::Closed;
        }
        answer
    }
}

impl<P> Deref for Playing<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.part
    }
}

impl<P> DerefMut for Playing<P> {
    fn deref_mut(&mut self) -> &mut P {
        &mut self.part
    }
}

fn lock<P>(playing: &Mutex<Playing<P>>) -> MutexGuard<'_, Playing<P>> {
    playing.lock().unwrap_or_else(PoisonError::into_inner)
}
