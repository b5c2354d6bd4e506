//! A participant with good keys and bad intentions: whatever it seals, the router neither panics nor lets others suffer.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod lab;

use lab::{Lab, person};
use proptest::prelude::*;
use sluice_client::session::ClientSession;
use sluice_wire::control::{CloseCode, OutMessage, PageHeader, Want, WantedSlot, write_message};
use sluice_wire::rtcp::CompoundWriter;
use sluice_wire::srtp::{Cryptex, OutboundSrtp};
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::track::TrackNumber;

const VILLAIN: u32 = 3;

/// Something that a villain seals.
#[derive(Clone, Debug)]
enum Nonsense {
    /// Random bytes behind the head of an RTP packet of a stream.
    Rtp { stream: u16, role: u8, second: u8, sequence_step: u16, body: Vec<u8> },
    /// Random bytes as a compound.
    Rtcp(Vec<u8>),
    /// A control message of random subtype and content.
    App { subtype: u8, body: Vec<u8> },
    /// A well-formed wish for random slots.
    Wanted { version: u32, page: u8, pages: u8, slots: Vec<(u16, u32, bool)> },
    /// A request for packets of a slot, or of any SSRC.
    Nack { slot: Result<u16, u32>, lost: Vec<u16> },
    /// A key frame request for any SSRC.
    Pli(u32),
    /// A report about any SSRC.
    Report { ssrc: u32, last_sr: u32, delay: u32 },
    /// Time passes.
    Wait(u16),
}

fn nonsense() -> impl Strategy<Value = Nonsense> {
    prop_oneof![
        (0..16u16, 0..3u8, any::<u8>(), 1..40_000u16, prop::collection::vec(any::<u8>(), 0..1_150)).prop_map(
            |(stream, role, second, sequence_step, body)| Nonsense::Rtp {
                stream,
                role,
                second,
                sequence_step,
                body
            }
        ),
        prop::collection::vec(any::<u8>(), 0..1_100).prop_map(Nonsense::Rtcp),
        (0..32u8, prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(subtype, body)| Nonsense::App { subtype, body }),
        (
            any::<u32>(),
            0..16u8,
            0..20u8,
            prop::collection::vec(
                (0..70u16, (0..5u32, 0..5u32).prop_map(|(p, t)| p << 8 | t), any::<bool>()),
                0..80
            )
        )
            .prop_map(|(version, page, pages, slots)| Nonsense::Wanted {
                version,
                page,
                pages,
                slots
            }),
        (
            prop_oneof![(0..70u16).prop_map(Ok), any::<u32>().prop_map(Err)],
            prop::collection::vec(any::<u16>(), 1..200)
        )
            .prop_map(|(slot, lost)| Nonsense::Nack { slot, lost }),
        any::<u32>().prop_map(Nonsense::Pli),
        (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(ssrc, last_sr, delay)| Nonsense::Report {
            ssrc,
            last_sr,
            delay
        }),
        (0..300u16).prop_map(Nonsense::Wait),
    ]
}

/// The villain's own sealing end, apart from any client's.
struct Villain {
    srtp: OutboundSrtp,
    index: u64,
}

