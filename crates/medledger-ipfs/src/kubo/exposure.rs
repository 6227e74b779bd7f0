//! Who, beside us, learns what a node stores.

use super::{Kubo, KuboError};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// Whether a node speaks only to nodes that hold the same swarm key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// There is a swarm key.
    Private,
    /// There is none.
    Open,
    /// The node's folder is not on this machine, and its RPC does not tell.
    Unknown,
}

/// Why a node would tell the public network what it stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announces {
    /// `Routing.Type`.
    pub routing: String,
    /// `Provide.Strategy`.
    pub strategy: String,
}

impl fmt::Display for Announces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { routing, strategy } = self;
        write!(
            f,
            "it provides {strategy:?} by routing {routing:?}, and has no swarm key that we know of"
        )
    }
}

impl Announces {
    /// What to do about it.
    #[must_use]
    pub const fn mend(&self) -> &'static str {
        "run `ipfs config --json Provide.Enabled false` and `ipfs config Routing.Type none`, and restart it"
    }
}

/// What a node's settings say of who learns what it stores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposure {
    /// `Routing.Type`.
    pub routing: String,
    /// Whether it announces what it has: `Provide.Enabled`, or `Provider.Enabled` of older nodes.
    pub provides: bool,
    /// `Provide.Strategy`: what it announces.
    pub strategy: String,
    /// Whether there is a swarm key.
    pub privacy: Privacy,
    /// Peers that it goes to by itself.
    pub bootstrap: usize,
    /// `Addresses.API`.
    pub rpc: Vec<String>,
    /// Whether the RPC asks who is there (`API.Authorizations`), as it did when it was asked.
    pub rpc_authorized: bool,
    /// `Addresses.Gateway`.
    pub gateway: Vec<String>,
    /// Whether the gateway fetches what the node has not got: not `Gateway.NoFetch`.
    pub gateway_fetches: bool,
    /// `Addresses.Swarm`.
    pub swarm: Vec<String>,
    /// Whether it looks for nodes in the local network, and they for it: `Discovery.MDNS.Enabled`.
    pub mdns: bool,
    /// Whether anonymous statistics are sent, as far as the settings say.
    pub telemetry: bool,
    /// Whether blocks are synced to the disk before they count as stored.
    pub synced: bool,
}

impl Exposure {
    /// Reads a node's settings, as `config/show` gives them. What is not there has Kubo's default. Whom the RPC
    /// lets in they do not tell.
    #[must_use]
    pub fn of_config(config: &Value, privacy: Privacy) -> Self {
        let at = |path: &str| config.pointer(path);
        let text = |path: &str, default: &str| {
            at(path).and_then(Value::as_str).filter(|t| !t.is_empty()).unwrap_or(default).to_owned()
        };
        let flag = |path: &str, default: bool| at(path).and_then(Value::as_bool).unwrap_or(default);
        // Before Kubo 0.38 two systems announced, and both had to be off.
        let older = flag("/Provider/Enabled", true) || text("/Reprovider/Interval", "22h") != "0";
        let routing = text("/Routing/Type", "auto");
        Self {
            provides: flag("/Provide/Enabled", older),
            strategy: text("/Provide/Strategy", &text("/Reprovider/Strategy", "all")),
            routing,
            privacy,
            bootstrap: at("/Bootstrap").and_then(Value::as_array).map_or(0, Vec::len),
            rpc: addresses(at("/Addresses/API")),
            rpc_authorized: false,
            gateway: addresses(at("/Addresses/Gateway")),
            gateway_fetches: !flag("/Gateway/NoFetch", false),
            swarm: addresses(at("/Addresses/Swarm")),
            mdns: flag("/Discovery/MDNS/Enabled", true),
            telemetry: text("/Plugins/Plugins/telemetry/Config/Mode", "auto") != "off"
                && !flag("/Plugins/Plugins/telemetry/Disabled", false),
            synced: at("/Datastore/Spec").is_none_or(is_synced),
        }
    }

    /// How the node would tell the public network what it stores, if it would. Where it is not known
    /// whether there is a swarm key, it counts as not there.
    #[must_use]
    pub fn announces(&self) -> Option<Announces> {
        let speaks = self.provides && self.routing != "none" && self.privacy != Privacy::Private;
        speaks.then(|| Announces { routing: self.routing.clone(), strategy: self.strategy.clone() })
    }
}

