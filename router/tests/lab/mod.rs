//! A shard and clients on a perfect network and virtual time. What goes wrong is what a test makes go wrong.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses its own part of the laboratory; a test that cannot be set up fails"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sluice_client::media::Codec;
use sluice_client::media::packetize::FrameLayer;
use sluice_client::session::{
    ClientSession, EncodingConfig, Event as ClientEvent, OutgoingFrame, ReceivedFrame, TrackConfig,
};
use sluice_router::core::{
    Command, DatagramMeta, Drained, DropReason, Event, OpenRequest, Policy, Rights, Shard, ShardConfig,
    TransmitBatch,
};
use sluice_wire::classify::{Class, classify};
use sluice_wire::control::{Demand, ShownSlot, Speaker, Want, WantedSlot};
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackKind, TrackNumber};

pub const SHARD: u8 = 3;
const STEP: Duration = Duration::from_millis(5);
/// With a network between, time passes in smaller steps.
const NETWORK_STEP: Duration = Duration::from_millis(1);

/// A client and its person's microphone and camera.
pub struct Client {
    pub id: ParticipantId,
    pub ticket: Ticket,
    pub address: SocketAddr,
    pub session: ClientSession,
    pub frames: Vec<ReceivedFrame>,
    /// When each of them was given.
    pub given_at: Vec<Time>,
    pub shown: BTreeMap<u16, ShownSlot>,
    pub events: Vec<ClientEvent>,
    /// Nothing is sent or received any more.
    pub is_dead: bool,
    pub wants_key_frame: Vec<(TrackNumber, u8)>,
    /// How loud its person is, -dBov.
    pub level: u8,
    /// What the router told last of each encoding, and of the speakers.
    pub demand: BTreeMap<(TrackNumber, u8), Demand>,
    pub speakers: Vec<Speaker>,
}

/// What lies between clients and router, both ways: a delay, and loss by chance.
pub struct Network {
    pub delay: Duration,
    /// To the router and from it.
    pub loss_percent: (u64, u64),
    /// What one client is sent is lost so often instead.
    pub loss_to: Option<(SocketAddr, u64)>,
    /// Of the generator of chances.
    pub state: u64,
    /// In order of arrival.
    in_flight: BTreeMap<(Time, u64), InFlight>,
    pub sent: u64,
    pub lost: u64,
}

/// A datagram on its way.
struct InFlight {
    /// `None` is the router.
    to: Option<SocketAddr>,
    from: SocketAddr,
    datagram: Vec<u8>,
}

impl Network {
    pub fn new(delay_ms: u64, seed: u64) -> Self {
        let delay = Duration::from_millis(delay_ms);
        Self {
            delay,
            loss_percent: (0, 0),
            loss_to: None,
            state: seed,
            in_flight: BTreeMap::new(),
            sent: 0,
            lost: 0,
        }
    }

    fn send(&mut self, now: Time, to: Option<SocketAddr>, from: SocketAddr, datagram: &[u8]) {
        // SplitMix64, by Sebastiano Vigna.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.sent += 1;
        let loss_percent = match (to, self.loss_to) {
            (None, _) => self.loss_percent.0,
            (Some(to), Some((bad, percent))) if to == bad => percent,
            _ => self.loss_percent.1,
        };
        if (mixed >> 32) % 100 < loss_percent {
            self.lost += 1;
        } else {
            let packet = InFlight { to, from, datagram: datagram.to_vec() };
            self.in_flight.insert((now + self.delay, self.sent), packet);
        }
    }
}

/// The laboratory.
pub struct Lab {
    pub now: Time,
    pub shard: Shard,
    batch: TransmitBatch,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// All that clients sent, in order.
    pub captured: Vec<(SocketAddr, Vec<u8>)>,
    /// Bytes that went to addresses where no client is.
    pub astray: BTreeMap<SocketAddr, usize>,
    /// All that the router sent, in order, if anybody listens.
    pub tap: Option<Vec<(SocketAddr, Vec<u8>)>>,
    /// Datagrams take their time, and not all arrive.
    pub network: Option<Network>,
    /// Nothing that clients send again arrives.
    pub loses_rtx: bool,
    /// Bytes of a picture of the smallest encoding.
    pub picture_bytes: usize,
    frame_number: u64,
    /// One whose frames may be anything.
    pub villain: Option<ParticipantId>,
    /// Wraps every call into the shard while it works on packets.
    pub count_shard: Option<fn(&mut dyn FnMut())>,
}

