//! Body of the fuzz target of [`InboundSrtp`] and [`OutboundSrtp`].

use crate::ssrc::SsrcBlock;
use crate::ticket::{MasterKey, Secret, Suite};

use super::{Cryptex, InboundSrtp, OpenError, OutboundSrtp};

/// Larger than any datagram.
const BUFFER_BYTES: usize = 1 << 16;
const BLOCK_BASE: u32 = 0x0100_0000;
const BLOCK_COUNT: u32 = 64;

/// Opens arbitrary bytes as SRTP and SRTCP, and round-trips them as plaintext.
///
/// The first byte chooses suite and Cryptex and which SSRC of the block the rest is given, so that it gets past that check.
///
/// # Panics
/// If forged bytes open or change state, or if what was sealed does not open to the same bytes.
pub fn open(bytes: &[u8]) {
    let Some((&choice, packet)) = bytes.split_first() else { return };
    let suite =
        [Suite::AeadAes128Gcm, Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80][usize::from(choice % 3)];
    let cryptex = if choice & 0x40 == 0 { Cryptex::Required } else { Cryptex::Off };
    let Some((mut inbound, mut outbound)) = pair(suite, cryptex) else { return };
    let mut packet = packet.to_vec();
    packet.truncate(BUFFER_BYTES / 2);
    if choice & 0x80 == 0 {
        set(&mut packet, 8, BLOCK_BASE + 4 + u32::from(choice % 3));
        set(&mut packet, 4, BLOCK_BASE);
    }
    refuse(&mut inbound, &packet);
    round_trip(&mut inbound, &mut outbound, &packet);
}

fn pair(suite: Suite, cryptex: Cryptex) -> Option<(InboundSrtp, OutboundSrtp)> {
    let block = SsrcBlock::new(BLOCK_BASE, BLOCK_COUNT).ok()?;
    let secret = |len| Secret::new((0..len as u8).collect());
    let master = MasterKey { key: secret(suite.key_len()), salt: secret(suite.salt_len()) };
    Some((
        InboundSrtp::new(suite, &master, block, cryptex).ok()?,
        OutboundSrtp::new(suite, &master, block, cryptex).ok()?,
    ))
}

fn set(packet: &mut [u8], at: usize, ssrc: u32) {
    if let Some(field) = packet.get_mut(at..at + 4) {
        field.copy_from_slice(&ssrc.to_be_bytes());
    }
}

fn refuse(inbound: &mut InboundSrtp, packet: &[u8]) {
    let before = format!("{inbound:?}");
    let mut out = vec![0; packet.len()];
    for len in [packet.len(), packet.len() / 2] {
        assert!(inbound.open_rtp(packet, &mut out[..len]).is_err(), "forged SRTP opened");
        assert!(inbound.open_rtcp(packet, &mut out[..len]).is_err(), "forged SRTCP opened");
    }
    assert_eq!(format!("{inbound:?}"), before, "a forged packet changed state");
}

fn round_trip(inbound: &mut InboundSrtp, outbound: &mut OutboundSrtp, plain: &[u8]) {
    let (mut sealed, mut opened) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let index = match plain {
        [_, _, a, b, ..] => u64::from(u16::from_be_bytes([*a, *b])),
        _ => 0,
    };
    // Any split may be the header's end; all but one are refused.
    for split in (12..=plain.len().min(12 + 15 * 4 + 64)).step_by(4) {
        let (header, payload) = plain.split_at(split);
        if let Ok(len) = outbound.seal_rtp(index, header, payload, &mut sealed) {
            let packet = inbound.open_rtp(&sealed[..len], &mut opened);
            let Ok(packet) = packet else { panic!("sealed SRTP refused: {packet:?}") };
            assert!(opened[..packet.len].ends_with(payload), "payload changed");
            assert_eq!(inbound.open_rtp(&sealed[..len], &mut opened), Err(OpenError::Replayed));
        }
    }
    if let Ok(len) = outbound.seal_rtcp(plain, &mut sealed) {
        let packet = inbound.open_rtcp(&sealed[..len], &mut opened);
        assert!(packet.is_ok_and(|packet| opened[..packet.len] == *plain), "sealed SRTCP refused or changed");
        assert_eq!(inbound.open_rtcp(&sealed[..len], &mut opened), Err(OpenError::Replayed));
    }
}
