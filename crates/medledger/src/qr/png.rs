//! Pictures of one bit a pixel as PNG (<https://www.w3.org/TR/png-3/>). They are small, so nothing is compressed; the
//! buffers may hold a key, so each is made in its full size and wiped.

use zeroize::Zeroizing;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Bytes that a stored block of DEFLATE can hold (RFC 1951, section 3.2.4).
const STORED: usize = 0xffff;

/// A square picture of `side` rows, each of `side / 8` bytes, whose bits are light.
///
/// # Panics
/// When the rows are not as many or as long as that, or the picture is larger than one stored block.
pub(super) fn square(side: usize, rows: &[u8]) -> Zeroizing<Vec<u8>> {
    assert!(side.is_multiple_of(8) && rows.len() == side * (side / 8), "rows of whole bytes");
    let mut lines = Zeroizing::new(Vec::with_capacity(rows.len() + side));
    for row in rows.chunks(side / 8) {
        // Not filtered.
        lines.push(0);
        lines.extend_from_slice(row);
    }
    assert!(lines.len() <= STORED, "one block");
    let length = u16::try_from(lines.len()).expect("it was just compared").to_le_bytes();
    let mut stream = Zeroizing::new(Vec::with_capacity(lines.len() + 11));
    // zlib without a dictionary (RFC 1950), then the last block, which is stored.
    stream.extend_from_slice(&[0x78, 0x01, 1]);
    stream.extend_from_slice(&length);
    stream.extend(length.map(|byte| !byte));
    stream.extend_from_slice(&lines);
    stream.extend_from_slice(&adler32(&lines).to_be_bytes());

    let pixels = u32::try_from(side).expect("it is small").to_be_bytes();
    let mut header = [0; 13];
    header[..4].copy_from_slice(&pixels);
    header[4..8].copy_from_slice(&pixels);
    // One bit a pixel; all that follows is zero: greyscale, and no other method of anything.
    header[8] = 1;
    let mut png = Zeroizing::new(Vec::with_capacity(SIGNATURE.len() + 3 * 12 + 13 + stream.len()));
    png.extend_from_slice(&SIGNATURE);
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &stream);
    chunk(&mut png, *b"IEND", b"");
    png
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    png.extend_from_slice(&u32::try_from(data.len()).expect("it is small").to_be_bytes());
    let begin = png.len();
    png.extend_from_slice(&kind);
    png.extend_from_slice(data);
    let check = crc32(&png[begin..]);
    png.extend_from_slice(&check.to_be_bytes());
}

/// The checksum of chunks: CRC-32 with the polynomial of ISO 3309, bits reversed.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// The checksum of zlib (RFC 1950, section 9).
fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % PRIME;
        (a, (b + a) % PRIME)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_their_specifications() {
        // The check value of CRC-32/ISO-HDLC, and the example of RFC 1950's checksum that is found everywhere.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!((crc32(b""), adler32(b"")), (0, 1));
    }

    #[test]
    fn another_reader_finds_every_pixel() {
        for side in [8, 40, 296] {
            let rows: Vec<u8> = (0..side * side / 8).map(|n| (n * 37 + n / 11) as u8).collect();
            let bytes = square(side, &rows);
            let mut reader =
                ::png::Decoder::new(std::io::Cursor::new(&bytes[..])).read_info().unwrap();
            let mut found = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut found).unwrap();
            assert_eq!((info.width, info.height), (side as u32, side as u32));
            assert_eq!(
                (info.bit_depth, info.color_type),
                (::png::BitDepth::One, ::png::ColorType::Grayscale)
            );
            assert_eq!(found, rows);
            reader.finish().unwrap();
        }
    }
}
