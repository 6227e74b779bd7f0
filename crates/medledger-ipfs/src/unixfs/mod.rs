//! Files as UnixFS trees (<https://specs.ipfs.tech/unixfs/>).
//!
//! A file is cut into leaves of equal size; up to `width` of them are linked by a branch node, up to
//! `width` branches by the next level, until one node is left: its CID names the file. Which CID
//! comes out depends on every parameter of the [`Profile`], so the profile belongs to the CID.

mod builder;
pub mod dagpb;
mod directory;
mod folder;
mod leaves;
mod name;
mod node;
mod profile;
mod reader;
mod whole;

pub use builder::{Builder, Root};
pub use directory::{
    Directory, DirectoryError, DirectoryRoot, Entry, MAX_DIRECTORY_BYTES, MAX_FOLDERS,
    MAX_NAME_BYTES, ResolveError, resolve,
};
pub use folder::{FolderError, FolderOptions, add_folder};
pub use name::{cid_of, cid_of_with};
pub use node::{Child, FileNode, NodeError};
pub use profile::{CidVersion, Leaves, Profile, ProfileError};
pub use reader::{FileReader, MAX_DEPTH, ReadError};
