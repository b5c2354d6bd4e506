//! Transport-wide congestion control feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.

use super::{BufferTooSmall, split_feedback};
use crate::rtp::Put;

/// The most packets that one feedback message may report on, here: what 100 Mbit/s of full packets bring in 0.8 s. The format
/// allows 65,535 in 36 bytes, which would make a small compound expensive to walk.
pub const MAX_TRANSPORT_CC_STATUSES: u16 = 8_192;

/// The longest run that a run-length chunk can name.
const MAX_RUN: u16 = 0x1FFF;
const ONE_BIT_SYMBOLS: u16 = 14;
const TWO_BIT_SYMBOLS: u16 = 7;

/// What a packet's status takes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    /// Not received: no delta.
    Lost,
    /// A delta of one byte, unsigned.
    Small,
    /// A delta of two bytes, signed.
    Large,
}

impl Symbol {
    /// The symbol of 2 bits; 0b11 is reserved.
    const fn from_bits(bits: u16) -> Option<Self> {
        match bits & 0b11 {
            0 => Some(Self::Lost),
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }

    fn of(status: Option<i16>) -> Self {
        match status {
            None => Self::Lost,
            Some(delta) if u8::try_from(delta).is_ok() => Self::Small,
            Some(_) => Self::Large,
        }
    }

    const fn delta_len(self) -> usize {
        self as usize
    }
}

/// A status chunk, sections 3.1.3 and 3.1.4.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run(Symbol, u16),
    OneBit(u16),
    TwoBit(u16),
}

impl Chunk {
    /// `None` for the reserved symbol.
    fn parse(bytes: [u8; 2]) -> Option<Self> {
        let word = u16::from_be_bytes(bytes);
        match word >> 14 {
            0 | 1 => Some(Self::Run(Symbol::from_bits(word >> 13)?, word & MAX_RUN)),
            2 => Some(Self::OneBit(word)),
            _ => Some(Self::TwoBit(word)),
        }
    }

    const fn len(self) -> u16 {
        match self {
            Self::Run(_, len) => len,
            Self::OneBit(_) => ONE_BIT_SYMBOLS,
            Self::TwoBit(_) => TWO_BIT_SYMBOLS,
        }
    }

    /// The symbol at `index`, which is below [`Self::len`]; `None` for the reserved one.
    fn symbol(self, index: u16) -> Option<Symbol> {
        match self {
            Self::Run(symbol, _) => Some(symbol),
            Self::OneBit(word) => Symbol::from_bits((word >> (ONE_BIT_SYMBOLS - 1 - index)) & 1),
            Self::TwoBit(word) => Symbol::from_bits(word >> (2 * (TWO_BIT_SYMBOLS - 1 - index))),
        }
    }

    /// Bytes of the deltas of the first `count` symbols; `None` if one of them is reserved.
    fn deltas_len(self, count: u16) -> Option<usize> {
        match self {
            Self::Run(symbol, _) => Some(symbol.delta_len() * usize::from(count)),
            _ => (0..count).map(|index| self.symbol(index).map(Symbol::delta_len)).sum(),
        }
    }
}

/// What a feedback message says besides the packets' statuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransportCcHead {
    /// Who received the packets.
    pub sender_ssrc: u32,
    /// A stream of the sender's; the message is about all of them.
    pub media_ssrc: u32,
    /// The transport-wide sequence number of the first packet.
    pub base_sequence: u16,
    /// The time that the first delta counts from, in units of 64 ms, modulo 2^24, from an arbitrary start.
    pub reference_time: u32,
    /// The running number of feedback messages, modulo 256.
    pub feedback_count: u8,
}

/// A view of a feedback message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportCc<'a> {
    /// All but the statuses.
    pub head: TransportCcHead,
    status_count: u16,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

impl<'a> TransportCc<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender_ssrc, media_ssrc, fci) = split_feedback(body)?;
        let (&[b0, b1, c0, c1, t0, t1, t2, feedback_count], rest) = fci.split_first_chunk::<8>()?;
        let status_count = u16::from_be_bytes([c0, c1]);
        if status_count == 0 || status_count > MAX_TRANSPORT_CC_STATUSES {
            return None;
        }
        let (chunks, deltas) = split_chunks(status_count, rest)?;
        let head = TransportCcHead {
            sender_ssrc,
            media_ssrc,
            base_sequence: u16::from_be_bytes([b0, b1]),
            reference_time: u32::from_be_bytes([0, t0, t1, t2]),
            feedback_count,
        };
        Some(Self { head, status_count, chunks, deltas })
    }

    /// How many packets it reports on, 1 to [`MAX_TRANSPORT_CC_STATUSES`].
    #[must_use]
    pub const fn status_count(&self) -> u16 {
        self.status_count
    }

    /// The packets in order of sequence number: the number, and when it was received, as the time since the one received
    /// before it (the first: since the reference time) in units of 250 us; `None` if it was not received.
    #[must_use]
    pub const fn statuses(&self) -> TransportCcStatuses<'a> {
        TransportCcStatuses {
            sequence: self.head.base_sequence,
            remaining: self.status_count,
            chunk: Chunk::Run(Symbol::Lost, 0),
            index: 0,
            chunks: self.chunks,
            deltas: self.deltas,
        }
    }
}

