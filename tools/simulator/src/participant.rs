//! A person with a client, on a host of the simulated network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sluice_client::media::Codec;
use sluice_client::session::{
    ClientSession, EncodingConfig, Event, OutgoingFrame, ReceivedFrame, SendError, TrackConfig,
};
use sluice_wire::control::{Demand, DemandStatus, Speaker, Want, WantedSlot};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId, TrackKind, TrackNumber};

use crate::ledger::{Decoder, Ledger};
use crate::source::{MAX_TEMPORAL_LAYERS, Picture, Source};

/// Heights of the camera's encodings.
pub const CAMERA_HEIGHTS: [u16; 3] = [180, 360, 720];
/// Mean sizes of their frames.
const CAMERA_BYTES: [usize; 3] = [300, 900, 2_400];
/// Frames per second of a camera: each temporal layer below the top halves them evenly.
pub const CAMERA_FPS: u8 = 16;
/// Voices that a view of speakers has slots for; more than a room has.
const VOICE_SLOTS: u16 = 5;
/// Cameras in a view of speakers.
const SPEAKER_SLOTS: u16 = 3;
/// A voice's level, and that of a silent room, -dBov.
const TALKS: u8 = 30;
const SILENT: u8 = 127;

/// What a person's screen is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All tracks of all others.
    Gallery,
    /// Those who speak, and all screens.
    Speakers,
}

/// What a person wants to see.
#[derive(Clone, Copy, Debug)]
struct Taste {
    layout: Layout,
    max_height: u16,
    max_fps: u8,
    paused: bool,
}

/// A person in the meeting.
#[derive(Debug)]
pub struct Participant {
    /// The number that signaling gave.
    pub id: ParticipantId,
    /// The socket, as its own host sees it.
    pub socket: SocketAddr,
    /// The session under test.
    pub session: ClientSession,
    /// When the person joined.
    pub joined_at: Time,
    /// Temporal layers of the camera's encodings.
    pub camera_layers: [u8; CAMERA_HEIGHTS.len()],
    /// Whether the camera is muted.
    pub camera_is_muted: bool,
    /// Whether the microphone is muted.
    pub microphone_is_muted: bool,
    /// Whether a screen is published.
    pub shares_screen: bool,
    /// The most that may be sent to this person, bit/s.
    pub limit_bps: u64,
    /// What the slots are to show.
    pub wishes: Vec<WantedSlot>,
    /// What the router last said of each published encoding.
    pub demand: BTreeMap<(TrackNumber, u8), Demand>,
    /// Who spoke last, by the router.
    pub speakers: Vec<Speaker>,
    /// Why the session ended, once it did.
    pub closed: Option<String>,
    /// When a decodable frame last came on each slot, since it is to show what it is.
    seen: BTreeMap<u16, Time>,
    /// What each slot is about, and since when, as far as the person knows.
    subjects: BTreeMap<u16, (Option<TrackId>, Time)>,
    decoders: BTreeMap<(u16, TrackId), Decoder>,
    taste: Taste,
    talks_until: Time,
    sources: Vec<Source>,
}

