//! The capacity of one core: a router, or the floor, in a process of its own on one core, and a load on another.
//!
//! * [`child`] starts that process and talks to it; [`router`] and [`floor`] are what runs there.
//! * [`load`] is the other side: all clients of all rooms in one thread.
//! * [`step`] measures one load; [`campaign`] seeks the highest and measures below it; [`report`] says what came of it.

pub mod allocations;
pub mod campaign;
pub mod child;
pub mod floor;
pub mod load;
pub mod memory;
pub mod protocol;
pub mod report;
mod ring;
pub mod router;
pub mod soak;
pub mod step;
pub mod system;
