//! What is wrong with a node, and how to mend it.

use super::{Exposure, Id, Kubo, KuboError, Privacy, Stat, Version};
use crate::http::HttpError;
use std::fmt;
use std::net::IpAddr;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Should be mended.
    Warning,
    /// Must be mended before reports go there.
    Fault,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        })
    }
}

/// Something about a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, in a word, for programs.
    pub about: &'static str,
    /// What is the matter.
    pub text: String,
    /// How to mend it.
    pub mend: String,
}

/// A node's state of health.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Its address.
    pub server: String,
    /// Its version, if it told.
    pub version: Option<Version>,
    /// Who it is, if it told.
    pub id: Option<Id>,
    /// What it holds, if it told.
    pub stat: Option<Stat>,
    /// Who learns what it stores, if it told.
    pub exposure: Option<Exposure>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether reports may go there.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Fault)
    }
}

impl Kubo {
    /// Looks at everything that is known to go wrong with a node. A node that does not answer is a
    /// finding, too. With `deep`, the node looks into each of its pins.
    #[must_use]
    pub fn check(&self, deep: bool) -> Report {
        let mut report = Report {
            server: self.endpoint().name().to_owned(),
            version: None,
            id: None,
            stat: None,
            exposure: None,
            findings: Vec::new(),
        };
        let mut findings = Findings::default();
        self.look(&mut report, &mut findings, deep).unwrap_or_else(|e| findings.failed(&e));
        report.findings = findings.0;
        report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        report
    }

