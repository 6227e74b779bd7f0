//! Buffers that begin where a page does.
//!
//! Large allocations begin 16 bytes into a page. On some processors (AMD, Zen 3 and 4) the kernel's copy out
//! of the page cache, `rep movsb`, takes three to four times as long when the destination lies less than a cache
//! line further into its page than the source does: glibc's bug 30994 has the figures.

const PAGE: usize = 4096;

/// So many bytes of zeros; the length stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(crate) fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        let start = to_next_page(bytes.as_ptr());
        Self { bytes, start }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.end()]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let end = self.end();
        &mut self.bytes[self.start..end]
    }
}

impl Buffer {
    fn end(&self) -> usize {
        self.start + self.bytes.len().saturating_sub(PAGE)
    }
}

/// An empty vector with room for `len` bytes from a page's beginning, and the zeros before it.
pub(crate) fn with_room(len: usize) -> (Vec<u8>, usize) {
    let mut bytes = Vec::with_capacity(len + PAGE);
    let start = to_next_page(bytes.as_ptr());
    bytes.resize(start, 0);
    (bytes, start)
}

/// Bytes to the beginning of a page, or none, should that not be known.
fn to_next_page(at: *const u8) -> usize {
    match at.align_offset(PAGE) {
        offset if offset < PAGE => offset,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_page_and_have_their_length() {
        for len in [1, 100, 5000, 1 << 20] {
            let mut buffer = Buffer::zeroed(len);
            assert_eq!((buffer.len(), buffer.as_ptr().align_offset(PAGE)), (len, 0));
            buffer.fill(7);
            let (mut bytes, start) = with_room(len);
            let before = bytes.as_ptr();
            bytes.extend_from_slice(&buffer);
            assert_eq!(bytes.as_ptr(), before, "nothing moved");
            assert_eq!(bytes[start..].as_ptr().align_offset(PAGE), 0);
            assert_eq!(bytes[start..], buffer[..]);
        }
        assert!(Buffer::default().is_empty() && Buffer::default()[..].is_empty());
    }
}
