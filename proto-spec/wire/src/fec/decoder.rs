//! Gives back lost packets from those that came and their repair packets.

use super::block::{Block, Repair};
use super::code::{Matrix, coefficient, inverse};
use super::field::{ROW_BYTES, Row, add_multiples};
use super::{MAX_REPAIRS, MAX_SPAN, unit};
use crate::rtp::RtpPacket;

/// Blocks that are known at a time, open or done: a stream's frames of a quarter of a second. The oldest gives way.
pub const MAX_OPEN_BLOCKS: usize = 8;
/// Repair packets that are kept of all open blocks together, 1,152 bytes each: one block's most and half as many again.
pub const MAX_REPAIRS_HELD: usize = 24;
/// How far the last packet of a block may be behind the stream's newest. A block older than that is not waited for any more,
/// and none of what it names has to be kept.
pub const WINDOW: u16 = 512;
/// How far the first packet of a block may be ahead of the stream's newest: as much as a whole block that was lost, twice.
pub const MAX_LEAD: u16 = 2 * MAX_SPAN as u16;

/// Where a decoder finds the packets that came, in clear, by sequence number.
///
/// It may forget at any time. It must not give another packet than the one that came first under a number.
pub trait Sources {
    /// The whole packet, header and payload.
    fn packet(&self, sequence: u16) -> Option<&[u8]>;
}

/// Why a repair packet, or its block, gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RepairError {
    /// The payload is no repair packet, or another length than the rest of its block.
    #[error("malformed repair packet")]
    Malformed,
    /// The block is older than [`WINDOW`], or ahead by more than [`MAX_LEAD`].
    #[error("a block that is too old or too far ahead")]
    OutOfWindow,
    /// What came of the block was not what its repair packets were made of. The block is done.
    #[error("a block whose packets do not belong together")]
    Inconsistent,
}

/// A packet that was lost and is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredPacket<'a> {
    /// Its sequence number, which is one of its block's.
    pub sequence: u16,
    /// The packet in clear: a well-formed RTP packet of the stream's SSRC, with 0 for a transport-wide sequence number.
    pub bytes: &'a [u8],
}

/// Room to work in. One serves all decoders of a thread.
#[derive(Debug)]
pub struct Workspace {
    /// What the lost units sum up to, and later the packets.
    sums: Box<[Row]>,
    units: Box<[Row]>,
    unit: Box<Row>,
    /// Sequence numbers and lengths of the packets.
    recovered: [(u16, u16); MAX_REPAIRS],
}

impl Default for Workspace {
    fn default() -> Self {
        let rows = || vec![[0; ROW_BYTES]; MAX_REPAIRS].into_boxed_slice();
        Self { sums: rows(), units: rows(), unit: Box::new([0; ROW_BYTES]), recovered: [(0, 0); MAX_REPAIRS] }
    }
}

/// Packets that are back, in order of sequence number.
///
/// They are as untrusted as any packet, and no replay window has seen them: what comes later under the same number is another
/// copy, or a lie, and is dropped.
#[derive(Clone, Debug, Default)]
pub struct Recovered<'a> {
    numbers: &'a [(u16, u16)],
    rows: &'a [Row],
}

impl<'a> Iterator for Recovered<'a> {
    type Item = RecoveredPacket<'a>;

    fn next(&mut self) -> Option<RecoveredPacket<'a>> {
        let (&(sequence, len), numbers) = self.numbers.split_first()?;
        let (row, rows) = self.rows.split_first()?;
        (self.numbers, self.rows) = (numbers, rows);
        Some(RecoveredPacket { sequence, bytes: &row[..usize::from(len)] })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.numbers.len(), Some(self.numbers.len()))
    }
}

impl ExactSizeIterator for Recovered<'_> {}

/// What is known of a block.
#[derive(Clone, Copy, Debug)]
struct Known {
    block: Block,
    /// Bytes of parity.
    len: u16,
    /// A bit for each position: whether that source came.
    came: u64,
    /// Where the repair packets are kept, by row.
    held: [Option<u8>; MAX_REPAIRS],
    /// Nothing is missing any more, or what came was wrong.
    is_done: bool,
}

impl Known {
    fn missing(&self) -> usize {
        self.block.sources() - self.came.count_ones() as usize
    }

    fn repairs(&self) -> usize {
        self.held.iter().flatten().count()
    }

    fn is_ready(&self) -> bool {
        !self.is_done && self.missing() <= self.repairs()
    }
}

