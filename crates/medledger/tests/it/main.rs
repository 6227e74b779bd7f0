//! The service as a whole: each test plays a part of a report's journey in a folder of its own.

mod access;
mod blocks;
mod cars;
mod claims;
mod delivery;
mod durability;
mod grants;
mod journey;
mod keeping;
mod many;
mod many_props;
mod names;
mod progress;
mod rotation;
mod support;