impl Participant {
    /// A person who joined at `now` with `ticket`.
    ///
    /// # Errors
    /// What is wrong with the ticket or the tracks.
    pub fn new(
        id: ParticipantId,
        socket: SocketAddr,
        ticket: &Ticket,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, String> {
        let remote = ClientSession::choose_address(ticket, |_| true).map_err(|error| error.to_string())?;
        let session =
            ClientSession::new(ticket, remote, now, rng.random()).map_err(|error| error.to_string())?;
        let layout = if rng.random() { Layout::Gallery } else { Layout::Speakers };
        let mut person = Self {
            id,
            socket,
            session,
            joined_at: now,
            camera_layers: [(); CAMERA_HEIGHTS.len()].map(|()| rng.random_range(1..=MAX_TEMPORAL_LAYERS)),
            camera_is_muted: false,
            microphone_is_muted: false,
            shares_screen: false,
            limit_bps: u64::MAX,
            wishes: Vec::new(),
            demand: BTreeMap::new(),
            speakers: Vec::new(),
            closed: None,
            seen: BTreeMap::new(),
            subjects: BTreeMap::new(),
            decoders: BTreeMap::new(),
            taste: Taste { layout, max_height: 0, max_fps: 0, paused: false },
            talks_until: now,
            sources: vec![Source::voice(TrackNumber::MICROPHONE, now, rng)],
        };
        person.publish_camera(now, rng)?;
        Ok(person)
    }

    fn publish_camera(&mut self, now: Time, rng: &mut ChaCha8Rng) -> Result<(), String> {
        let layers = self.camera_layers;
        let voice = TrackConfig {
            number: TrackNumber::MICROPHONE,
            kind: TrackKind::Microphone,
            codec: Codec::Opus,
            encodings: vec![encoding(0, 0, 1)],
        };
        let camera = TrackConfig {
            number: TrackNumber::CAMERA,
            kind: TrackKind::Camera,
            codec: Codec::Vp8,
            encodings: (CAMERA_HEIGHTS.iter().zip(layers))
                .map(|(height, layers)| encoding(*height, CAMERA_FPS, layers))
                .collect(),
        };
        for track in [voice, camera] {
            self.session.publish(&track).map_err(|error| error.to_string())?;
        }
        let first = self.sources.len();
        let is_aligned: bool = rng.random();
        for (number, (mean_bytes, temporal_layers)) in CAMERA_BYTES.into_iter().zip(layers).enumerate() {
            let picture = Picture { fps: CAMERA_FPS, mean_bytes, temporal_layers };
            let mut source = Source::picture(TrackNumber::CAMERA, number as u8, picture, now, rng);
            if is_aligned && let Some(lowest) = self.sources.get(first) {
                source.align_with(lowest);
            }
            self.sources.push(source);
        }
        Ok(())
    }

    /// When this person does something next.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        let frames = self.sources.iter().map(Source::next_at).min().filter(|_| self.closed.is_none());
        [frames, self.session.poll_timeout()].into_iter().flatten().min()
    }

    /// Sends the frames that are due and lets the session do what is due.
    ///
    /// # Errors
    /// A frame that the session refused though it should not.
    pub fn act(&mut self, now: Time, ledger: &mut Ledger) -> Result<(), String> {
        for source in &mut self.sources {
            while source.next_at() <= now {
                let captured_at = source.next_at();
                let frame = source.next_frame();
                let silent =
                    self.closed.is_some() || (self.camera_is_muted && source.track == TrackNumber::CAMERA);
                if silent {
                    source.want_key_frame();
                    continue;
                }
                let outgoing = OutgoingFrame {
                    data: &frame.data,
                    key: frame.key,
                    layer: frame.layer,
                    audio_level: Some(if captured_at < self.talks_until { TALKS } else { SILENT }),
                    captured_at,
                };
                let track = self.id.track(source.track);
                match self.session.send_frame(now, source.track, source.encoding, &outgoing) {
                    Ok(_) => ledger.on_sent(track, source.encoding, captured_at, frame),
                    Err(SendError::Muted) => ledger.on_level_sent(track, captured_at, frame),
                    Err(SendError::NotWanted) => {}
                    Err(error) => return Err(format!("{:?} could not send a frame: {error}", self.id)),
                }
            }
        }
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        Ok(())
    }

