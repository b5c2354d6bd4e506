//! The program by which the kernel picks a datagram's shard (spec section 2.3).
//!
//! Classic BPF (bpf(4) of the BSDs, `Documentation/networking/filter.rst` of Linux): it sees the UDP payload and returns the
//! index of a socket within the group. Any index beyond the last socket makes the kernel fall back to its hash of the
//! addresses, which is as good as any for datagrams that will be dropped.

use sluice_wire::classify::MIN_DATAGRAM_BYTES;

/// One instruction, with the fields of `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jump_if_true: u8,
    pub(super) jump_if_false: u8,
    pub(super) operand: u32,
}

/// Loads the length of the datagram into the accumulator.
const LOAD_LENGTH: u16 = 0x80;
/// Loads the byte at the operand.
const LOAD_BYTE: u16 = 0x30;
/// Keeps the accumulator's bits that are set in the operand.
const AND: u16 = 0x54;
/// Jumps on whether the accumulator is the operand.
const JUMP_IF_EQUAL: u16 = 0x15;
/// Jumps on whether the accumulator is at least the operand.
const JUMP_IF_AT_LEAST: u16 = 0x35;
/// Returns the accumulator.
const RETURN_ACCUMULATOR: u16 = 0x16;
/// Returns the operand.
const RETURN_OPERAND: u16 = 0x06;

/// An index that no group has.
const NO_SHARD: u32 = u32::MAX;
const RTCP_SSRC_OFFSET: u32 = 4;
const RTP_SSRC_OFFSET: u32 = 8;

const fn step(code: u16, operand: u32) -> Instruction {
    Instruction { code, jump_if_true: 0, jump_if_false: 0, operand }
}

const fn branch(code: u16, operand: u32, jump_if_true: u8, jump_if_false: u8) -> Instruction {
    Instruction { code, jump_if_true, jump_if_false, operand }
}

/// The program. The length comes first since a load beyond the end returns 0, which is a shard.
pub(super) const PROGRAM: [Instruction; 13] = [
    step(LOAD_LENGTH, 0),
    branch(JUMP_IF_AT_LEAST, MIN_DATAGRAM_BYTES as u32, 0, 10),
    // RTP or RTCP: the first byte is 128 to 191.
    step(LOAD_BYTE, 0),
    step(AND, 0b1100_0000),
    branch(JUMP_IF_EQUAL, 128, 0, 7),
    // RTCP: the second byte is 192 to 223.
    step(LOAD_BYTE, 1),
    step(AND, 0b1110_0000),
    branch(JUMP_IF_EQUAL, 192, 0, 2),
    step(LOAD_BYTE, RTCP_SSRC_OFFSET),
    step(RETURN_ACCUMULATOR, 0),
    step(LOAD_BYTE, RTP_SSRC_OFFSET),
    step(RETURN_ACCUMULATOR, 0),
    step(RETURN_OPERAND, NO_SHARD),
];

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_wire::classify::{Class, classify};

    /// What the kernel does with the program.
    fn run(datagram: &[u8]) -> u32 {
        let (mut accumulator, mut position) = (0u32, 0usize);
        loop {
            let Instruction { code, jump_if_true, jump_if_false, operand } = PROGRAM[position];
            position += 1;
            let jump = |condition| usize::from(if condition { jump_if_true } else { jump_if_false });
            match code {
                LOAD_LENGTH => accumulator = datagram.len() as u32,
                LOAD_BYTE => match datagram.get(operand as usize) {
                    Some(byte) => accumulator = u32::from(*byte),
                    None => return 0,
                },
                AND => accumulator &= operand,
                JUMP_IF_EQUAL => position += jump(accumulator == operand),
                JUMP_IF_AT_LEAST => position += jump(accumulator >= operand),
                RETURN_ACCUMULATOR => return accumulator,
                RETURN_OPERAND => return operand,
                _ => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn the_kernel_and_the_shard_agree_on_every_class() {
        let mut datagram: [u8; 28] = std::array::from_fn(|i| i as u8 + 100);
        for (first, second) in (0..=255u8).flat_map(|first| (0..=255u8).map(move |second| (first, second))) {
            (datagram[0], datagram[1]) = (first, second);
            let expected = match classify(&datagram) {
                Class::Rtp { ssrc } | Class::Rtcp { ssrc } => ssrc >> 24,
                Class::Runt | Class::Other => NO_SHARD,
            };
            assert_eq!(run(&datagram), expected, "first bytes {first} and {second}");
        }
    }

    #[test]
    fn runts_have_no_shard() {
        for (second, len) in [96, 200].into_iter().flat_map(|second| (0..22).map(move |len| (second, len))) {
            let mut datagram = [0; 22];
            (datagram[0], datagram[1]) = (128, second);
            assert_eq!(run(&datagram[..len]), NO_SHARD);
            assert_eq!(run(&datagram), 0);
        }
    }
}
