//! A person with a client, on a host of the simulated network.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sluice_client::media::Codec;
use sluice_client::session::{ClientSession, EncodingConfig, Event, OutgoingFrame, SendError, TrackConfig};
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId, TrackKind, TrackNumber};

use crate::ledger::Ledger;
use crate::source::Source;

/// Heights of the camera's encodings.
pub const CAMERA_HEIGHTS: [u16; 2] = [180, 360];
/// Tracks of each other person that everybody wants.
const TRACKS: [TrackNumber; 3] = [TrackNumber::MICROPHONE, TrackNumber::CAMERA, TrackNumber::SCREEN];

/// A person in the meeting.
#[derive(Debug)]
pub struct Participant {
    /// The number that signaling gave.
    pub id: ParticipantId,
    /// The socket, as its own host sees it.
    pub socket: SocketAddr,
    /// The session under test.
    pub session: ClientSession,
    sources: Vec<Source>,
    camera_is_muted: bool,
    shares_screen: bool,
    wants_small: bool,
    /// When a decodable frame last came, by track.
    pub last_seen: BTreeMap<TrackId, Time>,
    /// Which encoding of which track each slot shows.
    showing: BTreeMap<u16, (TrackId, u8)>,
    /// Why the session ended, once it did.
    pub closed: Option<String>,
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
        let mut session =
            ClientSession::new(ticket, remote, now, rng.random()).map_err(|error| error.to_string())?;
        let voice = TrackConfig {
            number: TrackNumber::MICROPHONE,
            kind: TrackKind::Microphone,
            codec: Codec::Opus,
            encodings: vec![encoding(0, 0)],
        };
        let camera = TrackConfig {
            number: TrackNumber::CAMERA,
            kind: TrackKind::Camera,
            codec: Codec::Vp8,
            encodings: CAMERA_HEIGHTS.iter().map(|height| encoding(*height, 15)).collect(),
        };
        for track in [voice, camera] {
            session.publish(&track).map_err(|error| error.to_string())?;
        }
        let sources = vec![
            Source::voice(TrackNumber::MICROPHONE, now, rng),
            Source::picture(TrackNumber::CAMERA, 0, 15, 600, now, rng),
            Source::picture(TrackNumber::CAMERA, 1, 15, 2_400, now, rng),
        ];
        Ok(Self {
            id,
            socket,
            session,
            sources,
            camera_is_muted: false,
            shares_screen: false,
            wants_small: false,
            last_seen: BTreeMap::new(),
            showing: BTreeMap::new(),
            closed: None,
        })
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
                let silent = self.closed.is_some()
                    || (self.camera_is_muted && source.track == TrackNumber::CAMERA)
                    || (!self.shares_screen && source.track == TrackNumber::SCREEN);
                if silent {
                    source.want_key_frame();
                    continue;
                }
                let outgoing = OutgoingFrame {
                    data: &frame.data,
                    key: frame.key,
                    layer: frame.layer,
                    audio_level: Some(30),
                    captured_at,
                };
                ledger.on_sent(self.id.track(source.track), source.encoding, captured_at, &frame.data);
                match self.session.send_frame(now, source.track, source.encoding, &outgoing) {
                    Ok(_) | Err(SendError::NotWanted) => {}
                    Err(error) => return Err(format!("{:?} could not send a frame: {error}", self.id)),
                }
            }
        }
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        Ok(())
    }

    /// Takes in what the session says.
    ///
    /// # Errors
    /// A frame that nobody sent, or a refusal.
    pub fn listen(&mut self, now: Time, ledger: &mut Ledger) -> Result<(), String> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Frame(frame) => {
                    let encoding =
                        ledger.on_received(&frame).map_err(|what| format!("{:?}: {what}", self.id))?;
                    let shown = self.showing.insert(frame.slot, (frame.track, encoding));
                    if shown != Some((frame.track, encoding)) && !frame.frame.key && frame.is_decodable {
                        return Err(format!(
                            "slot {} of {:?} turned to encoding {encoding} of {:?} without a key frame",
                            frame.slot, self.id, frame.track
                        ));
                    }
                    if frame.is_decodable {
                        self.last_seen.insert(frame.track, now);
                    }
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
                Event::Connected
                | Event::Shown(_)
                | Event::SourceChanged { .. }
                | Event::Demand(_)
                | Event::Speakers(_)
                | Event::PathSuspect
                | Event::PathRecovered => {}
            }
        }
        Ok(())
    }

    /// Asks for all tracks of `others`.
    pub fn want(&mut self, others: &[ParticipantId]) {
        let max_height = if self.wants_small { CAMERA_HEIGHTS[0] } else { 0 };
        let tracks =
            others.iter().filter(|other| **other != self.id).flat_map(|other| TRACKS.map(|t| other.track(t)));
        let slots: Vec<WantedSlot> = tracks
            .zip(0..self.session.slot_limit())
            .map(|(track, slot)| WantedSlot {
                slot,
                want: Want::Track(track),
                paused: false,
                max_height,
                max_fps: 0,
                priority: 0,
            })
            .collect();
        self.session.want(&slots);
    }

    /// Wants only small pictures, or any again.
    pub const fn toggle_height(&mut self) {
        self.wants_small = !self.wants_small;
    }

    /// Mutes or unmutes the camera.
    pub fn toggle_camera(&mut self) {
        self.camera_is_muted = !self.camera_is_muted;
        self.session.set_muted(TrackNumber::CAMERA, self.camera_is_muted);
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
            return Ok(());
        }
        let screen = TrackConfig {
            number: TrackNumber::SCREEN,
            kind: TrackKind::Screen,
            codec: Codec::Vp8,
            encodings: vec![encoding(720, 5)],
        };
        self.sources.push(Source::picture(TrackNumber::SCREEN, 0, 5, 4_000, now, rng));
        self.session.publish(&screen).map_err(|error| error.to_string())
    }

    /// The tracks that others must be seeing and hearing from this person.
    pub fn live_tracks(&self) -> impl Iterator<Item = TrackId> {
        let flowing = [
            (TrackNumber::MICROPHONE, true),
            (TrackNumber::CAMERA, !self.camera_is_muted),
            (TrackNumber::SCREEN, self.shares_screen),
        ];
        flowing.into_iter().filter(|(_, flows)| *flows).map(|(number, _)| self.id.track(number))
    }
}

const fn encoding(height: u16, fps: u8) -> EncodingConfig {
    EncodingConfig { width: height / 9 * 16, height, fps, temporal_layers: 1, max_bitrate_bps: 500_000 }
}