/// Splits the chunks of `status_count` symbols from the deltas behind them. Checks every symbol, and that all deltas are there;
/// the time it takes grows with the bytes, not with the symbols.
fn split_chunks(status_count: u16, bytes: &[u8]) -> Option<(&[[u8; 2]], &[u8])> {
    let mut remaining = status_count;
    let mut deltas_len = 0;
    let mut used = 0;
    let all = bytes.as_chunks::<2>().0;
    while remaining > 0 {
        let chunk = Chunk::parse(*all.get(used)?)?;
        let taken = chunk.len().min(remaining);
        deltas_len += chunk.deltas_len(taken)?;
        remaining -= taken;
        used += 1;
    }
    let (_, behind) = bytes.split_at_checked(used * 2)?;
    Some((all.get(..used)?, behind.get(..deltas_len)?))
}

/// The iterator of [`TransportCc::statuses`].
#[derive(Clone, Debug)]
pub struct TransportCcStatuses<'a> {
    sequence: u16,
    remaining: u16,
    chunk: Chunk,
    index: u16,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

impl TransportCcStatuses<'_> {
    fn next_symbol(&mut self) -> Option<Symbol> {
        while self.index >= self.chunk.len() {
            let (first, rest) = self.chunks.split_first()?;
            self.chunk = Chunk::parse(*first)?;
            self.chunks = rest;
            self.index = 0;
        }
        self.index += 1;
        self.chunk.symbol(self.index - 1)
    }

    fn next_delta(&mut self, symbol: Symbol) -> Option<Option<i16>> {
        let (delta, rest) = self.deltas.split_at_checked(symbol.delta_len())?;
        self.deltas = rest;
        Some(match *delta {
            [small] => Some(i16::from(small)),
            [high, low] => Some(i16::from_be_bytes([high, low])),
            _ => None,
        })
    }
}

impl Iterator for TransportCcStatuses<'_> {
    type Item = (u16, Option<i16>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let symbol = self.next_symbol()?;
        let delta = self.next_delta(symbol)?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Some((sequence, delta))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.remaining), Some(usize::from(self.remaining)))
    }
}

impl ExactSizeIterator for TransportCcStatuses<'_> {}

/// Writes chunks and deltas of 1 to [`MAX_TRANSPORT_CC_STATUSES`] statuses.
pub(super) fn put_statuses(
    put: &mut Put<'_>,
    statuses: impl Iterator<Item = Option<i16>> + Clone,
) -> Result<(), BufferTooSmall> {
    let mut rest = statuses.clone().map(Symbol::of);
    while let Some(first) = rest.clone().next() {
        let run = rest.clone().take(usize::from(MAX_RUN)).take_while(|symbol| *symbol == first).count();
        let (word, taken) = next_chunk(first, run, rest.clone());
        put.u16(word)?;
        rest.nth(taken - 1);
    }
    for delta in statuses.flatten() {
        match u8::try_from(delta) {
            Ok(small) => put.u8(small)?,
            Err(_) => put.bytes(&delta.to_be_bytes())?,
        }
    }
    Ok(())
}

/// The chunk that says most of what comes, and how many symbols it covers. `run` is how often `first` comes in a row.
///
/// A vector that is not full stands at the end, where the count of statuses says how much of it counts.
fn next_chunk(first: Symbol, run: usize, symbols: impl Iterator<Item = Symbol> + Clone) -> (u16, usize) {
    let is_small = symbols.clone().take(usize::from(ONE_BIT_SYMBOLS)).all(|symbol| symbol != Symbol::Large);
    let (tag, len, bits) = if is_small { (0b10, ONE_BIT_SYMBOLS, 1) } else { (0b11, TWO_BIT_SYMBOLS, 2) };
    let (word, taken) = (0..len).rev().zip(symbols).fold((tag << 14, 0), |(word, taken), (place, symbol)| {
        (word | ((symbol as u16) << (place * bits)), taken + 1)
    });
    if run >= taken { (((first as u16) << 13) | run as u16, run) } else { (word, taken) }
}
