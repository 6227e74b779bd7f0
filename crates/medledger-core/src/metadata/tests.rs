use super::*;
use crate::Cid;
use crate::cid::Codec;
use crate::ids::ReportId;
use proptest::prelude::*;

fn rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn context() -> MetaContext {
    let body = Cid::of(Codec::Raw, b"body");
    MetaContext { report: ReportId::from_bytes([1; 16]), version: 1, epoch: 0, body }
}

fn sample() -> Metadata {
    Metadata::new("scan.dcm", "application/dicom", 77).unwrap().with_note("left knee").unwrap()
}

/// Plaintext with this structure, this length in front and padding of this byte to `total`.
fn padded(wire: &[u8], len: u32, filler: u8, total: usize) -> Vec<u8> {
    let mut plain = len.to_be_bytes().to_vec();
    plain.extend_from_slice(wire);
    plain.resize(total, filler);
    plain
}

fn wire(metadata: &Metadata) -> Vec<u8> {
    let plain = metadata.to_padded();
    let len = u32::from_be_bytes(plain[..4].try_into().unwrap()) as usize;
    plain[4..4 + len].to_vec()
}

#[test]
fn bytes_are_fixed() {
    let hex = data_encoding::HEXLOWER.encode(&wire(&sample()));
    let text =
        |s: &str| format!("{:02x}{}", 0x60 + s.len(), data_encoding::HEXLOWER.encode(s.as_bytes()));
    let want = format!(
        "a5{}01{}{}{}184d{}{}{}{}",
        text("v"),
        text("note"),
        text("left knee"),
        text("length"),
        text("file_name"),
        text("scan.dcm"),
        text("media_type"),
        text("application/dicom"),
    );
    assert_eq!(hex, want);
}

#[test]
fn the_longest_metadata_fits_its_limit() {
    let name = "n".repeat(limit::FILE_NAME_BYTES);
    let kind = format!("a/{}", "b".repeat(limit::MEDIA_TYPE_BYTES - 2));
    let longest = Metadata::new(&name, &kind, MAX_PLAIN_LEN).unwrap();
    let longest = longest.with_note(&"x".repeat(limit::NOTE_BYTES)).unwrap();
    assert!(wire(&longest).len() <= limit::METADATA_BYTES);
    let sealed = seal_meta(&Dek::from_bytes([1; 16]), &context(), &longest, &mut rng()).unwrap();
    assert!(is_padded_len(sealed.len() - 72));
    let back = unseal_meta(&Dek::from_bytes([1; 16]), &context(), &sealed).unwrap();
    assert_eq!(back, longest);
    assert!(matches!(
        Metadata::new(&"n".repeat(1025), "", 0),
        Err(MetadataError::TooLong { field: "file name", found: 1025, limit: 1024 })
    ));
    assert!(matches!(
        longest.with_note(&"x".repeat(8193)),
        Err(MetadataError::TooLong { field: "note", .. })
    ));
    assert!(matches!(
        Metadata::new("", &format!("{kind}b"), 0),
        Err(MetadataError::TooLong { field: "media type", .. })
    ));
    assert!(matches!(Metadata::new("", "", MAX_PLAIN_LEN + 1), Err(MetadataError::Length { .. })));
}

#[test]
fn pitfall_37_names_that_are_paths_or_hide_characters_are_refused() {
    let paths = ["a/b", "..\\x"];
    let hiding = ["a\0", "a\nb", "\u{7f}", "\u{9b}", "a\u{2028}b", "a\u{202e}fdp.exe", "a\u{200b}"];
    for name in paths.into_iter().chain(hiding) {
        let result = Metadata::new(name, "", 0);
        assert!(matches!(result, Err(MetadataError::Character { .. })), "{name:?}");
    }
    for name in [".", ".."] {
        assert!(matches!(Metadata::new(name, "", 0), Err(MetadataError::FileName { .. })));
    }
    for kind in ["pdf", "/", "a/", "/b", "a/b/c", " a/b", ";a/b", "a b/c"] {
        let result = Metadata::new("", kind, 0);
        assert!(matches!(result, Err(MetadataError::MediaType { .. })), "{kind:?}");
    }
    for kind in ["", "text/plain; charset=utf-8", "application/fhir+json", "image/vnd.x-y"] {
        Metadata::new("", kind, 0).unwrap();
    }
    assert!(matches!(
        Metadata::new("", "text/pl\u{e4}in", 0),
        Err(MetadataError::Character { .. })
    ));
    let result = sample().with_note("a\u{1b}[31m");
    assert!(matches!(result, Err(MetadataError::Character { field: "note", found: '\u{1b}' })));
    let result = sample().with_note("dose 10\u{202e}01");
    assert!(matches!(result, Err(MetadataError::Character { field: "note", found: '\u{202e}' })));
    sample().with_note("line\n\tindented").unwrap();
    Metadata::new("گزارش\u{200c}ها.pdf", "", 0).unwrap();
}