    /// Takes in what the session says. `all_arrives`: nothing was lost on the way to this person or to the router.
    ///
    /// # Errors
    /// A frame that nobody sent, one that should not have come, or a refusal.
    pub fn listen(&mut self, now: Time, ledger: &mut Ledger, all_arrives: bool) -> Result<(), String> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Frame(frame) => self
                    .look_at(now, &frame, ledger, all_arrives)
                    .map_err(|what| format!("{:?}, slot {}: {what}", self.id, frame.slot))?,
                Event::SourceChanged { slot, track } => {
                    self.decoders.remove(&(slot, track));
                }
                Event::KeyFrameRequested { track, encoding } => {
                    let wanted = |source: &&mut Source| source.track == track && source.encoding == encoding;
                    if let Some(source) = self.sources.iter_mut().find(wanted) {
                        source.want_key_frame();
                    }
                }
                Event::Refused { state, status } => {
                    return Err(format!("the router refused {state:?} of {:?}: {status:?}", self.id));
                }
                Event::Closed(code) => self.closed = Some(format!("{code:?}")),
                Event::Demand(demand) => {
                    self.demand.insert((demand.track, demand.encoding), demand);
                }
                Event::Speakers(speakers) => self.speakers = speakers,
                Event::Shown(shown) => {
                    let subject = self.subjects.entry(shown.slot).or_insert((None, now));
                    if subject.0 != shown.track {
                        *subject = (shown.track, now);
                    }
                }
                Event::Connected
                | Event::PathSuspect
                | Event::PathRecovered
                | Event::UplinkBitrate { .. } => {}
            }
        }
        Ok(())
    }

    fn look_at(
        &mut self,
        now: Time,
        frame: &ReceivedFrame,
        ledger: &mut Ledger,
        all_arrives: bool,
    ) -> Result<(), String> {
        let sent = ledger.on_received(frame)?;
        if sent.is_level && all_arrives {
            return Err(format!("{:?} is heard though it is muted", frame.track));
        }
        let decoder = self.decoders.entry((frame.slot, frame.track)).or_default();
        let before = decoder.encoding();
        let is_decodable = decoder.decode(&sent);
        ledger.switches += u64::from(before.is_some() && before != decoder.encoding());
        if frame.is_decodable && !is_decodable {
            return Err(format!("{sent:?} of {:?} passes for decodable and is not", frame.track));
        }
        if all_arrives && !is_decodable {
            return Err(format!("{sent:?} of {:?} cannot be decoded, though nothing was lost", frame.track));
        }
        if is_decodable {
            self.seen.insert(frame.slot, now);
        } else {
            ledger.undecodable += 1;
        }
        Ok(())
    }

    /// When a decodable frame last came on a slot, since it is to show what it is.
    #[must_use]
    pub fn seen(&self, slot: u16) -> Option<Time> {
        self.seen.get(&slot).copied()
    }

    /// Since when a slot is about the track that it shows or would show.
    #[must_use]
    pub fn shown_since(&self, slot: u16) -> Option<Time> {
        self.subjects.get(&slot).map(|(_, since)| *since)
    }

    // --- what the person does ---

    /// Asks for what the person likes to see of `others`.
    pub fn want(&mut self, others: &[ParticipantId]) {
        let Taste { layout, max_height, max_fps, paused } = self.taste;
        let others = || others.iter().filter(|other| **other != self.id);
        let tracks = |numbers: &'static [TrackNumber]| {
            others().flat_map(|other| numbers.iter().map(|number| Want::Track(other.track(*number))))
        };
        let wants: Vec<Want> = match layout {
            Layout::Gallery => {
                tracks(&[TrackNumber::MICROPHONE, TrackNumber::CAMERA, TrackNumber::SCREEN]).collect()
            }
            Layout::Speakers => (0..VOICE_SLOTS)
                .map(|number| Want::Voice(number.into()))
                .chain((0..SPEAKER_SLOTS).map(|number| Want::Speaker(number.into())))
                .chain(tracks(&[TrackNumber::SCREEN]))
                .collect(),
        };
        let slots = wants.into_iter().zip(0..self.session.slot_limit()).map(|(want, slot)| {
            let is_picture = match want {
                Want::Track(track) => track.number() != TrackNumber::MICROPHONE,
                Want::Speaker(_) => true,
                Want::Voice(_) | Want::Nothing => false,
            };
            let paused = paused && is_picture;
            WantedSlot { slot, want, paused, max_height, max_fps, priority: 0 }
        });
        let wishes: Vec<WantedSlot> = slots.collect();
        for (slot, wish) in wishes.iter().enumerate() {
            if self.wishes.get(slot).is_none_or(|before| before.want != wish.want) {
                self.seen.remove(&wish.slot);
            }
        }
        self.wishes = wishes;
        self.session.want(&self.wishes);
    }

    /// Wants pictures of at most this height.
    pub const fn set_max_height(&mut self, height: u16) {
        self.taste.max_height = height;
    }

    /// Wants at most so many frames per second.
    pub const fn set_max_fps(&mut self, fps: u8) {
        self.taste.max_fps = fps;
    }

    /// Wants no pictures for now, or any again.
    pub const fn toggle_pause(&mut self) {
        self.taste.paused = !self.taste.paused;
    }

    /// Goes over to the other layout.
    pub fn toggle_layout(&mut self) {
        self.taste.layout = match self.taste.layout {
            Layout::Gallery => Layout::Speakers,
            Layout::Speakers => Layout::Gallery,
        };
    }

    /// Can take so many bits per second.
    pub const fn set_limit(&mut self, bits_per_second: u64) {
        self.limit_bps = bits_per_second;
        self.session.set_receive_limit(bits_per_second);
    }

    /// Talks for a while.
    pub fn talk(&mut self, now: Time, lasting: Duration) {
        self.talks_until = self.talks_until.max(now + lasting);
    }

    /// Falls silent.
    pub const fn fall_silent(&mut self, now: Time) {
        self.talks_until = now;
    }

    /// Mutes or unmutes the camera.
    pub fn toggle_camera(&mut self) {
        self.camera_is_muted = !self.camera_is_muted;
        self.session.set_muted(TrackNumber::CAMERA, self.camera_is_muted);
    }

    /// Mutes or unmutes the microphone.
    pub fn toggle_microphone(&mut self) {
        self.microphone_is_muted = !self.microphone_is_muted;
        self.session.set_muted(TrackNumber::MICROPHONE, self.microphone_is_muted);
    }

    /// Begins or ends to share a screen.
    ///
    /// # Errors
    /// What the session said.
    pub fn toggle_screen(&mut self, now: Time, rng: &mut ChaCha8Rng) -> Result<(), String> {
        self.shares_screen = !self.shares_screen;
        if !self.shares_screen {
            self.session.unpublish(TrackNumber::SCREEN);
            self.sources.retain(|source| source.track != TrackNumber::SCREEN);
            self.demand.retain(|(track, _), _| *track != TrackNumber::SCREEN);
            return Ok(());
        }
        let screen = TrackConfig {
            number: TrackNumber::SCREEN,
            kind: TrackKind::Screen,
            codec: Codec::Vp8,
            encodings: vec![encoding(720, 5, 1)],
        };
        let picture = Picture { fps: 5, mean_bytes: 4_000, temporal_layers: 1 };
        self.sources.push(Source::picture(TrackNumber::SCREEN, 0, picture, now, rng));
        self.session.publish(&screen).map_err(|error| error.to_string())
    }

    // --- what others may expect ---

    /// Whether others that ask for this track must be getting it.
    #[must_use]
    pub fn is_live(&self, number: TrackNumber) -> bool {
        match number {
            TrackNumber::MICROPHONE => !self.microphone_is_muted,
            TrackNumber::CAMERA => !self.camera_is_muted,
            TrackNumber::SCREEN => self.shares_screen && self.is_granted(number),
            _ => false,
        }
    }

    fn is_granted(&self, number: TrackNumber) -> bool {
        self.demand.get(&(number, 0)).is_none_or(|demand| demand.status == DemandStatus::Granted)
    }
}

const fn encoding(height: u16, fps: u8, temporal_layers: u8) -> EncodingConfig {
    EncodingConfig { width: height / 9 * 16, height, fps, temporal_layers, max_bitrate_bps: 500_000 }
}
