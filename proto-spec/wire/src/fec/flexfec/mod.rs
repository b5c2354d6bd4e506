//! FlexFEC: parity by exclusive or, over any of up to 109 packets from a first one on, of one stream.
//!
//! Two layouts of the header are spoken. [`Layout::Draft03`] is that of draft-ietf-payload-flexible-fec-scheme-03, which Chromium
//! sends: SSRC count and SSRC are in it, and a set K bit says that the mask **ends**. [`Layout::Rfc8627`] is that of RFC 8627
//! section 4.2.2.1: the SSRC is a CSRC of the FEC packet's RTP header, a set K bit says that the mask **goes on**, and the third
//! part of the mask has no K bit and so a bit more, which makes 110. What is summed up is the same. Of both only the flexible mask
//! for one stream is read: no retransmissions (R), no fixed masks (F), no second stream.

mod header;
mod sum;
#[cfg(test)]
mod tests;

pub use header::{FlexFec, FlexFecError, Layout, MAX_MASK_BITS};
pub use sum::{FlexEncoder, MAX_PROTECTED_BYTES};
