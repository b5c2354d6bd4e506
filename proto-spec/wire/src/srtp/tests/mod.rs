//! Tests of the module as a whole; those of single parts are beside them.

mod hostile;
mod identity;
mod oracle;
mod order;
mod sealing;
mod vectors;

use crate::ssrc::{SsrcBlock, StreamIndex, StreamRole};
use crate::ticket::{MasterKey, Secret, Suite};

use super::{Cryptex, InboundSrtp, OutboundSrtp};

const SUITES: [Suite; 3] = [Suite::AeadAes128Gcm, Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80];
const MODES: [Cryptex; 2] = [Cryptex::Required, Cryptex::Off];
const ROOM: usize = 4_096;

fn block() -> SsrcBlock {
    SsrcBlock::new(0x0700_0100, 256).unwrap()
}

/// The media SSRC of stream 1.
fn media() -> u32 {
    block().ssrc(StreamIndex(1), StreamRole::Media).unwrap()
}

fn master(suite: Suite) -> MasterKey {
    let secret = |len, salt: u8| Secret::new((0..len as u8).map(|i| i.wrapping_mul(29) ^ salt).collect());
    MasterKey { key: secret(suite.key_len(), 0x5A), salt: secret(suite.salt_len(), 0xC3) }
}

fn pair(suite: Suite, cryptex: Cryptex) -> (OutboundSrtp, InboundSrtp) {
    let master = master(suite);
    (
        OutboundSrtp::new(suite, &master, block(), cryptex).unwrap(),
        InboundSrtp::new(suite, &master, block(), cryptex).unwrap(),
    )
}

/// An RTP header with `csrcs` CSRCs and, if given, an extension block of this profile and these words.
fn header(ssrc: u32, sequence_number: u16, csrcs: u8, extension: Option<(u16, &[u32])>) -> Vec<u8> {
    let mut bytes = vec![0x80 | csrcs | if extension.is_some() { 0x10 } else { 0 }, 96];
    bytes.extend(sequence_number.to_be_bytes());
    bytes.extend(0x1234_5678_u32.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend((0..u32::from(csrcs)).flat_map(|i| (0xC000_0000 + i).to_be_bytes()));
    if let Some((profile, words)) = extension {
        bytes.extend(profile.to_be_bytes());
        bytes.extend((words.len() as u16).to_be_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    }
    bytes
}

/// A plain packet of stream 1, sealed.
fn seal(outbound: &mut OutboundSrtp, index: u64) -> Vec<u8> {
    let mut out = vec![0; ROOM];
    let header = header(media(), index as u16, 0, None);
    let len = outbound.seal_rtp(index, &header, b"some payload", &mut out).unwrap();
    out.truncate(len);
    out
}

/// A compound of the control SSRC: an empty receiver report and `len` bytes.
fn compound(len: usize) -> Vec<u8> {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend(block().control().to_be_bytes());
    bytes.extend((0..len).map(|i| i as u8));
    bytes
}

fn seal_compound(outbound: &mut OutboundSrtp, compound: &[u8]) -> Vec<u8> {
    let mut out = vec![0; ROOM];
    let len = outbound.seal_rtcp(compound, &mut out).unwrap();
    out.truncate(len);
    out
}