impl Villain {
    fn seal_compound(&mut self, compound: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 1_300];
        let len = self.srtp.seal_rtcp(compound, &mut out).unwrap_or(0);
        out.truncate(len);
        out
    }

    fn perform(&mut self, lab: &mut Lab, nonsense: &Nonsense) {
        let (block, own_track) =
            (lab.client(VILLAIN).ticket.uplink.ssrcs, person(VILLAIN).track(TrackNumber::CAMERA));
        let control = block.control();
        let mut plain = [0; 1_100];
        let datagram = match nonsense {
            Nonsense::Wait(millis) => return lab.run(u64::from(*millis).next_multiple_of(20)),
            Nonsense::Rtp { stream, role, second, sequence_step, body } => {
                let role = [StreamRole::Media, StreamRole::Rtx, StreamRole::Fec][usize::from(*role)];
                let ssrc = block.ssrc(StreamIndex(*stream), role).unwrap();
                self.index += u64::from(*sequence_step);
                let mut header = vec![0x80, *second];
                header.extend_from_slice(&(self.index as u16).to_be_bytes());
                header.extend_from_slice(&own_track.to_bits().to_be_bytes());
                header.extend_from_slice(&ssrc.to_be_bytes());
                let mut out = vec![0; 1_300];
                let len = self.srtp.seal_rtp(self.index, &header, body, &mut out).unwrap_or(0);
                out.truncate(len);
                out
            }
            Nonsense::Rtcp(bytes) => {
                let mut compound = vec![0x80, 201, 0, 1];
                compound.extend_from_slice(&control.to_be_bytes());
                compound.extend_from_slice(bytes);
                compound.truncate(1_100);
                self.seal_compound(&compound)
            }
            Nonsense::App { subtype, body } => {
                let mut compound = CompoundWriter::new(&mut plain);
                let padded = [&body[..], &[0; 3]].concat();
                let _full = compound.app(*subtype, control, *b"SLCE", &padded[..padded.len() / 4 * 4]);
                let len = compound.finish();
                self.seal_compound(&plain[..len])
            }
            Nonsense::Wanted { version, page, pages, slots } => {
                let slots: Vec<WantedSlot> = slots
                    .iter()
                    .map(|(slot, bits, paused)| {
                        let want =
                            sluice_wire::track::TrackId::from_bits(*bits).map_or(Want::Nothing, Want::Track);
                        WantedSlot { paused: *paused, ..lab::want(*slot, want) }
                    })
                    .collect();
                let header = PageHeader { version: *version, page: *page, pages: *pages };
                let mut compound = CompoundWriter::new(&mut plain);
                let _full = write_message(&mut compound, control, &OutMessage::Wanted(header, &slots));
                let len = compound.finish();
                self.seal_compound(&plain[..len])
            }
            Nonsense::Nack { slot, lost } => {
                let down = lab.client(VILLAIN).ticket.downlink.ssrcs.base();
                let ssrc = slot.map_or_else(|any| any, |slot| down + 4 + 4 * u32::from(slot));
                let mut compound = CompoundWriter::new(&mut plain);
                compound.nack(control, ssrc, lost).unwrap();
                let len = compound.finish();
                self.seal_compound(&plain[..len])
            }
            Nonsense::Pli(ssrc) => {
                let mut compound = CompoundWriter::new(&mut plain);
                compound.pli(control, *ssrc).unwrap();
                let len = compound.finish();
                self.seal_compound(&plain[..len])
            }
            Nonsense::Report { ssrc, last_sr, delay } => {
                let block = sluice_wire::rtcp::ReportBlock {
                    ssrc: *ssrc,
                    fraction_lost: 255,
                    cumulative_lost: -1,
                    highest_sequence: u32::MAX,
                    jitter: u32::MAX,
                    last_sr: *last_sr,
                    delay_since_last_sr: *delay,
                };
                let mut compound = CompoundWriter::new(&mut plain);
                compound.receiver_report(control, &[block]).unwrap();
                let len = compound.finish();
                self.seal_compound(&plain[..len])
            }
        };
        let from = lab.client(VILLAIN).address;
        lab.inject(from, &datagram);
        lab.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_authenticated_nonsense_disturbs_the_others(deeds in prop::collection::vec(nonsense(), 1..60)) {
        let mut lab = Lab::meeting(3);
        // The villain goes on under its client's keys, far ahead of what its client has sent.
        let ticket = lab.client(VILLAIN).ticket.clone();
        let mut villain = Villain {
            srtp: OutboundSrtp::new(ticket.suite, &ticket.uplink.master, ticket.uplink.ssrcs, Cryptex::Required).unwrap(),
            index: 1 << 15,
        };
        let mut plain = [0; 64];
        for _ in 0..2_000 {
            let mut compound = CompoundWriter::new(&mut plain);
            compound.receiver_report(ticket.uplink.ssrcs.control(), &[]).unwrap();
            let len = compound.finish();
            villain.seal_compound(&plain[..len]);
        }
        lab.client(VILLAIN).session = ClientSession::new(&ticket, lab::router(), lab.now, [0; 32]).unwrap();
        lab.client(VILLAIN).is_dead = true;
        lab.villain = Some(person(VILLAIN));
        for deed in &deeds {
            villain.perform(&mut lab, deed);
        }
        lab.run(600);
        lab.assert_meeting_goes_on(&[1, 2]);
        let close = sluice_router::core::Command::CloseRoom { room: "lab".into(), code: CloseCode::Normal };
        lab.shard.handle_command(lab.now, close);
        lab.run(1_000);
        let gauges = lab.shard.gauges();
        prop_assert_eq!((gauges.sessions, gauges.rooms, gauges.tracks, gauges.waiting_packets), (0, 0, 0, 0));
    }
}
