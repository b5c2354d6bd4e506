//! Fresh keys for a session.

use rand::Rng;
use sluice_wire::srtp::{Cryptex, InboundSrtp, KeyError, OutboundSrtp};
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::ticket::{Direction, MasterKey, Secret, Suite};
use zeroize::Zeroizing;

/// Both directions of a session: what goes into the ticket and what stays here.
pub(crate) struct SessionKeys {
    pub(crate) uplink: Direction,
    pub(crate) downlink: Direction,
    pub(crate) inbound: InboundSrtp,
    pub(crate) outbound: OutboundSrtp,
}

/// Draws master keys and salts for both directions. `rng` must be cryptographic.
pub(crate) fn draw_keys(
    rng: &mut impl Rng,
    suite: Suite,
    uplink: SsrcBlock,
    downlink: SsrcBlock,
) -> Result<SessionKeys, KeyError> {
    let uplink = Direction { master: draw_master(rng, suite), ssrcs: uplink };
    let downlink = Direction { master: draw_master(rng, suite), ssrcs: downlink };
    let inbound = InboundSrtp::new(suite, &uplink.master, uplink.ssrcs, Cryptex::Required)?;
    let outbound = OutboundSrtp::new(suite, &downlink.master, downlink.ssrcs, Cryptex::Required)?;
    Ok(SessionKeys { uplink, downlink, inbound, outbound })
}

fn draw_master(rng: &mut impl Rng, suite: Suite) -> MasterKey {
    MasterKey { key: draw(rng, suite.key_len()), salt: draw(rng, suite.salt_len()) }
}

fn draw(rng: &mut impl Rng, len: usize) -> Secret {
    let mut bytes = Zeroizing::new(vec![0; len]);
    rng.fill_bytes(&mut bytes);
    Secret::new(std::mem::take(&mut bytes))
}
