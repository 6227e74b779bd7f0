//! The receipt verifier for browsers: one file that needs no network.

/// An HTML page that checks a receipt in a browser, offline: DAG-CBOR or tlog-proof, dropped on it or
/// chosen, against a chain id. It loads and sends nothing, and its verdicts are those of
/// [`Receipt::check`](crate::Receipt::check), named by
/// [`Reason::name`](medledger_core::receipt::Reason::name).
///
/// ```
/// let page = std::env::temp_dir().join("medledger-verifier-example.html");
/// std::fs::write(&page, medledger::RECEIPT_VERIFIER)?;
/// # std::fs::remove_file(page)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub const RECEIPT_VERIFIER: &str = include_str!("../assets/receipt-verifier.html");
