//! A person with a client on virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_client::session::{ClientSession, Event, OutgoingFrame, SendError};
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId, TrackNumber};

use super::hostile::Hostile;
use super::network::text;
use crate::layout::mix;
use crate::media;
use crate::publisher::{Made, Publisher};
use crate::record::{Published, PublishedFrame, Receiver};
use crate::scenario::{self, Scenario};
use crate::tap::Tap;

/// How loud everybody is, -dBov.
const LEVEL: u8 = 30;

/// What a person has once joined.
pub(super) struct Line {
    pub(super) session: ClientSession,
    pub(super) tap: Tap,
    pub(super) hostile: Option<Hostile>,
    publisher: Option<Publisher>,
    key_frame_requests: u64,
}

/// A person, before and after joining.
pub(super) struct Person {
    pub(super) id: ParticipantId,
    pub(super) joins_at: Time,
    pub(super) line: Option<Line>,
    pub(super) receiver: Receiver,
    /// What is wanted, without pauses.
    wanted: Vec<WantedSlot>,
    /// When video is wanted or not from then on.
    turns: Vec<(Time, bool)>,
    /// Encodings that have begun with a key frame.
    begun: BTreeSet<u8>,
    rng: ChaCha8Rng,
}

impl Person {
    pub(super) fn new(
        number: usize,
        person: &scenario::Person,
        scenario: &Scenario,
        start: Time,
        seed: u64,
    ) -> Self {
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let group = &scenario.people[person.group];
        let wanted = wanted(&person.watches, group.max_height);
        let tracks: Vec<TrackId> = wanted.iter().filter_map(track_of).collect();
        let pauses = group.pauses.iter();
        let joins_at = at(person.joins_s);
        Self {
            id: participant_id(number),
            joins_at,
            line: None,
            receiver: Receiver::new(start, crate::record::samples(scenario), joins_at, &tracks),
            wanted,
            turns: pauses.flat_map(|pause| [(at(pause.from_s), true), (at(pause.to_s), false)]).collect(),
            begun: BTreeSet::new(),
            rng: ChaCha8Rng::seed_from_u64(mix(seed, number as u64)),
        }
    }

    /// Joins with a ticket.
    pub(super) fn join(
        &mut self,
        now: Time,
        ticket: &Ticket,
        scenario: &Scenario,
        group: usize,
    ) -> Result<(), String> {
        let remote = ClientSession::choose_address(ticket, |_| true).map_err(text)?;
        let mut session = ClientSession::new(ticket, remote, now, self.rng.random()).map_err(text)?;
        let group = &scenario.people[group];
        let mut publisher = None;
        if group.publishes {
            for track in media::tracks(&scenario.media) {
                session.publish(&track).map_err(text)?;
            }
            publisher = Some(Publisher::new(&scenario.media, now, &mut self.rng));
        }
        session.want(&self.wanted);
        let slots = self.wanted.len() as u16;
        let hostile = if group.hostile.is_empty() {
            None
        } else {
            Some(Hostile::new(&group.hostile, ticket, slots, now)?)
        };
        self.line = Some(Line {
            session,
            tap: Tap::new(ticket).map_err(text)?,
            hostile,
            publisher,
            key_frame_requests: 0,
        });
        Ok(())
    }

    /// When this person does something next.
    pub(super) fn next_at(&self) -> Option<Time> {
        let Some(line) = &self.line else { return Some(self.joins_at) };
        let frames = line.publisher.as_ref().and_then(Publisher::next_at);
        let hostile = line.hostile.as_ref().map(Hostile::next_at);
        let turn = self.turns.first().map(|(at, _)| *at);
        [frames, line.session.poll_timeout(), hostile, turn].into_iter().flatten().min()
    }