pub fn router() -> SocketAddr {
    ([192, 0, 2, 1], 5_004).into()
}

pub fn stranger() -> SocketAddr {
    ([203, 0, 113, 66], 666).into()
}

pub fn person(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    pub fn new() -> Self {
        Self::starting_at(None)
    }

    /// A laboratory whose router uses paths at this bitrate first, if it measures them.
    pub fn starting_at(start_bps: Option<u64>) -> Self {
        Self {
            now: Time::from_nanos(1_800_000_000_000_000_000),
            shard: Shard::new(
                ShardConfig {
                    number: SHARD,
                    addresses: vec![router()],
                    policy: Policy::default(),
                    start_bps,
                },
                [7; 32],
            ),
            batch: TransmitBatch::new(),
            clients: Vec::new(),
            events: Vec::new(),
            captured: Vec::new(),
            astray: BTreeMap::new(),
            tap: None,
            network: None,
            loses_rtx: false,
            picture_bytes: 900,
            frame_number: 0,
            villain: None,
            count_shard: None,
        }
    }

    /// A meeting of `people` who all publish a voice and a camera and want those of all others, running for a second.
    pub fn meeting(people: u32) -> Self {
        Self::meeting_behind(None, people)
    }

    /// [`Self::meeting`] behind a network.
    pub fn meeting_behind(network: Option<Network>, people: u32) -> Self {
        Self { network, ..Self::new() }.with_meeting(people)
    }

    /// The same in any laboratory.
    pub fn with_meeting(mut self, people: u32) -> Self {
        let lab = &mut self;
        for number in 1..=people {
            lab.join(number);
            lab.publish_voice_and_camera(number);
        }
        lab.want_everything();
        lab.run(1_000);
        self
    }

    pub fn open(&mut self, number: u32) -> Result<Ticket, String> {
        self.open_with(number, Rights::default())
    }

    pub fn open_with(&mut self, number: u32, rights: Rights) -> Result<Ticket, String> {
        let request = OpenRequest {
            request: u64::from(number),
            room: "lab".into(),
            participant: person(number),
            suite: Suite::AeadAes128Gcm,
            rights,
        };
        self.shard.handle_command(self.now, Command::Open(request));
        let mut answer = Err("no answer".to_string());
        while let Some(event) = self.shard.poll_event() {
            match &event {
                Event::Opened { ticket, .. } => answer = Ok((**ticket).clone()),
                Event::Refused { reason, .. } => answer = Err(reason.to_string()),
                Event::Ended { .. } => {}
            }
            self.events.push(event);
        }
        answer
    }

    pub fn join(&mut self, number: u32) {
        self.join_with(number, Rights::default());
    }

    pub fn join_with(&mut self, number: u32, rights: Rights) {
        let ticket = self.open_with(number, rights).unwrap();
        let session = ClientSession::new(&ticket, router(), self.now, [number as u8; 32]).unwrap();
        self.clients.push(Client {
            id: person(number),
            ticket,
            address: ([10, 0, 0, number as u8], 4_000).into(),
            session,
            frames: Vec::new(),
            given_at: Vec::new(),
            shown: BTreeMap::new(),
            events: Vec::new(),
            is_dead: false,
            wants_key_frame: Vec::new(),
            level: 20,
            demand: BTreeMap::new(),
            speakers: Vec::new(),
        });
    }

    pub fn client(&mut self, number: u32) -> &mut Client {
        self.clients.iter_mut().find(|client| client.id == person(number)).unwrap()
    }

    pub fn publish_voice_and_camera(&mut self, number: u32) {
        let session = &mut self.client(number).session;
        session.publish(&voice()).unwrap();
        session.publish(&camera(&[180, 360])).unwrap();
    }

    pub fn want_everything(&mut self) {
        let people: Vec<ParticipantId> = self.clients.iter().map(|client| client.id).collect();
        for client in &mut self.clients {
            let others = people.iter().filter(|id| **id != client.id);
            let tracks =
                others.flat_map(|id| [TrackNumber::MICROPHONE, TrackNumber::CAMERA].map(|n| id.track(n)));
            let slots: Vec<WantedSlot> =
                tracks.zip(0..).map(|(track, slot)| want(slot, Want::Track(track))).collect();
            client.session.want(&slots);
        }
    }

    /// Lets virtual time pass; everybody speaks and moves.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            if self.now.as_nanos().is_multiple_of(20_000_000) {
                self.produce();
            }
            self.settle();
            self.now += if self.network.is_some() { NETWORK_STEP } else { STEP };
        }
    }

    /// One voice packet of everybody, and every second time a picture on each of two encodings.
    fn produce(&mut self) {
        self.frame_number += 1;
        let (now, number) = (self.now, self.frame_number);
        for client in self.clients.iter_mut().filter(|client| !client.is_dead) {
            let audio = content(client.id, 0, number, 60);
            let level = client.level;
            let _unpublished = speak(&mut client.session, now, &audio, level);
            if number.is_multiple_of(2) {
                for encoding in 0..3 {
                    let key = number == 2
                        || client.wants_key_frame.contains(&(TrackNumber::CAMERA, encoding))
                        || client.session.stats().frames_sent < 6;
                    client.wants_key_frame.retain(|wanted| *wanted != (TrackNumber::CAMERA, encoding));
                    let picture = picture(
                        client.id,
                        encoding,
                        number,
                        self.picture_bytes * (usize::from(encoding) + 1),
                        key,
                    );
                    let _unpublished =
                        send(&mut client.session, now, TrackNumber::CAMERA, encoding, &picture, key);
                }
            }
        }
    }

    /// Lets a client send a picture of one packet, and keeps the datagram.
    pub fn hold_back_a_picture(&mut self, number: u32) -> Vec<u8> {
        let now = self.now;
        let picture = picture(person(number), 1, 0, 500, false);
        let session = &mut self.client(number).session;
        send(session, now, TrackNumber::CAMERA, 1, &picture, false).unwrap();
        let datagram = session.poll_transmit().unwrap().payload.to_vec();
        assert_eq!(session.poll_transmit(), None);
        datagram
    }

    /// Delivers until nothing moves any more.
    pub fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 100, "datagrams breed datagrams without end");
            let mut moved = self.arrive();
            for index in 0..self.clients.len() {
                moved |= self.drain_client(index);
            }
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                let (shard, now) = (&mut self.shard, self.now);
                watched(self.count_shard, || shard.handle_timeout(now));
            }
            moved |= self.drain_shard();
            if !moved {
                break;
            }
        }
    }

    /// Hands over what has crossed the network.
    fn arrive(&mut self) -> bool {
        let mut moved = false;
        while let Some(network) = &mut self.network
            && let Some(entry) = network.in_flight.first_entry().filter(|entry| entry.key().0 <= self.now)
        {
            moved = true;
            let InFlight { to, from, datagram } = entry.remove();
            match to {
                None => self.inject(from, &datagram),
                Some(to) => {
                    let client = self.clients.iter_mut().find(|client| client.address == to);
                    client.unwrap().session.handle_datagram(self.now, from, &datagram);
                }
            }
        }
        moved
    }

    fn drain_client(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        if client.is_dead {
            return false;
        }
        if client.session.poll_timeout().is_some_and(|at| at <= self.now) {
            client.session.handle_timeout(self.now);
        }
        while let Some(event) = client.session.poll_event() {
            match event {
                ClientEvent::Frame(frame) => {
                    client.frames.push(*frame);
                    client.given_at.push(self.now);
                }
                ClientEvent::Shown(slot) => drop(client.shown.insert(slot.slot, slot)),
                ClientEvent::KeyFrameRequested { track, encoding } => {
                    client.wants_key_frame.push((track, encoding))
                }
                ClientEvent::Demand(demand) => {
                    client.demand.insert((demand.track, demand.encoding), demand);
                }
                ClientEvent::Speakers(speakers) => client.speakers = speakers,
                event => client.events.push(event),
            }
        }
        let mut sent = Vec::new();
        while let Some(transmit) = client.session.poll_transmit() {
            assert_eq!(transmit.remote, router());
            sent.push((client.address, transmit.payload.to_vec()));
        }
        let moved = !sent.is_empty();
        for (from, datagram) in sent {
            let is_rtx = matches!(classify(&datagram), Class::Rtp { ssrc } if ssrc % 4 == 1);
            match &mut self.network {
                _ if is_rtx && self.loses_rtx => {}
                Some(network) => network.send(self.now, None, from, &datagram),
                None => self.inject(from, &datagram),
            }
            self.captured.push((from, datagram));
        }
        moved
    }

    /// Hands the router a datagram.
    pub fn inject(&mut self, from: SocketAddr, datagram: &[u8]) {
        let meta = DatagramMeta { local: router(), remote: from, ecn: 0, received_at: self.now };
        let (shard, now) = (&mut self.shard, self.now);
        watched(self.count_shard, || shard.handle_datagram(now, meta, datagram));
    }

    fn drain_shard(&mut self) -> bool {
        let mut moved = false;
        loop {
            let (shard, batch, now) = (&mut self.shard, &mut self.batch, self.now);
            let mut drained = Drained::Done;
            watched(self.count_shard, || drained = shard.poll_transmit(now, batch));
            for transmit in self.batch.sends() {
                let to = transmit.path.remote;
                let client = self.clients.iter_mut().find(|client| client.address == to && !client.is_dead);
                moved = true;
                if let Some(tap) = &mut self.tap {
                    tap.extend(transmit.datagrams().map(|datagram| (to, datagram.to_vec())));
                }
                match client {
                    None => *self.astray.entry(to).or_default() += transmit.contents.len(),
                    Some(client) => {
                        for datagram in transmit.datagrams() {
                            match &mut self.network {
                                Some(network) => network.send(self.now, Some(to), router(), datagram),
                                None => client.session.handle_datagram(self.now, router(), datagram),
                            }
                        }
                    }
                }
            }
            self.batch.clear();
            if drained == Drained::Done {
                break;
            }
        }
        while let Some(event) = self.shard.poll_event() {
            self.events.push(event);
        }
        moved
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.shard.counters().dropped(reason)
    }

    /// Everything that was dropped, for whatever reason.
    pub fn all_drops(&self) -> u64 {
        DropReason::ALL.iter().map(|reason| self.dropped(*reason)).sum()
    }

    /// Frames that a client has got of a track, so far.
    pub fn frames_of(&self, receiver: u32, sender: u32, track: TrackNumber) -> usize {
        let track = person(sender).track(track);
        let client = self.clients.iter().find(|client| client.id == person(receiver)).unwrap();
        client.frames.iter().filter(|frame| frame.track == track).count()
    }

    /// Runs for a second and asserts that all of `people` get every frame of each other meanwhile, all as they were sent.
    #[track_caller]
    pub fn assert_meeting_goes_on(&mut self, people: &[u32]) {
        let count = |lab: &Self, receiver, sender, track| lab.frames_of(receiver, sender, track);
        let pairs: Vec<(u32, u32)> = people
            .iter()
            .flat_map(|receiver| people.iter().map(move |sender| (*receiver, *sender)))
            .filter(|(receiver, sender)| receiver != sender)
            .collect();
        let before: Vec<(usize, usize)> = pairs
            .iter()
            .map(|(r, s)| {
                (count(self, *r, *s, TrackNumber::MICROPHONE), count(self, *r, *s, TrackNumber::CAMERA))
            })
            .collect();
        self.run(1_000);
        for ((receiver, sender), (voices, pictures)) in pairs.into_iter().zip(before) {
            let voices = count(self, receiver, sender, TrackNumber::MICROPHONE) - voices;
            let pictures = count(self, receiver, sender, TrackNumber::CAMERA) - pictures;
            assert_eq!((voices, pictures), (50, 25), "what {receiver} got of {sender} in a second");
        }
        self.assert_all_frames_are_intact();
    }

    #[track_caller]
    pub fn assert_all_frames_are_intact(&self) {
        for client in &self.clients {
            let judged = |frame: &&ReceivedFrame| Some(frame.track.participant()) != self.villain;
            for frame in client.frames.iter().filter(judged) {
                let body = &frame.frame.data[frame.frame.data.len() - 16..];
                assert_eq!(&body[..4], frame.track.to_bits().to_be_bytes(), "a frame of another track");
                let last = frame.frame.data.last().copied();
                assert_eq!(last, Some(0xEE), "a frame that is cut off");
            }
            assert!(self.villain.is_some() || client.session.stats().frames_broken == 0);
        }
    }
}

