//! No variant of the service's errors falls to the wildcard by oversight: the sources are read and
//! each variant must be named in the mapping.

use std::path::Path;

/// Files and the enums in them whose variants are mapped one by one.
const MAPPED: &[(&str, &[&str])] = &[
    ("crates/medledger-core/src/store.rs", &["StoreError"]),
    ("crates/medledger-core/src/engine/mod.rs", &["SubmitError", "OrderError"]),
    ("crates/medledger-core/src/identity/locked.rs", &["LockError", "UnlockError"]),
    ("crates/medledger-core/src/identity/consent.rs", &["ConsentError"]),
    ("crates/medledger-core/src/receipt.rs", &["ReceiptError"]),
    ("crates/medledger-core/src/finality/compare.rs", &["CompareError"]),
    ("crates/medledger-core/src/seal/format.rs", &["SealError", "UnsealError"]),
    ("crates/medledger-core/src/slot.rs", &["SlotError"]),
    ("crates/medledger-ipfs/src/store/error.rs", &["StoreError"]),
    ("crates/medledger/src/ledger/opening.rs", &["OpenError"]),
    ("crates/medledger/src/blocks.rs", &["BlocksError"]),
    ("crates/medledger/src/backup.rs", &["BackupError"]),
    ("crates/medledger/src/prune.rs", &["PruneError"]),
    ("crates/medledger/src/storage/mod.rs", &["StorageError"]),
    ("crates/medledger-ipfs/src/store/mirror/mod.rs", &["CatchUpError"]),
    ("crates/medledger/src/create.rs", &["CreateError"]),
    ("crates/medledger/src/create/joining.rs", &["HospitalError"]),
    ("crates/medledger/src/hospitals.rs", &["HospitalChangeError"]),
    ("crates/medledger-core/src/hospital/proposal.rs", &["ProposalError"]),
    ("crates/medledger/src/checkpoints.rs", &["CheckEvidenceError"]),
    ("crates/medledger/src/news.rs", &["NewsError"]),
    ("crates/medledger/src/settings.rs", &["SettingsError"]),
    ("crates/medledger/src/node_key.rs", &["NodeKeyError"]),
    ("crates/medledger/src/mail/mod.rs", &["NotifyError"]),
    ("crates/medledger/src/people.rs", &["RegisterError", "IdentityError"]),
    ("crates/medledger/src/identity_file.rs", &["IdentityFileError"]),
    ("crates/medledger/src/succeed.rs", &["SuccessionError"]),
    ("crates/medledger/src/upload/mod.rs", &["UploadError"]),
    ("crates/medledger/src/idempotency.rs", &["IdempotencyError"]),
    ("crates/medledger/src/request.rs", &["RequestError", "RefuseError"]),
    ("crates/medledger/src/approve.rs", &["ApproveError"]),
    ("crates/medledger/src/revoke.rs", &["RevokeError"]),
    ("crates/medledger/src/rotate.rs", &["RotateError"]),
    ("crates/medledger/src/release.rs", &["ReleaseSlotError"]),
    ("crates/medledger-core/src/release.rs", &["ReleaseError"]),
    ("crates/medledger/src/groups.rs", &["GroupError"]),
    ("crates/medledger-ipfs/src/pipeline/mod.rs", &["PipelineError"]),
    ("crates/medledger/src/audit.rs", &["AuditError"]),
    ("crates/medledger/src/open_report.rs", &["OpenReportError"]),
    ("crates/medledger/src/mine.rs", &["WaitError"]),
    ("crates/medledger/src/export.rs", &["ExportError"]),
    ("crates/medledger/src/import.rs", &["ImportError"]),
    ("crates/medledger-core/src/follow.rs", &["FollowError"]),
    ("crates/medledger-ipfs/src/unixfs/folder.rs", &["FolderError"]),
];

/// Errors of the service that are mapped as a whole, or never leave it.
const WHOLE: &[&str] = &["ParseTimeError"];

const MAPPING: &str = concat!(
    include_str!("mod.rs"),
    include_str!("cars.rs"),
    include_str!("grants.rs"),
    include_str!("hospitals.rs"),
    include_str!("receipts.rs"),
    include_str!("storage.rs"),
    include_str!("keys.rs"),
    include_str!("use_cases.rs")
);

/// Names of an enum's variants in its source.
fn variants(source: &str, name: &str) -> Vec<String> {
    let start = source.find(&format!("pub enum {name} {{")).unwrap_or_else(|| panic!("no {name}"));
    let body = &source[start..];
    let body = &body[..body.find("\n}").expect("an end")];
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect()
}

#[test]
fn every_variant_of_the_services_errors_is_mapped_by_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut forgotten = Vec::new();
    for (file, enums) in MAPPED {
        let source = std::fs::read_to_string(root.join(file)).expect(file);
        for name in *enums {
            let alias =
                if file.ends_with("-ipfs/src/store/error.rs") { "BlockError" } else { name };
            let variants = variants(&source, name);
            assert!(!variants.is_empty(), "{name} in {file}");
            for variant in variants {
                let wanted = format!("{alias}::{variant}");
                let named = MAPPING.match_indices(&wanted).any(|(at, _)| {
                    !MAPPING[at + wanted.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
                });
                if !named {
                    forgotten.push(wanted);
                }
            }
        }
    }
    assert!(forgotten.is_empty(), "without a fault of their own: {forgotten:?}");
}

#[test]
fn no_public_error_of_the_service_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/medledger/src");
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("text");
            for line in source.lines().filter_map(|line| line.strip_prefix("pub enum ")) {
                let name = line.split([' ', '<']).next().unwrap_or_default();
                let known =
                    MAPPED.iter().any(|(_, enums)| enums.contains(&name)) || WHOLE.contains(&name);
                assert!(known || !name.ends_with("Error"), "{name} in {}", path.display());
            }
        }
    }
}
