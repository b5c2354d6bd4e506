//! The SRTP packet: RFC 3711 section 3.1, RFC 7714 section 8, RFC 9335 section 6.

use aws_lc_rs::error::Unspecified;

use super::cipher::Cipher;
use super::cryptex::Form;

/// The ROC, which HMAC suites authenticate though no packet carries it.
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// Seals a packet into `out`, which has exactly the room for it; `patch` may change the copied payload first.
///
/// # Errors
/// [`Unspecified`] if the payload is longer than the cipher allows, which is more than a datagram can hold.
pub(super) fn seal(
    cipher: &Cipher,
    form: &Form,
    index: u64,
    header: &[u8],
    payload: &[u8],
    out: &mut [u8],
    patch: impl FnOnce(&mut [u8]),
) -> Result<(), Unspecified> {
    let ssrc = form.header.ssrc;
    let plain_len = out.len() - cipher.tag_len();
    let (packet, tag_out) = out.split_at_mut(plain_len);
    packet[..header.len()].copy_from_slice(header);
    let payload_out = &mut packet[header.len() + form.added_len()..];
    payload_out.copy_from_slice(payload);
    patch(payload_out);
    form.add_extension(packet);
    form.swap_profile(packet);
    form.arrange(packet);
    let (clear, region) = packet.split_at_mut(form.clear_len());
    match cipher {
        Cipher::Gcm(gcm) => {
            tag_out.copy_from_slice(gcm.seal(ssrc, index, clear, region)?.as_ref());
            form.rearrange(packet);
        }
        Cipher::Cm(cm) => {
            cm.apply(ssrc, index, region)?;
            form.rearrange(packet);
            tag_out.copy_from_slice(&cm.tag(packet, &roc(index)));
        }
    }
    Ok(())
}

/// Opens a packet into `out`, which is as long as the packet without its tag.
///
/// # Errors
/// [`Unspecified`] if the tag is wrong; `out` may hold anything then.
pub(super) fn open(
    cipher: &Cipher,
    form: &Form,
    index: u64,
    packet: &[u8],
    out: &mut [u8],
) -> Result<(), Unspecified> {
    let ssrc = form.header.ssrc;
    let (packet, tag) = packet.split_at(out.len());
    let clear_len = form.clear_len();
    match cipher {
        Cipher::Gcm(gcm) if form.is_contiguous() => {
            let (clear, region) = packet.split_at(clear_len);
            let (clear_out, region_out) = out.split_at_mut(clear_len);
            gcm.open(ssrc, index, clear, region, tag, region_out)?;
            clear_out.copy_from_slice(clear);
        }
        Cipher::Gcm(gcm) => {
            out.copy_from_slice(packet);
            form.arrange(out);
            let (clear, region) = out.split_at_mut(clear_len);
            gcm.open_in_place(ssrc, index, clear, region, tag)?;
            form.rearrange(out);
        }
        Cipher::Cm(cm) => {
            cm.verify(packet, &roc(index), tag)?;
            out.copy_from_slice(packet);
            form.arrange(out);
            cm.apply(ssrc, index, &mut out[clear_len..])?;
            form.rearrange(out);
        }
    }
    form.swap_profile(out);
    Ok(())
}