fn watched(watch: Option<fn(&mut dyn FnMut())>, mut work: impl FnMut()) {
    match watch {
        Some(watch) => watch(&mut work),
        None => work(),
    }
}

/// Content that names its track and its number and ends with a mark.
fn content(id: ParticipantId, track: u8, number: u64, len: usize) -> Vec<u8> {
    let mut data = vec![0x78; len];
    data.extend_from_slice(&id.track(TrackNumber(track)).to_bits().to_be_bytes());
    data.extend_from_slice(&number.to_be_bytes());
    data.extend_from_slice(&[0, 0, 0, 0xEE]);
    data
}

/// A VP8 frame by its head (RFC 6386 section 9.1).
pub fn picture(id: ParticipantId, encoding: u8, number: u64, len: usize, key: bool) -> Vec<u8> {
    let head: &[u8] =
        if key { &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01] } else { &[0x11, 0, 0] };
    let mut data = head.to_vec();
    data.push(encoding);
    data.extend(content(id, 1, number, len));
    data
}

/// A packet of a microphone at a level, -dBov.
pub fn speak(
    session: &mut ClientSession,
    now: Time,
    data: &[u8],
    level: u8,
) -> Result<usize, sluice_client::session::SendError> {
    let layer = FrameLayer { temporal_id: 0, base_sync: false, discardable: false };
    let frame = OutgoingFrame { data, key: true, layer, audio_level: Some(level), captured_at: now };
    session.send_frame(now, TrackNumber::MICROPHONE, 0, &frame)
}