    /// Does what is due. Gives hostile datagrams.
    pub(super) fn act(&mut self, now: Time, published: &mut Published) -> Result<Vec<Vec<u8>>, String> {
        let Some(line) = &mut self.line else { return Ok(Vec::new()) };
        while let Some((_, paused)) = self.turns.first().copied().filter(|(at, _)| *at <= now) {
            self.turns.remove(0);
            let turned =
                self.wanted.iter().map(|slot| WantedSlot { paused: paused && is_video(slot), ..*slot });
            line.session.want(&turned.collect::<Vec<_>>());
        }
        for made in line.publisher.as_mut().map(|publisher| publisher.due(now)).unwrap_or_default() {
            let Made { track, encoding, captured_at, frame } = made;
            let is_video = track != TrackNumber::MICROPHONE;
            let outgoing = OutgoingFrame {
                data: &frame.data,
                key: frame.key,
                layer: frame.layer,
                audio_level: (!is_video).then_some(LEVEL),
                captured_at,
            };
            match line.session.send_frame(now, track, encoding, &outgoing) {
                Ok(_) => {}
                Err(SendError::NotWanted) => continue,
                Err(error) => return Err(format!("{:?} cannot send a frame: {error}", self.id)),
            }
            let sent = PublishedFrame {
                captured_at,
                encoding,
                temporal_id: frame.layer.temporal_id,
                key: frame.key && is_video,
            };
            published.note(self.id.track(track), sent);
            if sent.key && !self.begun.insert(encoding) {
                self.receiver.on_key_frame_sent(now);
            }
        }
        if line.session.poll_timeout().is_some_and(|at| at <= now) {
            line.session.handle_timeout(now);
        }
        Ok(line.hostile.as_mut().map(|hostile| hostile.act(now)).unwrap_or_default())
    }

    /// A datagram comes.
    pub(super) fn receive(&mut self, now: Time, from: std::net::SocketAddr, datagram: &[u8]) {
        self.receiver.on_received(now, datagram.len());
        if let Some(line) = &mut self.line {
            if let Some(hostile) = &mut line.hostile {
                hostile.on_received(datagram);
            }
            line.session.handle_datagram(now, from, datagram);
        }
    }

    /// Takes in what the session says.
    pub(super) fn listen(&mut self, now: Time) -> Result<(), String> {
        let Some(line) = &mut self.line else { return Ok(()) };
        while let Some(event) = line.session.poll_event() {
            self.receiver.on_event(now, &event);
            if let Some(publisher) = &mut line.publisher {
                publisher.on_event(&event);
            }
            match event {
                Event::Closed(code) => return Err(format!("the session of {:?} ended: {code:?}", self.id)),
                Event::Refused { state, status } => {
                    return Err(format!("the router refused {state:?} of {:?}: {status:?}", self.id));
                }
                _ => {}
            }
        }
        let requests = line.session.stats().key_frame_requests_sent;
        let before = std::mem::replace(&mut line.key_frame_requests, requests);
        self.receiver.on_key_frame_requests(now, requests - before);
        Ok(())
    }
}

/// The voices and cameras of these people, a slot each.
fn wanted(watches: &[usize], max_height: u16) -> Vec<WantedSlot> {
    let tracks = watches.iter().flat_map(|person| {
        let id = participant_id(*person);
        [id.track(TrackNumber::MICROPHONE), id.track(TrackNumber::CAMERA)]
    });
    (0..)
        .zip(tracks)
        .map(|(slot, track)| WantedSlot {
            slot,
            want: Want::Track(track),
            paused: false,
            max_height,
            max_fps: 0,
            priority: 0,
        })
        .collect()
}

fn track_of(slot: &WantedSlot) -> Option<TrackId> {
    if let Want::Track(track) = slot.want { Some(track) } else { None }
}

fn is_video(slot: &WantedSlot) -> bool {
    track_of(slot).is_some_and(|track| track.number() != TrackNumber::MICROPHONE)
}

/// The number of a person as signaling would give it.
pub(super) fn participant_id(person: usize) -> ParticipantId {
    ParticipantId::new(person as u32 + 1).expect("a small number from 1 is a participant id")
}
