//! Control messages beside a datagram: cmsg(3).
#![expect(unsafe_code, reason = "control messages are C structures in a byte buffer")]

use std::mem::{align_of, size_of};
use std::ops::Range;

/// Bytes for control messages of one message: the most that [`super::options::ask_for_details`] asks for is an
/// `in6_pktinfo` (40 with header), a `timespec` (32), and three integers (24 each).
pub(super) const CONTROL_BYTES: usize = 192;

/// A buffer for control messages, aligned for their headers.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer([u8; CONTROL_BYTES]);

const _: () = assert!(align_of::<ControlBuffer>() >= align_of::<libc::cmsghdr>());

/// Types that may be written as they lie in memory: no padding, no pointers.
pub(super) trait Plain: Copy {}
impl Plain for u16 {}
impl Plain for libc::in_pktinfo {}
impl Plain for libc::in6_pktinfo {}

impl ControlBuffer {
    pub(super) const EMPTY: Self = Self([0; CONTROL_BYTES]);

    pub(super) const fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }

    /// Writes a control message behind the `used` bytes; returns how many are used then. Without room it writes nothing.
    pub(super) fn push<T: Plain>(&mut self, used: usize, level: i32, kind: i32, value: T) -> usize {
        let (start, space, len) = (header_space(), space_of(size_of::<T>()), len_of(size_of::<T>()));
        debug_assert!(used + space <= CONTROL_BYTES, "the sender's messages fit by their constant sizes");
        let Some(room) = self.0.get_mut(used..used + space) else { return used };
        room.fill(0);
        // SAFETY: all zeros is a valid cmsghdr: it has integers only.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = len as _;
        header.cmsg_level = level;
        header.cmsg_type = kind;
        // SAFETY: `room` has `space` bytes, of which the header takes the first and the value those from `start`; both are
        // written unaligned, and neither has a destructor.
        unsafe {
            room.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header);
            room.as_mut_ptr().add(start).cast::<T>().write_unaligned(value);
        }
        used + space
    }

    /// The control messages in the first `used` bytes: level, type and contents.
    pub(super) fn messages(&self, used: usize) -> impl Iterator<Item = (i32, i32, &[u8])> {
        let bytes = self.0.get(..used).unwrap_or(&self.0);
        let mut position = 0;
        std::iter::from_fn(move || {
            let (header, contents) = message_at(bytes, position)?;
            position += space_of(contents.len());
            Some((header.cmsg_level, header.cmsg_type, &bytes[contents]))
        })
    }
}

fn message_at(bytes: &[u8], position: usize) -> Option<(libc::cmsghdr, Range<usize>)> {
    let header = bytes.get(position..position.checked_add(size_of::<libc::cmsghdr>())?)?;
    // SAFETY: the slice is as long as the header, which has integers only; it is read unaligned.
    let header = unsafe { header.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
    // The field's type depends on the C library.
    let len: usize = header.cmsg_len as _;
    let contents = position + header_space()..position.checked_add(len)?;
    bytes.get(contents.clone())?;
    Some((header, contents))
}

/// Bytes from a message's start to its contents.
const fn header_space() -> usize {
    len_of(0)
}

/// Bytes of a message with `contents` bytes, without the padding behind.
const fn len_of(contents: usize) -> usize {
    // SAFETY: pure arithmetic.
    unsafe { libc::CMSG_LEN(contents as u32) as usize }
}

/// Bytes from a message with `contents` bytes to the next.
const fn space_of(contents: usize) -> usize {
    // SAFETY: pure arithmetic.
    unsafe { libc::CMSG_SPACE(contents as u32) as usize }
}

const _: () =
    assert!(space_of(size_of::<libc::in6_pktinfo>()) + space_of(16) + 3 * space_of(4) <= CONTROL_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut buffer = ControlBuffer::EMPTY;
        let used = buffer.push(0, 1, 2, 0x0304u16);
        let used = buffer.push(used, 5, 6, 0x0708u16);
        let messages: Vec<_> = buffer.messages(used).collect();
        assert_eq!(messages, [(1, 2, &0x0304u16.to_ne_bytes()[..]), (5, 6, &0x0708u16.to_ne_bytes()[..])]);
    }

    #[test]
    fn damaged_buffers_end_the_list() {
        let mut buffer = ControlBuffer::EMPTY;
        let used = buffer.push(0, 1, 2, 3u16);
        assert_eq!(buffer.messages(used - 8).count(), 0);
        for len in 0..=255u8 {
            buffer.0[0] = len;
            assert!(buffer.messages(used).count() <= 1);
            buffer.0[1..8].fill(len);
            assert!(buffer.messages(CONTROL_BYTES + 1).count() <= CONTROL_BYTES);
            buffer.0[1..8].fill(0);
        }
    }
}