    fn look(
        &self,
        report: &mut Report,
        findings: &mut Findings,
        deep: bool,
    ) -> Result<(), KuboError> {
        report.version = Some(self.version()?);
        report.id = Some(self.id()?);
        let stat = self.stat()?;
        findings.space(&stat);
        report.stat = Some(stat);
        let exposure = self.exposure()?;
        findings.exposure(&exposure);
        report.exposure = Some(exposure);
        let endpoint = self.endpoint();
        if endpoint.has_auth() && endpoint.is_in_clear() && !endpoint.is_loopback() {
            findings.add(
                Severity::Warning,
                "credentials",
                "credentials are sent in clear, over a network",
                "put the RPC behind a proxy with TLS and use its https address",
            );
        }
        if deep {
            findings.pins(self)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        severity: Severity,
        about: &'static str,
        text: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.0.push(Finding { severity, about, text: text.into(), mend: mend.into() });
    }

    /// The node did not answer as it should: the rest cannot be known.
    fn failed(&mut self, error: &KuboError) {
        let mend = match error {
            KuboError::Http(HttpError::Connect { .. }) => {
                "start it (`ipfs daemon`), or give the address that its Addresses.API names"
            }
            KuboError::Http(_) => "look into the node's log",
            KuboError::Denied { .. } => "give the credentials that API.Authorizations names",
            KuboError::NoSuchCall { .. } => "give the address of the RPC, not of the gateway",
            KuboError::TooOld { .. } => "update the node",
            _ => "look into the node's log, or update it",
        };
        self.add(Severity::Fault, "answer", error.to_string(), mend);
    }

    fn space(&mut self, stat: &Stat) {
        // Kubo's own collection begins at nine tenths.
        if stat.most > 0 && stat.bytes > stat.most / 10 * 9 {
            let text = format!("it holds {} of {} bytes", stat.bytes, stat.most);
            self.add(
                Severity::Warning,
                "space",
                text,
                "raise Datastore.StorageMax, or collect with `ipfs repo gc`",
            );
        }
    }

    fn exposure(&mut self, exposure: &Exposure) {
        if let Some(announces) = exposure.announces() {
            let text = format!("it tells the public network what it stores: {announces}");
            self.add(Severity::Fault, "announces", text, announces.mend());
        }
        let outside = |addresses: &[String]| -> Vec<String> {
            addresses.iter().filter(|address| !is_loopback(address)).cloned().collect()
        };
        self.swarm(exposure, &outside(&exposure.swarm));
        let rpc = outside(&exposure.rpc);
        if !rpc.is_empty() && !exposure.rpc_authorized {
            let text = format!("anybody who reaches {} controls it", rpc.join(" and "));
            self.add(
                Severity::Fault,
                "rpc",
                text,
                "run `ipfs config Addresses.API /ip4/127.0.0.1/tcp/5001`, or set API.Authorizations",
            );
        }
        let gateway = outside(&exposure.gateway);
        if !gateway.is_empty() {
            let text =
                format!("its gateway serves everybody who reaches {}", gateway.join(" and "));
            self.add(
                Severity::Warning,
                "gateway",
                text,
                "run `ipfs config Addresses.Gateway /ip4/127.0.0.1/tcp/8080`",
            );
        }
        if exposure.gateway_fetches && !exposure.gateway.is_empty() {
            self.add(
                Severity::Note,
                "gateway-fetches",
                "its gateway asks peers for what it has not got",
                "run `ipfs config --json Gateway.NoFetch true`",
            );
        }
        if exposure.telemetry {
            self.add(
                Severity::Note,
                "telemetry",
                "it sends anonymous statistics of its use, unless its environment says otherwise",
                "run `ipfs config Plugins.Plugins.telemetry.Config.Mode off`, or set IPFS_TELEMETRY=off",
            );
        }
        if !exposure.synced {
            self.add(
                Severity::Warning,
                "sync",
                "it does not sync blocks: a loss of power may take reports that it confirmed",
                "keep reports embedded as well, or set \"sync\": true for flatfs in Datastore.Spec (and in the file datastore_spec)",
            );
        }
    }

    fn swarm(&mut self, exposure: &Exposure, outside: &[String]) {
        if exposure.mdns && exposure.privacy != Privacy::Private {
            self.add(
                Severity::Warning,
                "mdns",
                "it connects to any node of the local network, which may ask it for blocks",
                "run `ipfs config --json Discovery.MDNS.Enabled false`, or give it a swarm key",
            );
        }
        match exposure.privacy {
            Privacy::Private => {}
            Privacy::Open if outside.is_empty() && exposure.bootstrap == 0 => {}
            Privacy::Open => self.add(
                Severity::Warning,
                "swarm-key",
                "it has no swarm key: any node of the public network may connect and ask for blocks",
                "put the same swarm.key into the folder of each node of yours, and run `ipfs bootstrap rm --all`",
            ),
            Privacy::Unknown => self.add(
                Severity::Note,
                "swarm-key",
                "whether it has a swarm key cannot be seen from here",
                "run this on the node's machine, as a user who may read the node's folder",
            ),
        }
    }

    fn pins(&mut self, kubo: &Kubo) -> Result<(), KuboError> {
        for pin in kubo.pin_verify()?.into_iter().filter(|pin| !pin.bad.is_empty()) {
            let text = format!("{} is pinned and not whole: {}", pin.root, pin.bad.join(", "));
            self.add(
                Severity::Fault,
                "pins",
                text,
                "fetch what is missing: `medledger blocks repair`",
            );
        }
        Ok(())
    }
}

/// Whether a multiaddr is of the machine itself.
fn is_loopback(address: &str) -> bool {
    let mut parts = address.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some("ip4" | "ip6"), Some(ip)) => ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        (Some("dns" | "dns4" | "dns6"), Some(name)) => name == "localhost",
        (Some("unix"), _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(config: &Value, privacy: Privacy) -> Vec<(Severity, &'static str)> {
        found_of(&Exposure::of_config(config, privacy))
    }

    fn found_of(exposure: &Exposure) -> Vec<(Severity, &'static str)> {
        let mut findings = Findings::default();
        findings.exposure(exposure);
        findings.0.into_iter().map(|finding| (finding.severity, finding.about)).collect()
    }

    fn quiet() -> Value {
        json!({
            "Addresses": {
                "API": "/ip4/127.0.0.1/tcp/5001",
                "Gateway": [],
                "Swarm": ["/ip4/10.0.0.1/tcp/4001"],
            },
            "Bootstrap": [],
            "Discovery": {"MDNS": {"Enabled": false}},
            "Provide": {"Enabled": false},
            "Routing": {"Type": "none"},
            "Plugins": {"Plugins": {"telemetry": {"Config": {"Mode": "off"}}}},
        })
    }

    fn with(path: &str, value: Value) -> Value {
        let mut config = quiet();
        *config.pointer_mut(path).unwrap() = value;
        config
    }

    #[test]
    fn a_node_as_it_should_be_has_no_finding() {
        assert_eq!(found(&quiet(), Privacy::Private), []);
    }

    #[test]
    fn pitfall_18_an_rpc_open_to_the_network_is_a_fault_unless_it_asks_who_is_there() {
        for address in
            ["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001", "/dns/node/tcp/5001", "nonsense"]
        {
            let open = with("/Addresses/API", json!(["/ip4/127.0.0.1/tcp/5001", address]));
            assert_eq!(found(&open, Privacy::Private), [(Severity::Fault, "rpc")], "{address}");
            let mut exposure = Exposure::of_config(&open, Privacy::Private);
            exposure.rpc_authorized = true;
            assert_eq!(found_of(&exposure), [], "{address}");
        }
        for address in
            ["/ip6/::1/tcp/1", "/ip4/127.9.9.9/tcp/1", "/dns4/localhost/tcp/1", "/unix/x"]
        {
            let local = with("/Addresses/API", json!(address));
            assert_eq!(found(&local, Privacy::Private), [], "{address}");
        }
    }

    #[test]
    fn pitfall_10_a_node_that_announces_is_a_fault() {
        let mut config = with("/Provide/Enabled", json!(true));
        config["Routing"]["Type"] = json!("dhtclient");
        let findings = found(&config, Privacy::Open);
        assert!(findings.contains(&(Severity::Fault, "announces")), "{findings:?}");
    }

    #[test]
    fn the_rest_is_found_as_well() {
        let found_one = |config: &Value, privacy| match found(config, privacy)[..] {
            [(_, about)] => about,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(found_one(&quiet(), Privacy::Open), "swarm-key");
        assert_eq!(found_one(&quiet(), Privacy::Unknown), "swarm-key");
        let mdns = with("/Discovery/MDNS/Enabled", json!(true));
        assert_eq!(found(&mdns, Privacy::Private), []);
        assert!(found(&mdns, Privacy::Unknown).contains(&(Severity::Warning, "mdns")));
        let mode = "/Plugins/Plugins/telemetry/Config/Mode";
        assert_eq!(found_one(&with(mode, json!("auto")), Privacy::Private), "telemetry");
        let mut spec = quiet();
        spec["Datastore"] = json!({"Spec": {"type": "flatfs", "sync": false}});
        assert_eq!(found_one(&spec, Privacy::Private), "sync");
        let gateway = with("/Addresses/Gateway", json!("/ip4/0.0.0.0/tcp/8080"));
        let both = found(&gateway, Privacy::Private);
        assert_eq!(both, [(Severity::Warning, "gateway"), (Severity::Note, "gateway-fetches")]);
    }

    #[test]
    fn a_full_repository_is_found() {
        let stat = |bytes| Stat { bytes, most: 1000, blocks: 1, path: String::new() };
        let mut findings = Findings::default();
        findings.space(&stat(900));
        assert!(findings.0.is_empty());
        findings.space(&stat(901));
        assert_eq!(findings.0[0].about, "space");
    }
}
