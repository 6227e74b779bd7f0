//! Pinning services, by the Pinning Service API 1.0.0.

use super::service_answers::{MAX_PAGE, PinResults, PinStatus, Status, moment, standing};
use super::wire::{Found, Wire};
use super::{Audience, BackendError, BackendName, Label, ListingFault, PinBackend, Standing};
use crate::http::{Endpoint, shown};
use medledger_core::Cid;
use reqwest::Method;
use std::collections::BTreeMap;

/// Bytes of a page; a thousand pins with names, addresses and metadata have far fewer.
const MAX_PAGE_BYTES: u64 = 16 << 20;
/// Bytes of one pin.
const MAX_PIN_BYTES: u64 = 1 << 20;
/// Pages that are turned at most.
const MAX_PAGES: u32 = 10_000;
/// The most addresses a request has (`Origins`).
const MAX_ORIGINS: usize = 20;

/// How a pinning service is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// Who learns what it keeps.
    pub audience: Audience,
    /// What the pins are called.
    pub label: Label,
    /// Addresses (multiaddrs that end with `/p2p/ID`) of nodes that have the blocks. At most 20 are sent.
    pub origins: Vec<String>,
}

impl ServiceOptions {
    /// The label `medledger` and no addresses. A service that is not known to announce nothing is
    /// [`Audience::Public`].
    #[must_use]
    pub fn new(audience: Audience) -> Self {
        Self { audience, label: Label::default(), origins: Vec::new() }
    }
}

/// A pinning service ([specification](https://ipfs.github.io/pinning-services-api-spec/), 1.0.0).
///
/// The service makes a new request of every `POST`, so before one is sent, and again before it is sent a second time, it is looked for what
/// there is already; what came twice all the same (two programs at once, an answer that got lost) is reduced to one
/// by the next [`add`](PinBackend::add). Only requests whose name is the label are seen and touched.
///
/// A failed request is replaced by a new one which is made before the old is deleted. The call that does both is
/// not used: with IPFS Cluster's own pinning service, where a request is called by its CID, it deletes the pin.
///
/// See the [module](super) for an example.
#[derive(Clone, Debug)]
pub struct PinningService {
    wire: Wire,
    pub(super) options: ServiceOptions,
}

impl PinningService {
    /// Takes the address below which `/pins` lies, with the token as its credentials. Nothing is sent yet.
    #[must_use]
    pub fn new(name: BackendName, endpoint: Endpoint, options: ServiceOptions) -> Self {
        let kind = "pinning service";
        Self { wire: Wire { endpoint, backend: name, kind }, options }
    }

    /// What there is for a root under our label, the one to keep first.
    fn requests(&self, root: &Cid) -> Result<Vec<PinStatus>, BackendError> {
        let cid = root.to_string();
        let found = self.search(&[("cid", &cid)], MAX_PAGE)?;
        for request in &found {
            self.wire.same_root(root, &request.pin.cid)?;
        }
        let mut ours: Vec<_> = found.into_iter().filter(|request| self.is_ours(request)).collect();
        ours.sort_by_cached_key(PinStatus::order);
        Ok(ours)
    }

    fn is_ours(&self, request: &PinStatus) -> bool {
        request.pin.name.as_deref() == Some(self.options.label.as_str())
    }