/// Repairs one stream. It keeps repair packets, 27 kB at most; the sources are kept by its owner.
///
/// Each call solves one block at most, and each block is solved once: at most [`MAX_REPAIRS`] times
/// [`super::MAX_SOURCES`] multiplications of a packet, for which the sender has to send as many repair packets as are missing.
#[derive(Debug)]
pub struct Decoder {
    media_ssrc: u32,
    newest: Option<u16>,
    /// In the order in which they were heard of.
    blocks: Vec<Known>,
    rows: Box<[Row]>,
    /// A bit for each row that is free.
    free: u32,
}

impl Decoder {
    /// A decoder of the stream whose packets have `media_ssrc`.
    #[must_use]
    pub fn new(media_ssrc: u32) -> Self {
        Self {
            media_ssrc,
            newest: None,
            blocks: Vec::with_capacity(MAX_OPEN_BLOCKS),
            rows: vec![[0; ROW_BYTES]; MAX_REPAIRS_HELD].into_boxed_slice(),
            free: (1 << MAX_REPAIRS_HELD) - 1,
        }
    }

    /// Notes that a source packet came, by any way, after its owner has put it where `sources` finds it.
    ///
    /// # Errors
    /// [`RepairError::Inconsistent`] if a block was complete and wrong.
    pub fn on_source<'w>(
        &mut self,
        sequence: u16,
        sources: &impl Sources,
        workspace: &'w mut Workspace,
    ) -> Result<Recovered<'w>, RepairError> {
        if self.newest.is_none_or(|newest| sequence.wrapping_sub(newest) < 1 << 15) {
            self.newest = Some(sequence);
        }
        for known in self.blocks.iter_mut().filter(|known| !known.is_done) {
            if let Some(position) = known.block.position(sequence) {
                known.came |= 1 << position;
            }
        }
        self.solve_one(sources, workspace)
    }

    /// Takes the payload of a repair packet of the stream.
    ///
    /// # Errors
    /// [`RepairError`] says why it is of no use.
    pub fn on_repair<'w>(
        &mut self,
        payload: &[u8],
        sources: &impl Sources,
        workspace: &'w mut Workspace,
    ) -> Result<Recovered<'w>, RepairError> {
        let repair = Repair::parse(payload).ok_or(RepairError::Malformed)?;
        self.check_window(repair.block)?;
        let index = match self.blocks.iter().position(|known| known.block == repair.block) {
            Some(index) => index,
            None => self.open(&repair, sources),
        };
        let known = &self.blocks[index];
        if usize::from(known.len) != repair.parity.len() {
            return Err(RepairError::Malformed);
        }
        if !known.is_done && known.held[usize::from(repair.row)].is_none() {
            self.hold(repair.block, &repair);
        }
        self.solve_one(sources, workspace)
    }

    fn check_window(&self, block: Block) -> Result<(), RepairError> {
        let Some(newest) = self.newest else { return Ok(()) };
        let lead = block.base().wrapping_sub(newest) as i16;
        let age = newest.wrapping_sub(block.last()) as i16;
        let is_within =
            lead <= MAX_LEAD as i16 && (-(MAX_LEAD as i16) - MAX_SPAN as i16..=WINDOW as i16).contains(&age);
        if is_within { Ok(()) } else { Err(RepairError::OutOfWindow) }
    }

    /// Makes a block known, in place of the oldest one if there are too many. Gives its index.
    fn open(&mut self, repair: &Repair<'_>, sources: &impl Sources) -> usize {
        if self.blocks.len() == MAX_OPEN_BLOCKS {
            self.release(0);
            self.blocks.remove(0);
        }
        let mut came = 0;
        for (position, sequence) in repair.block.sequences().enumerate() {
            came |= u64::from(sources.packet(sequence).is_some()) << position;
        }
        let is_done = came.count_ones() as usize == repair.block.sources();
        let len = repair.parity.len() as u16;
        self.blocks.push(Known { block: repair.block, len, came, held: [None; MAX_REPAIRS], is_done });
        self.blocks.len() - 1
    }

    /// Keeps a repair packet of a known block. If all rows are taken, the oldest other block that has some loses them.
    fn hold(&mut self, block: Block, repair: &Repair<'_>) {
        if self.free == 0 {
            let Some(oldest) =
                self.blocks.iter().position(|known| known.block != block && known.repairs() > 0)
            else {
                return;
            };
            self.release(oldest);
            self.blocks.remove(oldest);
        }
        let number = self.free.trailing_zeros() as usize;
        let Some(known) = self.blocks.iter_mut().find(|known| known.block == block) else { return };
        self.free &= self.free - 1;
        known.held[usize::from(repair.row)] = Some(number as u8);
        let (parity, behind) = self.rows[number][..repair.worked_len()].split_at_mut(repair.parity.len());
        parity.copy_from_slice(repair.parity);
        behind.fill(0);
    }

    /// Gives back the rows of a block, which is done with that.
    fn release(&mut self, index: usize) {
        let known = &mut self.blocks[index];
        for number in known.held.iter_mut().filter_map(Option::take) {
            self.free |= 1 << number;
        }
        known.is_done = true;
    }

    /// Solves the first block that can be.
    fn solve_one<'w>(
        &mut self,
        sources: &impl Sources,
        workspace: &'w mut Workspace,
    ) -> Result<Recovered<'w>, RepairError> {
        while let Some(index) = self.blocks.iter().position(Known::is_ready) {
            let known = &mut self.blocks[index];
            // A source may be forgotten between its coming and now.
            for (position, sequence) in known.block.sequences().enumerate() {
                if sources.packet(sequence).is_none() {
                    known.came &= !(1 << position);
                }
            }
            if !known.is_ready() {
                continue;
            }
            if known.missing() == 0 {
                self.release(index);
                continue;
            }
            let known = *known;
            let solved = self.solve(&known, sources, workspace);
            self.release(index);
            let count = solved.ok_or(RepairError::Inconsistent)?;
            return Ok(Recovered { numbers: &workspace.recovered[..count], rows: &workspace.sums[..count] });
        }
        Ok(Recovered::default())
    }

    /// Writes the lost packets of a block to the workspace and gives their number; `None` if they are none.
    fn solve(&self, known: &Known, sources: &impl Sources, workspace: &mut Workspace) -> Option<usize> {
        let (len, size) = (usize::from(known.len), known.missing());
        let mut rows = [0; MAX_REPAIRS];
        let held = known.held.iter().enumerate().filter_map(|(row, number)| Some((row, (*number)?)));
        for (n, (row, number)) in held.take(size).enumerate() {
            rows[n] = row;
            workspace.sums[n] = self.rows[usize::from(number)];
        }
        let lost = subtract_what_came(known, sources, &rows[..size], workspace)?;
        let mut matrix: Matrix = [[0; MAX_REPAIRS]; MAX_REPAIRS];
        for (row, elements) in rows[..size].iter().zip(&mut matrix) {
            for (element, position) in elements.iter_mut().zip(&lost[..size]) {
                *element = coefficient(*row, usize::from(*position), known.block.sources());
            }
        }
        let inverse = inverse(matrix, size)?;
        let units = &mut workspace.units[..size];
        units.iter_mut().for_each(|unit| unit.fill(0));
        for (n, sum) in workspace.sums[..size].iter().enumerate() {
            let column: [u8; MAX_REPAIRS] = std::array::from_fn(|row| inverse[row][n]);
            add_multiples(units, &column[..size], sum, len);
        }
        self.read_units(len, size, workspace)
    }

    /// Turns the units into packets, whose sequence numbers are there already.
    fn read_units(&self, len: usize, size: usize, workspace: &mut Workspace) -> Option<usize> {
        let Workspace { sums, units, recovered, .. } = workspace;
        for ((packet, unit), (sequence, packet_len)) in
            sums.iter_mut().zip(units.iter()).zip(&mut recovered[..size])
        {
            *packet_len = unit::read(&unit[..len], *sequence, self.media_ssrc, packet)? as u16;
        }
        Some(size)
    }
}

