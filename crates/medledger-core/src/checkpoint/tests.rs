use super::*;
use crate::clock::Timestamp;
use crate::merkle;
use crate::registry::limit::{CHECKPOINT_BYTES, CHECKPOINT_SIGNATURES};
use ed25519_zebra::SigningKey;
use proptest::prelude::*;

/// The example of the C2SP signed-note specification.
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// The example of the C2SP tlog-cosignature specification; its keys are not published.
const EXAMPLE_CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

struct Hospital {
    secret: SigningKey,
    key: NoteKey,
}

fn hospital(n: u8) -> Hospital {
    let secret = SigningKey::from([n; 32]);
    let public = secret.verification_key().into();
    Hospital { secret, key: NoteKey::cosigner(format!("hospital-{n}"), public).unwrap() }
}

fn chain() -> ChainId {
    ChainId::from_bytes([9; 32])
}

fn note() -> SignedNote {
    let root = merkle::root(["a", "b"]);
    SignedNote::new(Checkpoint::new(&chain(), 2, root).to_string()).unwrap()
}

fn cosign(note: &mut SignedNote, by: &Hospital, time: u64) {
    note.cosign(&by.key, Timestamp::from_secs(time), &mut |m| by.secret.sign(m).to_bytes())
        .unwrap();
}

fn keys(hospitals: &[Hospital]) -> Vec<NoteKey> {
    hospitals.iter().map(|hospital| hospital.key.clone()).collect()
}

#[test]
fn the_example_of_the_specification_verifies_and_not_when_changed() {
    let key: NoteKey = EXAMPLE_KEY.parse().unwrap();
    assert_eq!((key.name(), key.id()), ("example.com/foo", 0x530d_903a));
    assert_eq!(key.to_string(), EXAMPLE_KEY);
    let note = SignedNote::from_bytes(EXAMPLE_NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.to_string(), EXAMPLE_NOTE);
    let verified = Verified { key: 0, time: None };
    assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![verified]));
    let changed = EXAMPLE_NOTE.replace("example message", "other message");
    let changed = SignedNote::from_bytes(changed.as_bytes()).unwrap();
    assert!(matches!(changed.verify(&[key]), Err(VerifyError::WrongSignature { .. })));
    assert_eq!(note.verify(&[hospital(1).key]), Err(VerifyError::NoKnownSignature));
    assert_eq!(note.verify(&[]), Err(VerifyError::NoKnownSignature));
}

#[test]
fn the_checkpoint_of_the_specification_is_read_and_written_alike() {
    let note = SignedNote::from_bytes(EXAMPLE_CHECKPOINT.as_bytes()).unwrap();
    assert_eq!(note.to_string(), EXAMPLE_CHECKPOINT);
    assert_eq!(note.signatures().len(), 2);
    assert_eq!(note.signatures()[1].name(), "witness.example.com/w1");
    assert_eq!(note.signatures()[1].key_id(), 0x8d66_cf3f);
    let checkpoint: Checkpoint = note.text().parse().unwrap();
    assert_eq!(
        (checkpoint.origin.as_str(), checkpoint.size),
        ("example.com/behind-the-sofa", 20_852_163)
    );
    assert_eq!(checkpoint.to_string(), note.text());
    assert!(!checkpoint.is_of(&chain()));
}

#[test]
fn checkpoints_are_read_in_their_one_form_only() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let good = format!("o\n5\n{root}\n");
    assert_eq!(good.parse::<Checkpoint>().unwrap().size, 5);
    assert!(format!("o\n0\n{root}\n").parse::<Checkpoint>().is_ok());
    assert!(format!("o\n18446744073709551615\n{root}\n").parse::<Checkpoint>().is_ok());
    for (text, why) in [
        (String::new(), "empty"),
        (format!("o\n5\n{root}"), "no last newline"),
        (format!("o\n5\n{root}\nextension\n"), "extension line"),
        (format!("o\n5\n{root}\n\n"), "empty line"),
        (format!("\n5\n{root}\n"), "no origin"),
        (format!("o\n05\n{root}\n"), "leading zero"),
        (format!("o\n+5\n{root}\n"), "sign"),
        (format!("o\n-1\n{root}\n"), "negative"),
        (format!("o\n 5\n{root}\n"), "space"),
        (format!("o\n\n{root}\n"), "no size"),
        (format!("o\n18446744073709551616\n{root}\n"), "more than 64 bits"),
        (format!("o\n٥\n{root}\n"), "not ASCII"),
        ("o\n5\n\n".to_owned(), "no root"),
        (format!("o\n5\n{}\n", &root[..43]), "no padding"),
        (format!("o\n5\n{}\n", root.replace("q2I=", "q2J=")), "spare bits set"),
        (format!("o\n5\n{}\n", root.replace('/', "_")), "other alphabet"),
        ("o\n5\nAAAA\n".to_owned(), "three bytes"),
        (format!("o\r\n5\r\n{root}\r\n"), "carriage returns"),
    ] {
        assert!(text.parse::<Checkpoint>().is_err(), "{why}");
    }
}