    /// Turns pages, newest first, until there are no more.
    fn search(
        &self,
        filter: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<PinStatus>, BackendError> {
        let mut found = BTreeMap::<String, PinStatus>::new();
        let (mut told, mut before) = (None, None::<String>);
        let page_size = MAX_PAGE.to_string();
        for _ in 0..MAX_PAGES {
            let mut query = vec![("status", Status::ALL), ("limit", page_size.as_str())];
            query.extend_from_slice(filter);
            query.extend(before.as_deref().map(|before| ("before", before)));
            let page = self.page(&query)?;
            told.get_or_insert(page.count);
            let last = page.results.len() as u64 >= page.count;
            let sorted = page.results.windows(2).all(|two| newer_first(&two[0], &two[1]));
            let oldest = page.results.last().map(|request| request.created.clone());
            let known = found.len();
            found.extend(page.results.into_iter().map(|one| (one.requestid.clone(), one)));
            if found.len() > limit {
                return Err(BackendError::TooMany { backend: self.wire.backend.clone(), limit });
            }
            if last {
                let (told, given) = (told.unwrap_or_default(), found.len() as u64);
                return if given < told {
                    Err(self.fault(ListingFault::Incomplete { told, given }))
                } else {
                    Ok(found.into_values().collect())
                };
            }
            if !sorted {
                return Err(self.fault(ListingFault::Disorder));
            }
            // The oldest may come again, where `before` means "not after".
            let goes_on = match (&before, &oldest) {
                (Some(before), Some(oldest)) => moment(oldest) < moment(before),
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if found.len() == known || !goes_on {
                return Err(self.fault(ListingFault::Repeats));
            }
            before = oldest;
        }
        Err(self.fault(ListingFault::Endless(MAX_PAGES)))
    }

    fn page(&self, query: &[(&str, &str)]) -> Result<PinResults, BackendError> {
        let what = "page of pins";
        let call = self.wire.call(Method::GET, "pins", query);
        let page: PinResults = self.wire.must(call, MAX_PAGE_BYTES, what)?;
        if page.results.len() > MAX_PAGE {
            let detail = format!("it has {} results, at most {MAX_PAGE}", page.results.len());
            return Err(self.wire.malformed(what, detail));
        }
        match page.results.iter().find_map(PinStatus::fault) {
            Some(fault) => Err(self.wire.malformed(what, fault)),
            None => Ok(page),
        }
    }

    fn post(&self, root: &Cid) -> Result<PinStatus, BackendError> {
        let origins: Vec<_> = self.options.origins.iter().take(MAX_ORIGINS).collect();
        let mut body = serde_json::json!({
            "cid": root.to_string(),
            "name": self.options.label.as_str(),
        });
        if !origins.is_empty() {
            body["origins"] = serde_json::json!(origins);
        }
        let call = self.wire.call(Method::POST, "pins", &[]);
        let call = call.header("content-type", "application/json").body(body.to_string());
        let status: PinStatus = self.wire.must(call, MAX_PIN_BYTES, "pin status")?;
        if let Some(fault) = status.fault() {
            return Err(self.wire.malformed("pin status", fault));
        }
        self.wire.same_root(root, &status.pin.cid)?;
        Ok(status)
    }

    /// Deletes a request; one that is gone already is no error.
    fn delete(&self, request: &PinStatus) -> Result<(), BackendError> {
        let path = format!("pins/{}", as_segment(&request.requestid));
        match self.wire.send(self.wire.call(Method::DELETE, &path, &[]))? {
            Found::Yes(_) | Found::No => Ok(()),
        }
    }

    /// Deletes what is not needed beside the one that is kept: what failed, and the rest once the one has
    /// all. Nothing depends on it: what stays is seen the next time.
    fn tidy(&self, keep: &PinStatus, others: &[PinStatus]) {
        let superfluous = |other: &&PinStatus| {
            let done = keep.status == Status::Pinned || other.status == Status::Failed;
            done && other.requestid != keep.requestid
        };
        for other in others.iter().filter(superfluous) {
            if let Err(error) = self.delete(other) {
                let backend = self.wire.backend.as_str();
                tracing::warn!(backend, %error, "a superfluous pin request stays");
                return;
            }
        }
    }

    fn fault(&self, fault: ListingFault) -> BackendError {
        BackendError::Listing { backend: self.wire.backend.clone(), fault }
    }
}

impl PinBackend for PinningService {
    fn name(&self) -> &BackendName {
        &self.wire.backend
    }

    fn audience(&self) -> Audience {
        self.options.audience
    }

    fn add(&self, root: &Cid) -> Result<Standing, BackendError> {
        self.wire.again(|| {
            let there = self.requests(root)?;
            if let Some(best) = there.first().filter(|best| best.status != Status::Failed) {
                self.tidy(best, &there[1..]);
                return Ok(standing(&there));
            }
            let new = self.post(root)?;
            self.tidy(&new, &there);
            Ok(standing(&[new]))
        })
    }

    fn status(&self, root: &Cid) -> Result<Standing, BackendError> {
        self.wire.again(|| Ok(standing(&self.requests(root)?)))
    }

    fn remove(&self, root: &Cid) -> Result<bool, BackendError> {
        // An answer that got lost may have been that it was removed.
        let mut there = false;
        self.wire.again(|| {
            for request in &self.requests(root)? {
                there = true;
                self.delete(request)?;
            }
            Ok(there)
        })
    }

    fn list(&self, limit: usize) -> Result<Vec<Cid>, BackendError> {
        self.wire.again(|| {
            let name = ("name", self.options.label.as_str());
            let found = self.search(&[name, ("match", "exact")], limit)?;
            let ours = found.iter().filter(|request| self.is_ours(request));
            let mut roots = ours
                .map(|request| {
                    let cid = &request.pin.cid;
                    cid.parse().map_err(|error: medledger_core::cid::CidError| {
                        self.wire.malformed("page of pins", format!("{}: {error}", shown(cid)))
                    })
                })
                .collect::<Result<Vec<Cid>, _>>()?;
            roots.sort_unstable();
            roots.dedup();
            Ok(roots)
        })
    }
}

fn newer_first(first: &PinStatus, second: &PinStatus) -> bool {
    moment(&first.created) >= moment(&second.created)
}

/// A text as one segment of a path (RFC 3986, section 3.3), whatever is in it.
fn as_segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}
