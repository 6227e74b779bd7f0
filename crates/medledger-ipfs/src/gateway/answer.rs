//! One answer of a gateway: its status, its kind, and its bytes with bounds on number and time.

use super::GatewayError;
use crate::block::MAX_BLOCK_BYTES;
use crate::http::{Download, Reply, fill, take};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The longest value of a header that is shown.
const MAX_SHOWN: usize = 200;

/// The answer to a request for this media type; none when the gateway has not got it.
///
/// `404` and `410` say so, and `412` where only what is there was asked for
/// (trustless gateway specification, "Response Status Codes").
pub(super) fn accepted(reply: Reply, asked: &'static str) -> Result<Option<Reply>, GatewayError> {
    let gateway = || reply.name.to_string();
    match reply.status {
        200 => {}
        404 | 410 | 412 => return Ok(None),
        status @ 300..400 => {
            let location = header(&reply, LOCATION.as_str());
            return Err(GatewayError::Redirected { gateway: gateway(), status, location });
        }
        _ => {
            let seconds = header(&reply, RETRY_AFTER.as_str()).trim().parse().ok();
            let retry_after = seconds.map(Duration::from_secs);
            return Err(GatewayError::Refused { source: reply.refusal(), retry_after });
        }
    }
    let found = header(&reply, CONTENT_TYPE.as_str());
    let kind = found.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(asked) {
        return Err(GatewayError::NotTrustless { gateway: gateway(), asked, found });
    }
    Ok(Some(reply))
}

fn header(reply: &Reply, name: &str) -> String {
    let value = reply.headers.get(name).map_or(&[][..], |value| value.as_bytes());
    let text = String::from_utf8_lossy(value);
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

/// The bytes of an answer. Each stretch of them, a block at most, has to come within a time: a server that
/// is never silent for long and never done either is not waited for.
#[derive(Debug)]
pub(super) struct Bounded {
    body: Download,
    gateway: String,
    piece: bytes::Bytes,
    most: u64,
    bytes: u64,
    within: Duration,
    /// Bytes of this stretch, and how long they were waited for.
    stretch: usize,
    waited: Duration,
}

impl Bounded {
    pub(super) fn new(reply: Reply, most: u64, within: Duration) -> Self {
        let (body, gateway) = (reply.body, reply.name.to_string());
        let (piece, waited) = (bytes::Bytes::new(), Duration::ZERO);
        Self { body, gateway, piece, most, bytes: 0, within, stretch: 0, waited }
    }

    fn next(&mut self) -> Result<Option<bytes::Bytes>, GatewayError> {
        let asked = Instant::now();
        let Some(piece) = self.body.next()? else { return Ok(None) };
        // What the reader does with them takes no time of the server's.
        self.waited += asked.elapsed();
        self.bytes += piece.len() as u64;
        if self.bytes > self.most {
            return Err(GatewayError::TooMuch { gateway: self.gateway.clone(), limit: self.most });
        }
        if self.waited > self.within {
            let (gateway, after) = (self.gateway.clone(), self.within);
            return Err(GatewayError::Slow { gateway, bytes: self.bytes, after });
        }
        self.stretch += piece.len();
        if self.stretch >= MAX_BLOCK_BYTES {
            (self.stretch, self.waited) = (0, Duration::ZERO);
        }
        Ok(Some(piece))
    }

    pub(super) fn all(mut self) -> Result<Vec<u8>, GatewayError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next()? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// Errors hold a [`GatewayError`].
impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut piece = std::mem::take(&mut self.piece);
        let filled = fill(&mut piece, || self.next());
        self.piece = piece;
        filled.map(|()| take(&mut self.piece, buffer))
    }
}
