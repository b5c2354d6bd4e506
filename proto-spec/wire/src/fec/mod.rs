//! Forward error correction, hop by hop: `proto-spec/spec/11-recovery.md`.
//!
//! A block is up to [`MAX_SOURCES`] RTP packets of one stream, and up to [`MAX_REPAIRS`] repair packets are made of it; as many
//! of both together as the block has sources give back all of them. [`Encoder`] and [`Decoder`] are sans-IO and allocate when
//! they are made, never after. [`rate`] says how many repair packets a block is worth, [`flexfec`] is the code that browsers
//! speak.
//!
//! The arithmetic is the project's own. Of the crates that have it, one takes 160 us for the smallest recovery (its field has
//! 2^16 elements), one has had no release since 2022 and allocates for each block, and the others do not let it out.

mod block;
mod code;
mod decoder;
mod encoder;
mod field;
pub mod flexfec;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod rate;
mod ring;
#[cfg(test)]
mod tests;
mod unit;

pub use block::{Block, REPAIR_HEADER_BYTES, Repair};
pub use decoder::{
    Decoder, MAX_LEAD, MAX_OPEN_BLOCKS, MAX_REPAIRS_HELD, Recovered, RecoveredPacket, RepairError, Sources,
    WINDOW, Workspace,
};
pub use encoder::{Encoder, PushError};
pub use ring::SourceRing;

/// The most source packets of a block: a key frame of 48 packets is 50 kB, and larger ones make several blocks.
pub const MAX_SOURCES: usize = 48;
/// The most packets from the first source of a block to its last: what the mask of a repair packet has bits for.
pub const MAX_SPAN: usize = 64;
/// The most repair packets of a block: a third of [`MAX_SOURCES`], which is beyond what a stream under such loss is worth.
pub const MAX_REPAIRS: usize = 16;
/// The longest packet that is protected, in bytes of RTP in clear: its repair packet, with 20 bytes of RTP header,
/// [`REPAIR_HEADER_BYTES`] and a tag of 16, is within the 1,200 of a datagram. What a publisher may send is within 1,124.
pub const MAX_SOURCE_BYTES: usize = field::ROW_BYTES;
