//! The service to embed.
#![forbid(unsafe_code)]

#[cfg(feature = "sqlite")]
pub mod sqlite;
