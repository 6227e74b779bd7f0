//! The service as a whole: each test plays a part of a report's journey in a folder of its own.

mod access;
mod admission;
mod alike;
mod attempts;
mod blocks;
mod cars;
mod claims;
mod consent;
mod delivery;
mod durability;
mod elsewhere;
mod grants;
mod hospitals;
mod journey;
mod keeping;
mod keys;
mod many;
mod many_props;
mod names;
mod progress;
mod release;
mod restored;
mod rotation;
mod rotation_groups;
mod succession;
mod support;
