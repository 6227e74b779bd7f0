//! CIDs that other programs gave: Kubo's tests of IPIP-0499, go-ipfs, js-ipfs.

use crate::bytes;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use medledger_ipfs::unixfs::{CidVersion, Leaves, Profile, Root, cid_of};
use std::io::Read;

/// Kubo's deterministic random bytes (`test/cli/testutils/random_deterministic.go`): the ChaCha20 key
/// stream under the SHA-256 of the seed, nonce zero.
struct Det {
    stream: chacha20::ChaCha20,
    left: u64,
}

fn det(seed: &str, len: u64) -> Det {
    use sha2::Digest;
    let key: [u8; 32] = sha2::Sha256::digest(seed).into();
    Det { stream: chacha20::ChaCha20::new(&key.into(), &[0; 12].into()), left: len }
}

impl Read for Det {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        buffer[..n].fill(0);
        self.stream.apply_keystream(&mut buffer[..n]);
        self.left -= n as u64;
        Ok(n)
    }
}

fn root(data: impl Read + Send, profile: Profile) -> Root {
    cid_of(data, profile).unwrap()
}

fn cid(data: impl Read + Send, profile: Profile) -> String {
    root(data, profile).cid.to_string()
}

#[test]
fn the_empty_file_has_its_well_known_cids() {
    let empty: &[u8] = b"";
    assert_eq!(cid(empty, Profile::V0_2015), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
    for profile in [Profile::V1_2025, Profile::KUBO_CIDV1] {
        let expected = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        assert_eq!(cid(empty, profile), expected);
    }
    assert_eq!(root(empty, Profile::V0_2015).dag_size, 6);
    assert_eq!(root(empty, Profile::V1_2025).dag_size, 0);
}

#[test]
fn hello_world_has_its_well_known_cids() {
    let text = &b"hello world"[..];
    assert_eq!(cid(text, Profile::V0_2015), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
    assert_eq!(
        cid(text, Profile::V1_2025),
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    );
    let wrapped = Profile::custom(CidVersion::V1, Leaves::DagPb, 1 << 18, 174).unwrap();
    assert_eq!(cid(text, wrapped), "bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa");
    // One raw leaf is the root, and raw leaves have no version 0.
    let v0_raw = Profile::custom(CidVersion::V0, Leaves::Raw, 1 << 18, 174).unwrap();
    assert_eq!(cid(text, v0_raw), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
}

#[test]
fn pitfall_15_files_at_the_boundaries_of_the_profiles_match_kubo() {
    for (seed, len, profile, expected) in [
        (
            "chunk-v0-seed",
            262_144,
            Profile::V0_2015,
            "QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE",
        ),
        (
            "v0-seed",
            174 * 262_144,
            Profile::V0_2015,
            "QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2",
        ),
        (
            "chunk-v1-seed",
            1_048_576,
            Profile::V1_2025,
            "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta",
        ),
        (
            "chunk-v1-seed",
            1_048_577,
            Profile::V1_2025,
            "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64",
        ),
        (
            "chunk-v1-seed",
            1_048_576,
            Profile::KUBO_CIDV1,
            "bafybeic2h5iy3qr6kenis5u6o7rhjxlv4iopgfxhnkaohxn7qo7nkwdlbm",
        ),
    ] {
        assert_eq!(cid(det(seed, len), profile), expected, "{seed} {len} {profile}");
    }
}

/// 1024 leaves: the widest tree of two levels.
#[test]
fn pitfall_15_one_gibibyte_matches_kubo() {
    let root = root(det("v1-2025-seed", 1 << 30), Profile::V1_2025);
    assert_eq!(root.cid.to_string(), "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm");
    assert_eq!(root.size, 1 << 30);
}

#[test]
fn three_million_bytes_match_js_ipfs_and_kubo() {
    let data = bytes(3_000_000);
    assert_eq!(cid(&data[..], Profile::V0_2015), "QmXjNbFxJNeUC2aeDxr2SSfq4svEY8HD4e1J3LYD6tfcFW");
    assert_eq!(
        cid(&data[..], Profile::V1_2025),
        "bafybeices3vqm35snerzf3rjok5xq5pr3wey2um3vaiujuotwqbupvz3wi"
    );
}

/// Leaves of one byte, two levels above them: made by go-ipfs 0.5, kept in the tests of `rust-unixfs`.
#[test]
fn leaves_of_one_byte_match_go_ipfs() {
    let text = b"Lorem ipsum dolor sit amet, sit enim montes aliquam. Cras non lorem, \
        rhoncus condimentum, irure et ante. Pulvinar suscipit odio ante, et tellus a enim, \
        wisi ipsum, vel rhoncus eget faucibus varius, luctus turpis nibh vel odio nulla pede.";
    let profile = Profile::custom(CidVersion::V0, Leaves::DagPb, 1, 174).unwrap();
    assert_eq!(text.len(), 237);
    assert_eq!(cid(&text[..], profile), "QmRQ6NZNUs4JrCT2y7tmCC1wUhjqYuTssB8VXbbN3rMffg");
}