#[test]
fn padding_that_is_not_exactly_what_is_written_is_refused() {
    let wire = wire(&sample());
    let len = wire.len() as u32;
    assert_eq!(Metadata::from_padded(&padded(&wire, len, 0, 512)).unwrap(), sample());
    let cases: [(&str, Vec<u8>); 9] = [
        ("nothing", vec![]),
        ("three bytes", vec![0; 3]),
        ("no padding", padded(&wire, len, 0, 4 + wire.len())),
        ("one step too many", padded(&wire, len, 0, 1024)),
        ("half a step", padded(&wire, len, 0, 768)),
        ("not zeros", padded(&wire, len, 1, 512)),
        ("beyond the end", padded(&wire, 509, 0, 512)),
        ("far beyond the end", padded(&wire, u32::MAX, 0, 512)),
        ("one byte short", padded(&wire, len - 1, 0, 512)),
    ];
    for (name, plain) in cases {
        let result = Metadata::from_padded(&plain);
        assert!(matches!(result, Err(MetadataError::Padding)), "{name}: {result:?}");
    }
    let mut last = padded(&wire, len, 0, 512);
    last[511] = 1;
    assert!(matches!(Metadata::from_padded(&last), Err(MetadataError::Padding)));
    // A zero of the padding counted into the structure: padding fits, the structure does not.
    let result = Metadata::from_padded(&padded(&wire, len + 1, 0, 512));
    assert!(matches!(result, Err(MetadataError::Malformed(_))));
}

#[test]
fn structures_that_are_not_canonical_metadata_are_refused() {
    let make = |v, file_name: &str, media_type: &str, length, note: &str| {
        let [file_name, media_type, note] = [file_name, media_type, note].map(str::to_owned);
        let wire = cbor::encode(&Wire { v, file_name, media_type, length, note });
        padded(&wire, wire.len() as u32, 0, (4 + wire.len()).next_multiple_of(512))
    };
    let read = |plain: Vec<u8>| Metadata::from_padded(&plain).unwrap_err();
    assert!(matches!(read(make(2, "a", "", 0, "")), MetadataError::UnknownVersion { found: 2 }));
    let decomposed = "o\u{308}";
    assert!(matches!(
        read(make(1, decomposed, "", 0, "")),
        MetadataError::NotNormal { field: "file name" }
    ));
    assert!(matches!(
        read(make(1, "", "", 0, decomposed)),
        MetadataError::NotNormal { field: "note" }
    ));
    assert!(matches!(read(make(1, "a/b", "", 0, "")), MetadataError::Character { .. }));
    assert!(matches!(read(make(1, "", "x", 0, "")), MetadataError::MediaType { .. }));
    assert!(matches!(read(make(1, "", "", u64::MAX, "")), MetadataError::Length { .. }));
    assert!(matches!(read(make(1, &"n".repeat(2000), "", 0, "")), MetadataError::TooLong { .. }));
    assert!(matches!(
        read(make(1, "", "", 0, &"n".repeat(20_000))),
        MetadataError::Malformed(DecodeError::TooLong { .. })
    ));
    let mut unknown = wire(&sample());
    unknown[0] = 0xa6;
    unknown.extend_from_slice(&cbor::encode("media_typf"));
    unknown.push(0);
    let plain = padded(&unknown, unknown.len() as u32, 0, 512);
    assert!(matches!(read(plain), MetadataError::Malformed(_)));
}

#[test]
fn pitfall_07_metadata_of_another_body_or_key_does_not_open() {
    let dek = Dek::from_bytes([1; 16]);
    let sealed = seal_meta(&dek, &context(), &sample(), &mut rng()).unwrap();
    assert_eq!(unseal_meta(&dek, &context(), &sealed).unwrap(), sample());
    let other = MetaContext { body: Cid::of(Codec::Raw, b"other"), ..context() };
    for result in [
        unseal_meta(&dek, &other, &sealed),
        unseal_meta(&Dek::from_bytes([2; 16]), &context(), &sealed),
    ] {
        assert!(matches!(result, Err(MetadataError::Unseal(UnsealError::WrongKeyOrContext))));
    }
}

#[test]
fn pitfall_13_short_metadata_all_has_one_length() {
    let dek = Dek::from_bytes([1; 16]);
    for name in ["", "a", &"n".repeat(300)] {
        let metadata = Metadata::new(name, "application/pdf", 1).unwrap();
        assert_eq!(
            seal_meta(&dek, &context(), &metadata, &mut rng()).unwrap().len(),
            56 + 512 + 16
        );
    }
}

#[test]
fn pitfall_41_debug_shows_no_name_and_no_note() {
    let text = format!("{:?}", sample());
    assert!(!text.contains("scan") && !text.contains("knee"), "{text}");
}

proptest! {
    #[test]
    fn what_is_built_comes_back(
        name in "[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}/\\\\]{2,40}", note in "[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]{0,600}",
        length in 0..=MAX_PLAIN_LEN,
    ) {
        prop_assume!(name.nfc().collect::<String>() != "..");
        let metadata = Metadata::new(&name, "text/plain", length).unwrap();
        let metadata = metadata.with_note(&note).unwrap();
        prop_assert_eq!(Metadata::from_padded(&metadata.to_padded()).unwrap(), metadata);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let _ = Metadata::from_padded(&bytes);
    }
}
