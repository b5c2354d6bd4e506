//! A hint to the processor.
#![expect(unsafe_code, reason = "prefetch instructions take pointers")]

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Has `value` brought into the second-level cache while other work goes on; nothing waits for it. Does nothing where the
/// instruction is not known.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE_BYTES) {
        // SAFETY: the address is within `value`; the instruction does not access memory as far as the language is concerned.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(start.add(offset).cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (start, offset);
    }
}
