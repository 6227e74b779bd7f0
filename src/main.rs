//! The command `medledger`.
#![forbid(unsafe_code)]

fn main() {
    println!("medledger {}", env!("CARGO_PKG_VERSION"));
}