#[test]
fn notes_that_break_a_rule_are_refused() {
    let refused = |note: &str| SignedNote::from_bytes(note.as_bytes()).unwrap_err();
    let line = "— n AAAAAAAA\n";
    assert!(SignedNote::from_bytes(format!("t\n\n{line}").as_bytes()).is_ok());
    assert!(SignedNote::from_bytes(format!("t\n\nmore\n\n{line}").as_bytes()).is_ok());
    for note in ["", "t\n", "t\n\n", "— n AAAAAAAA\n", "\n"] {
        assert_eq!(refused(note), NoteError::Unsigned, "{note:?}");
    }
    for bad in [
        "— n AAAAAAAA",
        "—  AAAAAAAA\n",
        "- n AAAAAAAA\n",
        "—n AAAAAAAA\n",
        "— n\n",
        "— n AAAA\n",
        "— n AAAAAA==\n",
        "— n AAAAAAA\n",
        "— n AAAAAAB=\n",
        "— n+m AAAAAAAA\n",
        "— n\u{a0}m AAAAAAAA\n",
        "— n AAAAAAAA \n",
        "— n  AAAAAAAA\n",
        "text\n",
    ] {
        let refused = refused(&format!("t\n\n{line}{bad}"));
        assert!(matches!(refused, NoteError::SignatureLine { .. }), "{bad:?}: {refused}");
    }
    assert_eq!(refused(&format!("t\tu\n\n{line}")), NoteError::Character { at: 1 });
    assert_eq!(refused(&format!("t\r\n\n{line}")), NoteError::Character { at: 1 });
    assert_eq!(SignedNote::from_bytes(b"t\n\xff"), Err(NoteError::Character { at: 2 }));
    assert_eq!(SignedNote::new("t"), Err(NoteError::Text));
    assert_eq!(SignedNote::new(""), Err(NoteError::Text));
}

#[test]
fn bytes_and_signatures_are_bounded() {
    let lines = |n| format!("t\n\n{}", "— n AAAAAAAA\n".repeat(n));
    let read = |text: String| SignedNote::from_bytes(text.as_bytes());
    assert_eq!(
        read(lines(CHECKPOINT_SIGNATURES)).unwrap().signatures().len(),
        CHECKPOINT_SIGNATURES
    );
    let limit = CHECKPOINT_SIGNATURES;
    assert_eq!(read(lines(limit + 1)), Err(NoteError::TooManySignatures { limit }));
    let long = format!("{}\n\n— n AAAAAAAA\n", "t".repeat(CHECKPOINT_BYTES));
    assert!(matches!(read(long), Err(NoteError::TooLong { .. })));
    let mut full = read(lines(limit)).unwrap();
    let by = hospital(1);
    let signed = full.cosign(&by.key, Timestamp::from_secs(1), &mut |_| [0; 64]);
    assert_eq!(signed, Err(NoteError::TooManySignatures { limit }));
    // Filled up to the last byte but no further.
    let mut long = SignedNote::new(format!("{}\n", "t".repeat(CHECKPOINT_BYTES - 100))).unwrap();
    let signed = long.cosign(&by.key, Timestamp::from_secs(1), &mut |_| [0; 64]);
    assert!(matches!(signed, Err(NoteError::TooLong { .. })));
    assert!(long.signatures().is_empty());
}

