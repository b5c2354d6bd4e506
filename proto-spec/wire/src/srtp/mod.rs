//! SRTP and SRTCP with Cryptex: `proto-spec/spec/02-session.md` section 2.4.
//!
//! RFC 3711 (framework, AES-CM), RFC 7714 (AES-GCM), RFC 9335 (Cryptex). [`InboundSrtp`] opens what one direction of a
//! session receives, [`OutboundSrtp`] seals what it sends. Keys are derived once and kept expanded. No packet allocates, but
//! the first authentic one of an SSRC; a packet that fails changes nothing at all.

mod cipher;
mod cryptex;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod inbound;
mod index;
mod kdf;
mod outbound;
mod replay;
mod rtcp;
mod rtp;
mod sealed;
mod streams;

#[cfg(test)]
mod tests;

pub use cryptex::Cryptex;
pub use error::{KeyError, OpenError, SealError};
pub use inbound::{InboundSrtp, OpenedRtcp, OpenedRtp};
pub use outbound::OutboundSrtp;
