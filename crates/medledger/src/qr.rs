//! Access keys as QR codes, to be read from paper or a screen instead of typed.
//!
//! The picture is the key: keep it as you keep the key. What it holds is the text of the key without dashes,
//! 28 letters and digits, so that the code stays small (version 3, 29 by 29 modules).
//!
//! ```
//! use medledger::{AccessKey, qr};
//! let svg = qr::svg(&AccessKey::from_bytes([7; 16]));
//! assert!(svg.starts_with("<?xml") && svg.ends_with("</svg>"));
//! ```

mod png;

use medledger_core::access_key::AccessKey;
use qrcode::render::{svg, unicode};
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

fn code(key: &AccessKey) -> QrCode {
    let text = key.to_text();
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(text.chars().filter(|c| *c != '-'));
    // A key has 28 symbols of the alphanumeric mode; version 3 holds 61 at level M.
    QrCode::with_error_correction_level(plain.as_bytes(), EcLevel::M)
        .expect("28 characters fit into a QR code")
}

/// The key as a picture: SVG, black on white, 8 units a module.
///
/// # Panics
/// Never: a key always fits.
#[must_use]
pub fn svg(key: &AccessKey) -> Zeroizing<String> {
    let code = code(key);
    let mut drawn = code.render::<svg::Color<'_>>();
    Zeroizing::new(drawn.module_dimensions(8, 8).quiet_zone(true).build())
}

/// Modules of white around the code, as ISO/IEC 18004 wants.
const QUIET: usize = 4;

/// The key as a picture that every mail reader shows: PNG, black on white, 8 pixels a module, one bit each.
///
/// # Panics
/// Never: a key always fits.
#[must_use]
pub fn png(key: &AccessKey) -> Zeroizing<Vec<u8>> {
    let code = code(key);
    let width = code.width();
    let side = width + 2 * QUIET;
    // Eight pixels are a byte: a module is one byte wide and eight rows high.
    let mut rows = Zeroizing::new(vec![0xff; 8 * side * side]);
    for (n, color) in code.to_colors().into_iter().enumerate() {
        let (x, y) = (n % width + QUIET, n / width + QUIET);
        if color == Color::Dark {
            (8 * y..8 * y + 8).for_each(|row| rows[row * side + x] = 0);
        }
    }
    png::square(8 * side, &rows)
}

/// The key in characters of a terminal, two modules one above the other in each; light on dark.
///
/// # Panics
/// Never: a key always fits.
#[must_use]
pub fn terminal(key: &AccessKey) -> Zeroizing<String> {
    let code = code(key);
    let mut drawn = code.render::<unicode::Dense1x2>();
    drawn.dark_color(unicode::Dense1x2::Light).light_color(unicode::Dense1x2::Dark);
    Zeroizing::new(drawn.quiet_zone(true).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an independent reader finds in a picture whose dark places `dark` tells.
    fn read(side: usize, dark: impl Fn(usize, usize) -> bool) -> AccessKey {
        // Eight pixels a module.
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * 8, side * 8, |x, y| {
            if dark(x / 8, y / 8) { 0 } else { 255 }
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        let (_, text) = grids[0].decode().unwrap();
        assert_eq!(text.len(), 28);
        text.parse().unwrap()
    }

    fn samples() -> [AccessKey; 4] {
        let counting = std::array::from_fn(|i| i as u8);
        let random = AccessKey::generate(&mut crate::system::os_rng());
        [
            AccessKey::from_bytes([0; 16]),
            AccessKey::from_bytes([255; 16]),
            AccessKey::from_bytes(counting),
            random,
        ]
    }

    #[test]
    fn another_reader_finds_the_key_in_the_svg() {
        for key in samples() {
            let svg = svg(&key);
            // The dark modules are one path of squares: M x y h 8 v 8 H x.
            let path = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
            let dark: std::collections::BTreeSet<(usize, usize)> = path
                .split('M')
                .skip(1)
                .map(|square| {
                    let start = square.split('h').next().unwrap();
                    let (x, y) = start.split_once([' ', ',']).unwrap();
                    (x.trim().parse::<usize>().unwrap() / 8, y.trim().parse::<usize>().unwrap() / 8)
                })
                .collect();
            assert_eq!(read(code(&key).width() + 2 * QUIET, |x, y| dark.contains(&(x, y))), key);
        }
    }

    #[test]
    fn other_readers_find_the_key_in_the_png() {
        for key in samples() {
            let bytes = png(&key);
            let mut reader =
                ::png::Decoder::new(std::io::Cursor::new(&bytes[..])).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            let side = code(&key).width() + 2 * QUIET;
            assert_eq!((info.width as usize, info.line_size), (8 * side, side));
            let bit = |x: usize, y: usize| pixels[y * side + x / 8] >> (7 - x % 8) & 1;
            let mut image =
                rqrr::PreparedImage::prepare_from_greyscale(8 * side, 8 * side, |x, y| {
                    255 * bit(x, y)
                });
            let grids = image.detect_grids();
            assert_eq!(grids.len(), 1);
            assert_eq!(grids[0].decode().unwrap().1.parse(), Ok(key));
        }
    }

    #[test]
    fn another_reader_finds_the_key_in_the_terminal() {
        for key in samples() {
            let text = terminal(&key);
            let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
            let light = |x: usize, y: usize| {
                let Some(c) = lines.get(y / 2).and_then(|line| line.get(x)) else { return true };
                match c {
                    '█' => true,
                    '▀' => y.is_multiple_of(2),
                    '▄' => y % 2 == 1,
                    ' ' => false,
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(read(code(&key).width() + 2 * QUIET, |x, y| !light(x, y)), key);
        }
    }
}