#[test]
fn cosignatures_sign_the_bytes_of_the_specification() {
    let by = hospital(1);
    let mut note = note();
    let mut seen = Vec::new();
    note.cosign(&by.key, Timestamp::from_secs(1_679_315_147), &mut |message| {
        seen = message.to_vec();
        by.secret.sign(message).to_bytes()
    })
    .unwrap();
    let expected = format!("cosignature/v1\ntime 1679315147\n{}", note.text());
    assert_eq!(seen, expected.as_bytes());
    let time = Some(Timestamp::from_secs(1_679_315_147));
    assert_eq!(note.verify(std::slice::from_ref(&by.key)), Ok(vec![Verified { key: 0, time }]));
    // The kinds do not stand in for each other.
    let plain = NoteKey::ed25519(by.key.name(), *by.key.public_key()).unwrap();
    assert_ne!(plain.id(), by.key.id());
    assert_eq!(note.verify(std::slice::from_ref(&plain)), Err(VerifyError::NoKnownSignature));
    let refused = note.sign(&by.key, &mut |_| [0; 64]);
    assert!(matches!(refused, Err(NoteError::OtherKind { .. })));
    let refused = note.cosign(&plain, Timestamp::from_secs(1), &mut |_| [0; 64]);
    assert!(matches!(refused, Err(NoteError::OtherKind { .. })));
    assert!(note.sign(&plain, &mut |m| by.secret.sign(m).to_bytes()).is_ok());
    assert_eq!(note.verify(&[plain, by.key]).unwrap().len(), 2);
}

#[test]
fn a_cosignature_with_another_time_does_not_verify() {
    let by = hospital(1);
    let mut note = note();
    cosign(&mut note, &by, 1000);
    let text = note.to_string();
    let blob = text.trim_end().rsplit(' ').next().unwrap();
    let mut bytes = STANDARD.decode(blob).unwrap();
    for (at, value) in [(11, 0xff), (4, 0x80)] {
        let before = std::mem::replace(&mut bytes[at], value);
        let changed = text.replace(blob, &STANDARD.encode(&bytes));
        let note = SignedNote::from_bytes(changed.as_bytes()).unwrap();
        let refused = note.verify(std::slice::from_ref(&by.key));
        assert!(matches!(refused, Err(VerifyError::WrongSignature { .. })));
        bytes[at] = before;
    }
    let short = text.replace(blob, &STANDARD.encode(&bytes[..50]));
    let short = SignedNote::from_bytes(short.as_bytes()).unwrap();
    assert!(matches!(short.verify(&[by.key]), Err(VerifyError::WrongSignature { .. })));
}

#[test]
fn quorum_is_more_than_two_thirds() {
    for n in 1..1000 {
        let q = quorum(n);
        assert_eq!(q, 2 * n / 3 + 1);
        assert!(q <= n && 3 * q > 2 * n);
    }
    assert_eq!(quorum(0), 1);
    assert_eq!(quorum(usize::MAX), usize::MAX / 3 * 2 + 1);
}

#[test]
fn a_block_is_final_when_a_quorum_of_hospitals_has_cosigned() {
    let hospitals: Vec<_> = (1..=4).map(hospital).collect();
    let keys = keys(&hospitals);
    let mut note = note();
    assert_eq!(
        finality(&note, &chain(), &keys),
        Err(FinalityError::Signature(VerifyError::NoKnownSignature))
    );
    cosign(&mut note, &hospitals[0], 1);
    cosign(&mut note, &hospitals[1], 2);
    // Again by the same, at another time: no third vote.
    cosign(&mut note, &hospitals[1], 3);
    cosign(&mut note, &hospital(77), 4);
    let too_few = FinalityError::TooFew { found: 2, hospitals: 4, needed: 3 };
    assert_eq!(finality(&note, &chain(), &keys), Err(too_few));
    let mut others = self::note();
    cosign(&mut others, &hospitals[3], 5);
    assert_eq!(note.merge(&others), Ok(true));
    assert_eq!(note.merge(&SignedNote::from_bytes(EXAMPLE_NOTE.as_bytes()).unwrap()), Ok(false));
    let note = SignedNote::from_bytes(note.to_string().as_bytes()).unwrap();
    assert_eq!(finality(&note, &chain(), &keys).unwrap().size, 2);
    let other = ChainId::from_bytes([8; 32]);
    let refused = finality(&note, &other, &keys);
    assert!(matches!(refused, Err(FinalityError::OtherChain { .. })));
    assert!(matches!(finality(&note, &chain(), &[]), Err(FinalityError::Signature(_))));
}

