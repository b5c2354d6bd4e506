//! The packet path of a running meeting allocates nothing.

mod lab;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lab::Lab;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    let _gone = IS_COUNTING.try_with(|counting| {
        if counting.get() {
            ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
        }
    });
}

#[expect(unsafe_code, reason = "a global allocator is unsafe by nature; this one counts and hands on")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted<T>(work: impl FnOnce() -> T) -> T {
    IS_COUNTING.set(true);
    let result = work();
    IS_COUNTING.set(false);
    result
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    counted(|| drop(std::hint::black_box(vec![0u8; 100])));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn a_running_meeting_forwards_thousands_of_packets_without_an_allocation() {
    let mut lab = Lab::meeting(4);
    // Everything that grows has grown: windows of all streams, slots, report lists.
    lab.run(3_000);
    let (before, forwarded) = (ALLOCATIONS.get(), lab.shard.counters().rtp_out);
    lab.count_shard = Some(|work| counted(work));
    lab.run(3_000);
    lab.count_shard = None;
    let forwarded = lab.shard.counters().rtp_out - forwarded;
    assert!(forwarded > 3_000, "{forwarded} packets forwarded");
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in {forwarded} forwarded packets");
}
