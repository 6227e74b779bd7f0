//! A pinning service for tests, written from the Pinning Service API 1.0.0. It fetches nothing: requests go from
//! `queued` to `pinning` to `pinned` as they are looked at.

use super::played::{Part, Played};
use crate::http::test_server::{Answer, Request};
use medledger_core::Cid;
use serde_json::{Value, json};

pub(super) const TOKEN: &str = "s3cret-token";

/// The service and its server.
pub(super) type ServiceServer = Played<State>;

/// What the service knows.
pub(super) struct State {
    pub(super) requests: Vec<Entry>,
    created: u64,
    /// How often a request is looked at until it is pinned.
    pub(super) looks: u32,
    /// Results on a page at most, whatever the client wants.
    pub(super) page: usize,
    /// Whether `before` means "not after", as with IPFS Cluster's own service.
    pub(super) inclusive: bool,
    /// Roots that cannot be had.
    pub(super) cannot: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) cid: String,
    pub(super) name: Option<String>,
    pub(super) status: &'static str,
    pub(super) looks: u32,
    created: u64,
    origins: Value,
}

impl Played<State> {
    pub(super) fn start() -> Self {
        Self::play(State {
            requests: Vec::new(),
            created: 0,
            looks: 2,
            page: 1000,
            inclusive: false,
            cannot: Vec::new(),
        })
    }

    pub(super) fn url(&self) -> String {
        self.address() + "/psa"
    }

    /// As its operator losing a root, or an account being closed.
    pub(super) fn forget(&self, root: &Cid) {
        self.state().requests.retain(|entry| entry.cid != root.to_string());
    }
}

fn failure(status: u16, reason: &str, details: &str) -> Answer {
    let body = json!({"error": {"reason": reason, "details": details}});
    Answer::Whole(status, vec![], body.to_string().into_bytes())
}

fn answer(status: u16, body: &Value) -> Answer {
    let kind = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Answer::Whole(status, kind, body.to_string().into_bytes())
}

/// Times a second apart, so that each is there once.
pub(super) fn time(created: u64) -> String {
    let (hour, minute, second) = (created / 3600, created / 60 % 60, created % 60);
    format!("2026-11-01T{hour:02}:{minute:02}:{second:02}.5Z")
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).expect("hex digits")
            }
            other => other,
        });
    }
    String::from_utf8(decoded).expect("UTF-8")
}

impl Entry {
    pub(super) fn json(&self) -> Value {
        let mut info = json!({});
        if self.status == "failed" {
            info["status_details"] = "no provider found".into();
        }
        json!({
            "requestid": self.id, "status": self.status, "created": time(self.created),
            "pin": {"cid": self.cid, "name": self.name, "origins": self.origins, "meta": null},
            "delegates": ["/ip4/203.0.113.1/tcp/4001/p2p/QmServicePeerId"], "info": info,
        })
    }
}

impl Part for State {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return failure(401, "UNAUTHORIZED", "Access token is missing or invalid");
        }
        let Some(path) = request.path().strip_prefix("/psa/") else {
            return Answer::status(404, "<html>nothing here</html>");
        };
        let parts: Vec<String> = path.split('/').map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["pins"]) => self.list(request),
            ("POST", ["pins"]) => self.post(&request.body),
            ("GET", ["pins", id]) => match self.requests.iter().find(|entry| entry.id == *id) {
                Some(entry) => answer(200, &entry.json()),
                None => failure(404, "NOT_FOUND", "The specified resource was not found"),
            },
            ("POST", ["pins", id]) => {
                self.requests.retain(|entry| entry.id != *id);
                self.post(&request.body)
            }
            ("DELETE", ["pins", id]) => {
                let before = self.requests.len();
                self.requests.retain(|entry| entry.id != *id);
                if self.requests.len() == before {
                    failure(404, "NOT_FOUND", "The specified resource was not found")
                } else {
                    Answer::status(202, "")
                }
            }
            _ => Answer::status(404, "<html>nothing here</html>"),
        }
    }
}

impl State {
    pub(super) fn insert(&mut self, cid: &str, name: Option<&str>, status: &'static str) -> String {
        self.created += 1;
        // With characters that mean something in a path.
        let id = format!("Unique/{}?", self.created);
        let (cid, name, created) = (cid.to_owned(), name.map(str::to_owned), self.created);
        let origins = Value::Null;
        self.requests.push(Entry { id: id.clone(), cid, name, status, looks: 0, created, origins });
        id
    }

    fn post(&mut self, body: &[u8]) -> Answer {
        let Ok(pin) = serde_json::from_slice::<Value>(body) else {
            return failure(400, "BAD_REQUEST", "no JSON");
        };
        let cid = pin["cid"].as_str().filter(|cid| cid.parse::<Cid>().is_ok());
        let name = pin["name"].as_str();
        let (Some(cid), true) = (cid, name.is_none_or(|name| name.len() <= 255)) else {
            return failure(400, "BAD_REQUEST", "no CID, or too long a name");
        };
        self.insert(cid, name, "queued");
        let entry = self.requests.last_mut().expect("just put there");
        entry.origins = pin["origins"].clone();
        answer(202, &entry.json())
    }

    fn list(&mut self, request: &Request) -> Answer {
        let query = |name: &str| request.query(name).map(decode);
        let among = |wanted: &str, value: &str| wanted.split(',').any(|one| one == value);
        let statuses = query("status").unwrap_or_else(|| "pinned".to_owned());
        let (cids, name, before) = (query("cid"), query("name"), query("before"));
        assert!(matches!(query("match").as_deref(), None | Some("exact")));
        let inclusive = self.inclusive;
        let mut matching: Vec<&mut Entry> = self
            .requests
            .iter_mut()
            .filter(|entry| cids.as_ref().is_none_or(|cids| among(cids, &entry.cid)))
            .filter(|entry| name.is_none() || name == entry.name)
            .filter(|entry| {
                let time = time(entry.created);
                before.as_ref().is_none_or(|b| time < *b || (inclusive && time == *b))
            })
            .filter(|entry| among(&statuses, entry.status))
            .collect();
        matching.sort_by_key(|entry| std::cmp::Reverse(entry.created));
        let count = matching.len();
        let limit = query("limit").map_or(10, |limit| limit.parse().expect("a number"));
        matching.truncate(std::cmp::min(limit, self.page));
        let results: Vec<Value> = matching.iter().map(|entry| entry.json()).collect();
        for entry in matching {
            entry.looks += 1;
            let unfinished = matches!(entry.status, "queued" | "pinning");
            if unfinished && entry.looks >= self.looks {
                let fails = self.cannot.contains(&entry.cid);
                entry.status = if fails { "failed" } else { "pinned" };
            } else if unfinished {
                entry.status = "pinning";
            }
        }
        answer(200, &json!({"count": count, "results": results}))
    }
}