#[test]
fn one_hospital_with_many_keys_and_one_key_under_many_names_count_once() {
    let (a, b) = (hospital(1), hospital(2));
    let second = NoteKey::cosigner(a.key.name(), *b.key.public_key()).unwrap();
    let second = Hospital { secret: SigningKey::from([2; 32]), key: second };
    let mut note = note();
    cosign(&mut note, &a, 1);
    cosign(&mut note, &second, 1);
    let third = hospital(3).key;
    let refused = finality(&note, &chain(), &[a.key.clone(), second.key.clone(), third.clone()]);
    assert_eq!(refused, Err(FinalityError::TooFew { found: 1, hospitals: 2, needed: 2 }));
    let alias = NoteKey::cosigner("alias", *a.key.public_key()).unwrap();
    let alias = Hospital { secret: SigningKey::from([1; 32]), key: alias };
    let mut note = self::note();
    cosign(&mut note, &a, 1);
    cosign(&mut note, &alias, 1);
    let refused = finality(&note, &chain(), &[a.key, alias.key, third]);
    assert_eq!(refused, Err(FinalityError::TooFew { found: 1, hospitals: 3, needed: 3 }));
}

#[test]
fn a_plain_signature_makes_nothing_final() {
    let by = hospital(1);
    let plain = NoteKey::ed25519("log", *by.key.public_key()).unwrap();
    let mut note = note();
    note.sign(&plain, &mut |m| by.secret.sign(m).to_bytes()).unwrap();
    let refused = finality(&note, &chain(), &[plain]);
    assert!(matches!(refused, Err(FinalityError::TooFew { found: 0, .. })));
}

#[test]
fn verifier_keys_that_do_not_fit_are_refused() {
    let parse = |text: &str| text.parse::<NoteKey>();
    assert_eq!(
        parse(&EXAMPLE_KEY.replace("530d903a", "530d903b")),
        Err(NoteKeyError::WrongId { found: 0x530d_903b, expected: 0x530d_903a })
    );
    assert!(matches!(parse(&EXAMPLE_KEY.replace("foo", "bar")), Err(NoteKeyError::WrongId { .. })));
    assert!(matches!(parse(&EXAMPLE_KEY.replace("foo", "f o")), Err(NoteKeyError::Name { .. })));
    assert!(matches!(
        parse(&EXAMPLE_KEY.replace("+Aeky", "+Beky")),
        Err(NoteKeyError::UnknownKind { found: 0x05 })
    ));
    for bad in ["", "a", "a+b", "a+530d903a+", "a+530d903a+AQ==", "a+30d903a+AQ==", "a++AQ=="] {
        assert!(matches!(parse(bad), Err(NoteKeyError::Malformed { .. })), "{bad:?}");
    }
    for bad in ["", "a b", "a+b", "a\nb", "a\u{2003}b", "a\0b"] {
        assert!(
            matches!(NoteKey::ed25519(bad, [0; 32]), Err(NoteKeyError::Name { .. })),
            "{bad:?}"
        );
    }
    // A key that is no point on the curve verifies nothing.
    let key = NoteKey::cosigner("n", [2; 32]).unwrap();
    let mut note = note();
    note.cosign(&key, Timestamp::from_secs(1), &mut |_| [0; 64]).unwrap();
    assert!(matches!(note.verify(&[key]), Err(VerifyError::WrongSignature { .. })));
}

proptest! {
    #[test]
    fn any_checkpoint_reads_back(origin in "[^\\n]{1,40}", size in any::<u64>(), root in any::<[u8; 32]>()) {
        let checkpoint = Checkpoint { origin, size, root: TreeHash::from_bytes(root) };
        prop_assert_eq!(checkpoint.to_string().parse::<Checkpoint>(), Ok(checkpoint));
    }

    #[test]
    fn what_is_accepted_is_written_back_byte_for_byte(
        text in "(a|\n|— |é|\u{1}| ){0,12}", lines in "(— |n| |A|AAAAAAAA|=|\\+|\n){0,16}",
    ) {
        let bytes = format!("{text}\n\n{lines}");
        if let Ok(note) = SignedNote::from_bytes(bytes.as_bytes()) {
            prop_assert_eq!(note.to_string(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedNote::from_bytes(&bytes).map(|note| note.verify(&[hospital(1).key]));
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = (text.parse::<Checkpoint>(), text.parse::<NoteKey>());
        }
    }

    #[test]
    fn no_single_changed_byte_leaves_a_note_valid(at in any::<proptest::sample::Index>(), xor in 1u8..) {
        let by = hospital(1);
        let mut note = note();
        cosign(&mut note, &by, 1_700_000_000);
        let mut bytes = note.to_string().into_bytes();
        prop_assert!(finality(&note, &chain(), std::slice::from_ref(&by.key)).is_ok());
        let at = at.index(bytes.len());
        bytes[at] ^= xor;
        if let Ok(note) = SignedNote::from_bytes(&bytes) {
            prop_assert!(finality(&note, &chain(), &[by.key]).is_err());
        }
    }
}
