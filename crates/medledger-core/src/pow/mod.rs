//! Proof of work: Bitcoin's 80-byte header, compact target and 256-bit work, and the miner.
//!
//! The bytes and the arithmetic are Bitcoin's, so real Bitcoin headers are test vectors here and any
//! tool of that field can check ours. Only the root differs in meaning: it is the RFC 9162 root of
//! [`merkle`](crate::merkle), not Bitcoin's own tree.
//!
//! ```
//! use medledger_core::pow::{Header, Work};
//! // The header of Bitcoin's genesis block.
//! let header: Header = concat!(
//!     "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd",
//!     "7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
//! )
//! .parse()?;
//! let id = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
//! assert_eq!(header.id().to_string(), id);
//! assert!(header.meets_target());
//! assert_eq!(header.target()?.work().to_string(), "4295032833");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod header;
mod miner;
mod schedule;
mod search;
mod target;
mod time;
mod work;

pub use header::{Header, ParseHeaderError};
pub use miner::{Inline, Outcome, Watch, Workers, mine, mine_watched};
pub use schedule::{Below, Schedule, ScheduleError};
pub use search::search;
pub use sha256_lanes::{Kernel, Scan};
pub use target::{Bits, BitsError, ParseBitsError, Target};
pub use time::{median_time_at, median_time_past};
pub use work::{Work, best_first};

/// Real Bitcoin headers: name, header, hash as Bitcoin prints it. The hash vouches for the rest.
#[cfg(test)]
pub(crate) const BITCOIN_HEADERS: &[(&str, &str, &str)] = &[
    (
        "genesis",
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    ),
    (
        "1",
        "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
        "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
    ),
    (
        "2",
        "010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fdcc541e25de1c7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61",
        "000000006a625f06636b8bb6ac7b960a8d03705d1ace08b1a19da3fdcc99ddbd",
    ),
    (
        "170",
        "0100000055bd840a78798ad0da853f68974f3d183e2bd1db6a842c1feecf222a00000000ff104ccb05421ab93e63f8c3ce5c2c2e9dbb37de2764b3a3175c8166562cac7d51b96a49ffff001d283e9e70",
        "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee",
    ),
    (
        "100000",
        "0100000050120119172a610421a6c3011dd330d9df07b63616c2cc1f1cd00200000000006657a9252aacd5c0b2940996ecff952228c3067cc38d4885efb5a4ac4247e9f337221b4d4c86041b0f2b5710",
        "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506",
    ),
    (
        "125552",
        "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
        "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d",
    ),
    (
        "840000",
        "00e05f2aab948491071265ad552351d0ad625745668da54b0172010000000000000000004f89a5d73bd4d4887f25981fe81892ccafda10c27f52d6f3dd28183a7c411b03b7072366194203177d9863ea",
        "0000000000000000000320283a032748cef8227873ff4872689bf23f1cda83a5",
    ),
];
