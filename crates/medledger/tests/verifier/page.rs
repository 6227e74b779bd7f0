//! What stands in the page.

use data_encoding::BASE64;
use medledger::RECEIPT_VERIFIER;
use medledger::core::receipt::Reason;
use sha2::{Digest, Sha256};

/// The page as a browser sees it, whatever the line ends of this checkout.
fn text() -> String {
    RECEIPT_VERIFIER.replace("\r\n", "\n")
}

/// What stands between a tag with this id and its end.
fn inside(tag: &str, id: &str) -> String {
    let text = text();
    let start = format!("<{tag} id=\"{id}\">");
    let body = text.split(&start).nth(1).unwrap_or_else(|| panic!("no {start}"));
    body.split(&format!("</{tag}>")).next().unwrap().to_owned()
}

#[test]
fn only_its_own_style_and_scripts_run_and_nothing_is_loaded() {
    let hash = |tag, id| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(inside(tag, id))));
    let policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src {}; script-src {} {}",
        hash("style", "style"),
        hash("script", "core"),
        hash("script", "page")
    );
    let meta = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">");
    assert!(text().contains(&meta), "the line must be\n{meta}");
    assert_eq!(text().matches("<script").count(), 2);
    assert_eq!(text().matches("<style").count(), 1);
    // The one address in it is that of a specification, in a comment.
    for part in ["src=", "href=", "url(", "@import", "innerHTML", "eval(", "fetch(", "onclick"] {
        assert!(!text().contains(part), "{part}");
    }
    let policy = text().find("Content-Security-Policy").unwrap();
    assert!(policy < text().find("<style").unwrap(), "the policy comes before what it governs");
}

#[test]
fn it_knows_every_reason_and_is_short_enough_to_be_read() {
    let page = inside("script", "page");
    for (_, name) in Reason::ALL {
        assert!(page.contains(&format!("    {name}: ")), "{name} has no words");
        assert!(inside("script", "core").contains(&format!("'{name}'")), "{name} is never found");
    }
    assert!(text().lines().count() < 1000);
}

/// Lists of the registry that the page repeats.
#[test]
fn it_knows_every_kind_role_and_purpose() {
    use medledger::core::registry::{Custody, Kind, Purpose, Role};
    let core = inside("script", "core");
    for kind in Kind::ALL {
        let (code, name) = (kind.code(), kind.name());
        let reserved = core.split("RESERVED = [").nth(1).unwrap().split(']').next().unwrap();
        let known = core.contains(&format!("[{code}n, ['{name}', "));
        let listed = reserved.split(", ").any(|number| number == code.to_string());
        assert_eq!((known, listed), (kind.in_force(), !kind.in_force()), "{name}");
    }
    let list = |names: Vec<&str>| format!("'{}'", names.join("', '"));
    for names in [
        list(Role::ALL.iter().map(|role| role.name()).collect()),
        list(Custody::ALL.iter().map(|custody| custody.name()).collect()),
        list(Purpose::ALL.iter().map(|purpose| purpose.name()).collect()),
    ] {
        assert!(core.contains(&format!("oneOf({names})")), "{names}");
    }
}

#[test]
fn it_knows_every_schedule_and_its_fields() {
    use medledger::core::pow::{Bits, Schedule};
    let (bits, floor) = (Bits::from_u32(0x1d00_ffff), Bits::from_u32(0x1d00_ffff));
    let schedules = [
        Schedule::Fixed { bits },
        Schedule::BITCOIN_MAINNET,
        Schedule::Asert { bits, floor, spacing: 1, half_life: 1 },
    ];
    let core = inside("script", "core");
    let listed = core.split("SCHEDULES = {").nth(1).unwrap().split("\n  }").next().unwrap();
    for schedule in schedules {
        // A new kind has to be added above, and in the page.
        let fields = match schedule {
            Schedule::Fixed { .. } => "fixed: { bits: u32 }",
            Schedule::Bitcoin { .. } => {
                "bitcoin: { bits: u32, floor: u32, window: u32, spacing: u32 }"
            }
            Schedule::Asert { .. } => {
                "asert: { bits: u32, floor: u32, spacing: u32, half_life: u32 }"
            }
            other => panic!("{other:?} is not known to the page"),
        };
        assert!(listed.contains(fields), "{fields}");
    }
    assert_eq!(listed.matches("bits: u32").count(), schedules.len());
}
