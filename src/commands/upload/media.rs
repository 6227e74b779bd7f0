//! Media types, guessed.

use std::path::Path;

/// Bytes looked at to guess the type; DICOM's mark ends at 132.
pub(super) const HEAD: u64 = 512;

/// A simple guess from the first bytes, then from the name.
pub(super) fn guess(path: &Path, head: &[u8]) -> &'static str {
    const MAGIC: &[(usize, &[u8], &str)] = &[
        (0, b"%PDF-", "application/pdf"),
        (128, b"DICM", "application/dicom"),
        (0, b"\x89PNG\r\n\x1a\n", "image/png"),
        (0, b"\xff\xd8\xff", "image/jpeg"),
        (0, b"II*\0", "image/tiff"),
        (0, b"MM\0*", "image/tiff"),
    ];
    const EXTENSIONS: &[(&str, &str)] = &[
        ("pdf", "application/pdf"),
        ("dcm", "application/dicom"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("json", "application/json"),
        ("xml", "application/xml"),
        ("zip", "application/zip"),
        ("hl7", "x-application/hl7-v2+er7"),
        ("nii", "application/x-nifti"),
    ];
    let found = MAGIC
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|bytes| bytes.starts_with(magic)));
    if let Some((_, _, media_type)) = found {
        return media_type;
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let found = EXTENSIONS.iter().find(|(known, _)| *known == extension);
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_come_from_the_bytes_then_from_the_name() {
        assert_eq!(guess(Path::new("a.txt"), b"%PDF-1.7"), "application/pdf");
        let mut dicom = vec![0; 128];
        dicom.extend_from_slice(b"DICM");
        assert_eq!(guess(Path::new("-"), &dicom), "application/dicom");
        assert_eq!(guess(Path::new("a.CSV"), b"1,2"), "text/csv");
        assert_eq!(guess(Path::new("a"), b""), "application/octet-stream");
    }
}