impl Kubo {
    /// Reads the node's settings, and looks for its swarm key where its folder is on this machine.
    ///
    /// # Errors
    /// When a call fails.
    pub fn exposure(&self) -> Result<Exposure, KuboError> {
        let config = self.config()?;
        let privacy = match config.pointer("/Identity/PeerID").and_then(Value::as_str) {
            Some(peer) if self.endpoint.is_loopback() => privacy(&self.stat()?.path, peer),
            _ => Privacy::Unknown,
        };
        let rpc_authorized = self.asks_who_is_there()?;
        Ok(Exposure { rpc_authorized, ..Exposure::of_config(&config, privacy) })
    }

    /// Its settings do not tell, so somebody without credentials asks for something harmless.
    fn asks_who_is_there(&self) -> Result<bool, KuboError> {
        let stranger = Self { endpoint: self.endpoint.without_auth() };
        match stranger.version() {
            Err(KuboError::Denied { .. }) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Looks into a node's folder, which must be that of this peer: it could be a path on another machine
/// behind a tunnel.
fn privacy(folder: &str, peer: &str) -> Privacy {
    let folder = Path::new(folder);
    let config = std::fs::read(folder.join("config")).ok();
    let config = config.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let theirs = config.as_ref().and_then(|c| c.pointer("/Identity/PeerID")?.as_str());
    if theirs != Some(peer) {
        return Privacy::Unknown;
    }
    match folder.join("swarm.key").try_exists() {
        Ok(true) => Privacy::Private,
        Ok(false) => Privacy::Open,
        Err(_) => Privacy::Unknown,
    }
}

/// One address or several.
fn addresses(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    match value {
        Some(Value::Array(all)) => all.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Whether every flatfs in a datastore's description syncs what it writes.
fn is_synced(spec: &Value) -> bool {
    match spec {
        Value::Object(fields) => {
            let flatfs = fields.get("type").and_then(Value::as_str) == Some("flatfs");
            let syncs = fields.get("sync").and_then(Value::as_bool).unwrap_or(true);
            (!flatfs || syncs) && fields.values().all(is_synced)
        }
        Value::Array(all) => all.iter().all(is_synced),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(config: &Value) -> Exposure {
        Exposure::of_config(config, Privacy::Open)
    }

    /// What Kubo 0.42 does when nothing is configured.
    #[test]
    fn an_unconfigured_node_announces() {
        let exposure = of(&json!({"Bootstrap": ["auto"], "Provide": {"DHT": {}}, "Routing": {}}));
        let announces = exposure.announces().unwrap();
        assert_eq!((announces.routing.as_str(), announces.strategy.as_str()), ("auto", "all"));
        assert!(exposure.telemetry && exposure.gateway_fetches && !exposure.rpc_authorized);
    }

    #[test]
    fn any_of_three_settings_keeps_a_node_quiet() {
        assert_eq!(of(&json!({"Provide": {"Enabled": false}})).announces(), None);
        assert_eq!(of(&json!({"Routing": {"Type": "none"}})).announces(), None);
        let private = Exposure::of_config(&json!({}), Privacy::Private);
        assert_eq!(private.announces(), None);
        assert!(Exposure::of_config(&json!({}), Privacy::Unknown).announces().is_some());
    }

    /// Settings of before 0.38, where two systems announced.
    #[test]
    fn older_settings_are_understood() {
        let half = json!({"Provider": {"Enabled": false}, "Reprovider": {"Strategy": "roots"}});
        assert_eq!(of(&half).announces().unwrap().strategy, "roots");
        let both = json!({"Provider": {"Enabled": false}, "Reprovider": {"Interval": "0"}});
        assert_eq!(of(&both).announces(), None);
    }

    #[test]
    fn addresses_are_one_or_several() {
        let exposure = of(&json!({"Addresses": {
            "API": ["/ip4/0.0.0.0/tcp/5001", "/ip4/127.0.0.1/tcp/5001"],
            "Gateway": "/ip4/127.0.0.1/tcp/8080",
        }}));
        assert_eq!((exposure.rpc.len(), exposure.gateway.len()), (2, 1));
    }

    #[test]
    fn a_flatfs_that_does_not_sync_is_seen() {
        let spec = |sync: bool| {
            json!({"Datastore": {"Spec": {"type": "mount", "mounts": [
                {"type": "flatfs", "sync": sync}, {"type": "levelds"}]}}})
        };
        assert!(of(&spec(true)).synced && !of(&spec(false)).synced && of(&json!({})).synced);
    }

    /// Settings are the node's: whatever they are, they are read.
    #[test]
    fn nonsense_counts_as_not_set() {
        let nonsense = json!({"Provide": 7, "Routing": {"Type": []}, "Addresses": {"API": {}}});
        assert!(of(&nonsense).announces().is_some());
        assert!(of(&json!(null)).announces().is_some());
    }
}
