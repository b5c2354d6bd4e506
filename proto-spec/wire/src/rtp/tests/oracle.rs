//! Against an independent implementation. It panics on malformed extensions, so it is given only well-formed ones.

use bytes::Bytes;
use rtp::header::{Extension, Header};
use rtp::packet::Packet;
use webrtc_util::marshal::{Marshal as _, Unmarshal as _};

use super::*;
use crate::ext::{ONE_BYTE_PROFILE, TWO_BYTE_PROFILE, id};

fn read_by_oracle(bytes: &[u8]) -> Packet {
    Packet::unmarshal(&mut Bytes::copy_from_slice(bytes)).unwrap()
}

fn assert_same(ours: &RtpPacket<'_>, theirs: &Packet) {
    let header = &theirs.header;
    assert_eq!(ours.marker(), header.marker);
    assert_eq!(ours.payload_type(), header.payload_type);
    assert_eq!(ours.sequence_number(), header.sequence_number);
    assert_eq!(ours.timestamp(), header.timestamp);
    assert_eq!(ours.ssrc(), header.ssrc);
    assert_eq!(ours.csrcs().collect::<Vec<_>>(), header.csrc);
    assert_eq!(ours.extension_profile(), header.extension.then_some(header.extension_profile));
    let extensions: Vec<_> = ours.extensions().map(|e| (e.id, e.data.to_vec())).collect();
    let expected: Vec<_> = header.extensions.iter().map(|e| (e.id, e.payload.to_vec())).collect();
    assert_eq!(extensions, expected);
    assert_eq!(ours.payload(), &theirs.payload[..]);
}

/// A packet of the oracle's with elements of the profile.
fn any_packet(
    profile: u16,
    ids: std::ops::Range<u8>,
    data_len: std::ops::Range<usize>,
) -> impl Strategy<Value = Packet> {
    let element =
        (ids, vec(any::<u8>(), data_len)).prop_map(|(id, data)| Extension { id, payload: Bytes::from(data) });
    (any_sample(), vec(element, 1..6), any::<bool>()).prop_map(move |(sample, extensions, padding)| Packet {
        header: Header {
            version: 2,
            padding,
            extension: true,
            marker: sample.marker,
            payload_type: sample.payload_type,
            sequence_number: sample.sequence_number,
            timestamp: sample.timestamp,
            ssrc: sample.ssrc,
            csrc: sample.csrcs,
            extension_profile: profile,
            extensions,
            extensions_padding: 0,
        },
        payload: Bytes::from(sample.payload),
    })
}

proptest! {
    #[test]
    fn the_oracle_reads_what_we_write(sample in any_sample()) {
        let bytes = sample.to_bytes();
        let theirs = read_by_oracle(&bytes);
        assert_same(&RtpPacket::parse(&bytes).unwrap(), &theirs);
        let sequence = theirs.header.get_extension(id::TRANSPORT_SEQUENCE);
        let expected = sample.extensions.transport_sequence;
        prop_assert_eq!(sequence.map(|data| data.to_vec()), expected.map(|number| number.to_be_bytes().to_vec()));
    }

    #[test]
    fn we_read_one_byte_elements_of_the_oracle(packet in any_packet(ONE_BYTE_PROFILE, 1..15, 1..17)) {
        let bytes = packet.marshal().unwrap();
        assert_same(&RtpPacket::parse(&bytes).unwrap(), &packet);
    }

    #[test]
    fn we_read_two_byte_elements_of_the_oracle(packet in any_packet(TWO_BYTE_PROFILE, 1..255, 0..40)) {
        let bytes = packet.marshal().unwrap();
        assert_same(&RtpPacket::parse(&bytes).unwrap(), &packet);
    }

    #[test]
    fn both_read_the_same_without_an_extension(bytes in vec(any::<u8>(), 12..96), flags in 0..64u8) {
        let mut bytes = bytes;
        bytes[0] = 0x80 | (flags & !EXTENSION_BIT);
        if let Ok(ours) = RtpPacket::parse(&bytes) {
            assert_same(&ours, &read_by_oracle(&bytes));
        }
    }
}