pub fn send(
    session: &mut ClientSession,
    now: Time,
    track: TrackNumber,
    encoding: u8,
    data: &[u8],
    key: bool,
) -> Result<usize, sluice_client::session::SendError> {
    let layer = FrameLayer { temporal_id: 0, base_sync: false, discardable: false };
    session.send_frame(
        now,
        track,
        encoding,
        &OutgoingFrame { data, key, layer, audio_level: Some(20), captured_at: now },
    )
}

pub fn want(slot: u16, want: Want) -> WantedSlot {
    WantedSlot { slot, want, paused: false, max_height: 0, max_fps: 0, priority: 0 }
}

pub fn voice() -> TrackConfig {
    TrackConfig {
        number: TrackNumber::MICROPHONE,
        kind: TrackKind::Microphone,
        codec: Codec::Opus,
        encodings: vec![encoding(0)],
    }
}

pub fn camera(heights: &[u16]) -> TrackConfig {
    TrackConfig {
        number: TrackNumber::CAMERA,
        kind: TrackKind::Camera,
        codec: Codec::Vp8,
        encodings: heights.iter().map(|height| encoding(*height)).collect(),
    }
}

fn encoding(height: u16) -> EncodingConfig {
    let fps = if height == 0 { 0 } else { 25 };
    EncodingConfig { width: height * 16 / 9, height, fps, temporal_layers: 1, max_bitrate_bps: 500_000 }
}
