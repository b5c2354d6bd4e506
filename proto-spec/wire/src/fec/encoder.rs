//! Makes repair packets of the packets that a stream sends.

use super::block::{Block, Repair};
use super::code::coefficient;
use super::field::{ROW_BYTES, Row, add, add_multiples, double_and_add, worked_len};
use super::{MAX_REPAIRS, MAX_SOURCES, MAX_SPAN, unit};
use crate::rtp::FIXED_HEADER_BYTES;

/// Why a packet was not added to a block. The block is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PushError {
    /// The block has [`MAX_SOURCES`], or the packet is [`MAX_SPAN`] or more behind its first.
    #[error("the block is full")]
    Full,
    /// Not behind the last packet of the block.
    #[error("not behind the last packet of the block")]
    Order,
    /// Longer than [`super::MAX_SOURCE_BYTES`], malformed, or with padding.
    #[error("a packet that cannot be protected")]
    Unprotectable,
}

/// Sums up one block at a time. It keeps a row for each repair packet and no packet, so what it costs is spent packet by packet.
///
/// Rows are sums byte by byte: of packets of equal header lengths, the front bytes of the rows are those of the headers alone.
/// So a sender to many receivers may sum up what they share once, and the headers for each.
#[derive(Debug)]
pub struct Encoder {
    rows: Box<[Row]>,
    unit: Box<Row>,
    base: u16,
    mask: u64,
    last_offset: u16,
    used_rows: usize,
    /// The longest unit.
    len: usize,
}

impl Encoder {
    /// An encoder for up to `max_rows` repair packets of a block, at most [`MAX_REPAIRS`]: 1,152 bytes for each, and as many again.
    #[must_use]
    pub fn new(max_rows: usize) -> Self {
        let max_rows = max_rows.min(MAX_REPAIRS);
        Self {
            rows: vec![[0; ROW_BYTES]; max_rows].into_boxed_slice(),
            unit: Box::new([0; ROW_BYTES]),
            base: 0,
            mask: 0,
            last_offset: 0,
            used_rows: max_rows,
            len: 0,
        }
    }

    /// Begins a block of which up to `rows` repair packets can be made. Each costs something for each packet; the first two little.
    pub fn begin(&mut self, rows: usize) {
        let dirty = worked_len(self.len);
        self.rows[..self.used_rows].iter_mut().for_each(|row| row[..dirty].fill(0));
        self.used_rows = rows.min(self.rows.len());
        (self.mask, self.len) = (0, 0);
    }

    /// How many packets the block has.
    #[must_use]
    pub const fn sources(&self) -> usize {
        self.mask.count_ones() as usize
    }

    /// Adds a packet in clear, as it is sent on this hop, given as its header (with CSRCs and extensions) and its payload.
    ///
    /// # Errors
    /// [`PushError`] says why it is not in the block.
    pub fn push(&mut self, header: &[u8], payload: &[u8]) -> Result<(), PushError> {
        let fixed = header.first_chunk::<FIXED_HEADER_BYTES>().ok_or(PushError::Unprotectable)?;
        let sequence = u16::from_be_bytes([fixed[2], fixed[3]]);
        let position = self.sources();
        let offset = self.offset(sequence)?;
        let len = unit::write(header, payload, &mut self.unit, self.len).ok_or(PushError::Unprotectable)?;
        self.len = self.len.max(len);
        if position == 0 {
            self.base = sequence;
        }
        self.last_offset = offset;
        self.mask |= (1 << 63) >> offset;
        self.sum_up(position, len);
        Ok(())
    }

    /// How far behind the block's first packet a packet is that may be its next.
    fn offset(&self, sequence: u16) -> Result<u16, PushError> {
        if self.mask == 0 {
            return Ok(0);
        }
        let offset = sequence.wrapping_sub(self.base);
        if offset <= self.last_offset || offset >= 1 << 15 {
            return Err(PushError::Order);
        }
        if self.sources() == MAX_SOURCES || usize::from(offset) >= MAX_SPAN {
            return Err(PushError::Full);
        }
        Ok(offset)
    }

    /// Adds the unit, which is that of `position`, to the rows.
    fn sum_up(&mut self, position: usize, len: usize) {
        let (cheap, costly) = self.rows[..self.used_rows].split_at_mut(self.used_rows.min(2));
        if let Some(row) = cheap.first_mut() {
            add(row, &self.unit, len);
        }
        if let Some(row) = cheap.get_mut(1) {
            // By Horner: what is there doubles with each packet, so the first ends up with the highest power.
            double_and_add(row, &self.unit, self.len);
        }
        if costly.is_empty() {
            return;
        }
        let coefficients: [u8; MAX_REPAIRS] =
            std::array::from_fn(|n| coefficient(n + 2, position, position + 1));
        add_multiples(costly, &coefficients[..costly.len()], &self.unit, len);
    }

    /// The first `rows` repair packets of the block so far, or as many as it was begun with; none of an empty block.
    pub fn repairs(&self, rows: usize) -> impl Iterator<Item = Repair<'_>> {
        let block = Block::new(self.base, self.mask);
        let count = rows.min(self.used_rows);
        self.rows[..count].iter().enumerate().filter_map(move |(n, row)| {
            Some(Repair { block: block?, row: n as u8, rows: count as u8, parity: &row[..self.len] })
        })
    }
}