/// Takes the sources that came out of the sums, which are repair packets `rows`. Notes the sequence numbers of the others and
/// gives their positions. `None` if a source is not what the block was made of.
fn subtract_what_came(
    known: &Known,
    sources: &impl Sources,
    rows: &[usize],
    workspace: &mut Workspace,
) -> Option<[u8; MAX_REPAIRS]> {
    let (mut lost, mut count) = ([0; MAX_REPAIRS], 0);
    let len = usize::from(known.len);
    for (position, sequence) in known.block.sequences().enumerate() {
        if known.came & (1 << position) == 0 {
            lost[count] = position as u8;
            workspace.recovered[count].0 = sequence;
            count += 1;
            continue;
        }
        let packet = sources.packet(sequence)?;
        let (header, payload) = packet.split_at(RtpPacket::parse(packet).ok()?.header_len());
        let unit_len =
            unit::write(header, payload, &mut workspace.unit, 0).filter(|unit_len| *unit_len <= len)?;
        let mut coefficients = [0; MAX_REPAIRS];
        for (coefficient, row) in coefficients.iter_mut().zip(rows) {
            *coefficient = self::coefficient(*row, position, known.block.sources());
        }
        add_multiples(
            &mut workspace.sums[..rows.len()],
            &coefficients[..rows.len()],
            &workspace.unit,
            unit_len,
        );
    }
    Some(lost)
}
