//! A cursor that writes big-endian fields into a caller's buffer.

/// What was to be written does not fit: the buffer, or a count or length field of the format, has no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("does not fit the buffer or a field of the format")]
pub struct BufferTooSmall;

/// Writes at the end of what it has written before.
pub(crate) struct Put<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Put<'a> {
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), BufferTooSmall> {
        let end = self.len.checked_add(bytes.len()).ok_or(BufferTooSmall)?;
        self.out.get_mut(self.len..end).ok_or(BufferTooSmall)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    pub(crate) fn u8(&mut self, value: u8) -> Result<(), BufferTooSmall> {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> Result<(), BufferTooSmall> {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> Result<(), BufferTooSmall> {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Result<(), BufferTooSmall> {
        self.bytes(&value.to_be_bytes())
    }

    /// Zeros up to the next multiple of 4 bytes; none if already there.
    pub(crate) fn pad_to_word(&mut self) -> Result<(), BufferTooSmall> {
        let missing = self.len.next_multiple_of(4) - self.len;
        self.bytes(&[0; 3][..missing])
    }
}
