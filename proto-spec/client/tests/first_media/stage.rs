//! Router and clients, driven step by step on the file's time.

use std::net::SocketAddr;

use sluice_client::media::Codec;
use sluice_client::media::packetize::FrameLayer;
use sluice_client::session::{ClientSession, EncodingConfig, Event, OutgoingFrame, TrackConfig};
use sluice_router::core::{
    Command, DatagramMeta, Drained, Event as RouterEvent, OpenRequest, Policy, Rights, Shard, ShardConfig,
    TransmitBatch,
};
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId, TrackKind, TrackNumber};

use crate::vector;

/// A datagram in flight: to or from a client's address.
pub(crate) type Flying = (SocketAddr, Vec<u8>);

/// The router.
pub(crate) struct RouterStage {
    shard: Shard,
    batch: TransmitBatch,
    address: SocketAddr,
    room: String,
}

impl RouterStage {
    pub(crate) fn new(router: &vector::Router) -> Self {
        let config = ShardConfig {
            number: router.shard,
            addresses: vec![router.address],
            policy: Policy::default(),
            start_bps: None,
        };
        Self {
            shard: Shard::new(config, router.seed.seed()),
            batch: TransmitBatch::new(),
            address: router.address,
            room: router.room.clone(),
        }
    }

    /// Opens a participant's session.
    pub(crate) fn open(&mut self, now: Time, participant: u32) -> Ticket {
        let request = OpenRequest {
            request: 0,
            room: self.room.clone(),
            participant: ParticipantId::new(participant).expect("a participant's number"),
            suite: Suite::AeadAes128Gcm,
            rights: Rights::default(),
        };
        self.shard.handle_command(now, Command::Open(request));
        match self.shard.poll_event() {
            Some(RouterEvent::Opened { ticket, .. }) => *ticket,
            other => panic!("the session was not opened: {other:?}"),
        }
    }

    /// Hands in what arrived, does what is due, and gives what is to be sent.
    pub(crate) fn step(&mut self, now: Time, arrived: &[Flying]) -> Vec<Flying> {
        for (remote, datagram) in arrived {
            let meta = DatagramMeta { local: self.address, remote: *remote, ecn: 0, received_at: now };
            self.shard.handle_datagram(now, meta, datagram);
        }
        if self.next_at().is_some_and(|next| next <= now) {
            self.shard.handle_timeout(now);
        }
        assert_eq!(self.shard.poll_transmit(now, &mut self.batch), Drained::Done);
        let sent = self
            .batch
            .sends()
            .flat_map(|send| send.datagrams().map(move |datagram| (send.path.remote, datagram.to_vec())))
            .collect();
        self.batch.clear();
        sent
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.shard.poll_timeout()
    }
}

/// A client.
pub(crate) struct ClientStage {
    session: ClientSession,
    router: SocketAddr,
}

impl ClientStage {
    /// Begins: tracks and wishes first, then the frames ride right behind.
    pub(crate) fn start(now: Time, who: &vector::Participant, ticket: &Ticket) -> Self {
        let router = ClientSession::choose_address(ticket, |_| true).expect("an address");
        let mut session =
            ClientSession::new(ticket, router, now, who.seed.seed()).expect("a ticket of this version");
        for track in &who.publishes {
            session.publish(&configure(track)).expect("a track");
        }
        let wanted: Vec<WantedSlot> = who.wants.iter().map(want).collect();
        session.want(&wanted);
        session.handle_timeout(now);
        for frame in &who.frames {
            let outgoing = OutgoingFrame {
                data: &frame.data.0,
                key: frame.key,
                layer: FrameLayer::default(),
                audio_level: frame.audio_level,
                captured_at: now,
            };
            session.send_frame(now, TrackNumber(frame.track), 0, &outgoing).expect("the frame is queued");
        }
        Self { session, router }
    }

    /// Hands in what arrived, does what is due, and gives what is to be sent.
    pub(crate) fn step(&mut self, now: Time, arrived: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for datagram in arrived {
            self.session.handle_datagram(now, self.router, datagram);
        }
        if self.next_at().is_some_and(|next| next <= now) {
            self.session.handle_timeout(now);
        }
        let mut sent = Vec::new();
        while let Some(transmit) = self.session.poll_transmit() {
            assert_eq!(transmit.remote, self.router);
            sent.push(transmit.payload.to_vec());
        }
        sent
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.session.poll_timeout()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.session.is_settled()
    }
}

fn configure(track: &vector::Track) -> TrackConfig {
    let (kind, codec) = match (track.track, track.payload_type) {
        (0, 96) => (TrackKind::Microphone, Codec::Opus),
        (1, 97) => (TrackKind::Camera, Codec::Vp8),
        other => panic!("the example has no track {other:?}"),
    };
    TrackConfig {
        number: TrackNumber(track.track),
        kind,
        codec,
        encodings: vec![EncodingConfig {
            width: track.width,
            height: track.height,
            fps: track.fps,
            temporal_layers: 1,
            max_bitrate_bps: track.max_bitrate,
        }],
    }
}

fn want(want: &vector::Want) -> WantedSlot {
    let bits = u32::from_be_bytes(want.track_id.0.as_slice().try_into().expect("a track id has 4 bytes"));
    WantedSlot {
        slot: want.slot,
        want: Want::Track(TrackId::from_bits(bits).expect("a track id")),
        paused: false,
        max_height: want.max_height,
        max_fps: want.max_fps,
        priority: want.priority,
    }
}
