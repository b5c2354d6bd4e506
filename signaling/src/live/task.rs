//! The task of one meeting: feeds the state machine and does what it says.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sluice_wire::signaling::{DaemonMessage, EndedReason, MeetingId};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;
use tokio::sync::{mpsc, oneshot};

use super::deeds::Line;
use super::directory::Meetings;
use super::journal::{self, Entry};
use super::membership::Command;
use super::outbox::Outbox;
use super::takeover::{self, Legacy};
use crate::cluster::{Route, RouteError};
use crate::meeting::{Action, ConnectionId, EMPTY_LINGER, Event, Meeting, NUMBERS_PER_BLOCK, Note};
use crate::routers::{RouterEvent, Wishes};
use crate::store::{Durable, Lease, StoreError};

/// Commands that are answered by one write to the store, so that a meeting is as fast as the store is wide and not as it is near.
const BATCH_COMMANDS: usize = 128;
/// Within so long what has changed about somebody inside is written for the next owner, if nothing else is written before: who
/// mutes and unmutes like mad costs two writes a second.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Runs a meeting until nobody has been in it for a while.
pub(super) async fn run(meetings: Meetings, id: MeetingId, mailbox: mpsc::Receiver<Command>) {
    let shutdown = meetings.parts.shutdown.clone();
    let Some(prepared) = shutdown.run_until_cancelled(prepare(&meetings, &id)).await else { return };
    match prepared {
        Ok(Some(mut task)) => {
            task.settle().await;
            task.serve(mailbox).await;
        }
        // Gone, or another daemon has been faster since whoever joins was sent here: the way is asked for again.
        Ok(None) => fail(&meetings, &id, mailbox),
        Err(error) => {
            tracing::error!(meeting = %id, %error, "the meeting cannot be had");
            fail(&meetings, &id, mailbox);
        }
    }
}

/// The task, with what the last owner left; `None` if the meeting is not this daemon's.
async fn prepare(meetings: &Meetings, id: &MeetingId) -> Result<Option<Task>, RouteError> {
    let parts = &meetings.parts;
    // Read after the task was listed, so that an end that is noted meanwhile is either read here or comes by mailbox.
    let Some(record) = parts.store.find(id).await? else { return Ok(None) };
    let Route::Here(lease) = parts.cluster.route(id).await? else { return Ok(None) };
    let inherited = takeover::inheritance(parts, &lease).await?;
    let (started, ended) = (record.started_at.is_some(), record.ended());
    let (settings, account) = (record.settings, record.account);
    let wishes = Wishes { region: settings.region.clone(), data_residency: settings.data_residency.clone() };
    let now = parts.clock.now();
    let (meeting, events) = match inherited {
        None => (Meeting::new(id.clone(), settings, parts.timing), Vec::new()),
        Some(inherited) => {
            let remains = inherited.remains.clone();
            let meeting = Meeting::restore(id.clone(), settings, parts.timing, now, remains);
            let events = inherited.adopt_sessions(&parts.routers, &meeting, id);
            parts.metrics.taken_over.inc();
            tracing::info!(meeting = %id, participants = meeting.participants(), "the meeting goes on here");
            (meeting, events)
        }
    };
    let mut task = Task {
        meetings: meetings.clone(),
        id: id.clone(),
        lease,
        account,
        wishes,
        started,
        lost: false,
        legacy: Legacy::default(),
        flush_at: None,
        notes: Vec::new(),
        actions: Vec::new(),
        gone: Vec::new(),
        meeting,
        connections: BTreeMap::new(),
        streams: BTreeMap::new(),
        resuming: None,
        empty_since: None,
        counted: 0,
    };
    for event in events {
        task.feed(event);
    }
    if ended {
        task.feed(Event::End(EndedReason::EndedByHost));
    }
    Ok(Some(task))
}

/// Sends everybody away who waits, and leaves the list.
fn fail(meetings: &Meetings, id: &MeetingId, mut mailbox: mpsc::Receiver<Command>) {
    while !meetings.retire(id, &mailbox) {
        while let Ok(command) = mailbox.try_recv() {
            turn_away(meetings, command);
        }
    }
}

/// Whoever wants in comes back in a moment: the meeting is not here, or not now.
fn turn_away(meetings: &Meetings, command: Command) {
    if let Command::Join { outbox, .. } | Command::Resume { outbox, .. } = command {
        outbox.send_away(meetings.moved_retry_millis());
    }
}

/// One meeting that goes on.
pub(super) struct Task {
    pub(super) meetings: Meetings,
    pub(super) id: MeetingId,
    /// The right to speak for the meeting.
    lease: Lease,
    /// Whose it is.
    account: Option<String>,
    /// Where its media wants to be.
    pub(super) wishes: Wishes,
    /// The store knows that somebody has been inside.
    started: bool,
    /// The meeting is another daemon's by now, or cannot be written: nothing more may be told to anybody.
    lost: bool,
    /// What is written for the next owner.
    legacy: Legacy,
    /// When seats that have changed are written at the latest.
    flush_at: Option<Time>,
    /// What is to be written down before `actions` are done.
    notes: Vec<Note>,
    /// What the state machine said and is not done yet.
    actions: Vec<Action>,
    /// Connections that are over once `actions` are done: the last of them may be their close.
    gone: Vec<ConnectionId>,
    meeting: Meeting,
    /// Every connection of the meeting.
    pub(super) connections: BTreeMap<ConnectionId, Outbox>,
    /// What every participant was sent, and by which connection it is to be reached now.
    pub(super) streams: BTreeMap<ParticipantId, Line>,
    /// Whoever waits to hear whether it resumes.
    pub(super) resuming: Option<oneshot::Sender<bool>>,
    empty_since: Option<Time>,
    /// Participants that the metrics were told of.
    counted: i64,
}

impl Task {
    async fn serve(&mut self, mut mailbox: mpsc::Receiver<Command>) {
        let (clock, shutdown) = (self.meetings.parts.clock, self.meetings.parts.shutdown.clone());
        let mut batch = Vec::new();
        loop {
            let retire_at = self.retire_at();
            tokio::select! {
                received = mailbox.recv_many(&mut batch, BATCH_COMMANDS) => {
                    if received == 0 {
                        break;
                    }
                    for command in batch.drain(..) {
                        self.command(command).await;
                    }
                }
                () = shutdown.cancelled() => {
                    // Sessions are left alone when the daemon stops: media goes on without it.
                    self.flush().await;
                    return;
                }
                () = clock.sleep_until(self.meeting.next_timeout()) => self.feed(Event::TimedOut),
                () = clock.sleep_until(self.flush_at), if self.flush_at.is_some() => self.flush().await,
                () = clock.sleep_until(retire_at), if retire_at.is_some() => {
                    if self.retire(&mailbox).await {
                        break;
                    }
                }
            }
            self.settle().await;
            self.count();
            if self.lost {
                return self.give_up(mailbox).await;
            }
        }
        tracing::debug!(meeting = %self.id, "meeting is empty");
    }

    /// The meeting is another daemon's by now, or cannot be written: its participants come back to whoever has it. Media goes on.
    async fn give_up(&mut self, mut mailbox: mpsc::Receiver<Command>) {
        let parts = &self.meetings.parts;
        parts.metrics.lost_meetings.inc();
        if let Err(error) = parts.cluster.release(&self.lease).await {
            tracing::warn!(meeting = %self.id, %error, "the meeting could not be given back");
        }
        parts.routers.forget_room(self.id.as_str());
        for outbox in std::mem::take(&mut self.connections).into_values() {
            outbox.send_away(self.meetings.moved_retry_millis());
        }
        while !self.meetings.retire(&self.id, &mailbox) {
            while let Ok(command) = mailbox.try_recv() {
                turn_away(&self.meetings, command);
            }
        }
    }

    /// Gives the meeting back and leaves the list, unless somebody comes. In this order: a task that starts when this one is off the
    /// list must not be given a right that is about to end.
    async fn retire(&mut self, mailbox: &mpsc::Receiver<Command>) -> bool {
        if !mailbox.is_empty() {
            return false;
        }
        let cluster = &self.meetings.parts.cluster;
        if let Err(error) = cluster.release(&self.lease).await {
            tracing::warn!(meeting = %self.id, %error, "the meeting could not be given back");
        }
        if self.meetings.retire(&self.id, mailbox) {
            return true;
        }
        match cluster.route(&self.id).await {
            Ok(Route::Here(lease)) => (self.lease, self.legacy) = (lease, Legacy::default()),
            Ok(Route::There { .. }) | Err(_) => self.lost = true,
        }
        false
    }

    fn retire_at(&mut self) -> Option<Time> {
        if !self.meeting.is_idle() {
            self.empty_since = None;
            return None;
        }
        let now = self.meetings.parts.clock.now();
        Some(*self.empty_since.get_or_insert(now) + EMPTY_LINGER)
    }

    async fn command(&mut self, command: Command) {
        let event = match command {
            Command::Join { arrival, outbox } => {
                self.connections.insert(arrival.connection, outbox);
                self.reserve_numbers().await;
                Event::Join(arrival)
            }
            Command::Resume { connection, participant, token, seq, outbox, reply } => {
                // What it is to be sent again depends on what it was sent so far.
                self.settle().await;
                self.connections.insert(connection, outbox);
                self.resuming = Some(reply);
                let can_replay =
                    self.streams.get(&participant).is_some_and(|line| line.stream.can_replay(seq));
                Event::Resume { connection, participant, token, seq, can_replay }
            }
            Command::Member(event) => event,
            Command::Router(RouterEvent::Opened { request, ticket, .. }) => {
                Event::SessionOpened(request, ticket)
            }
            Command::Router(RouterEvent::Refused { request, .. }) => Event::SessionRefused(request),
            Command::Router(RouterEvent::Lost { participant, session, reason, .. }) => {
                Event::SessionLost { participant, session, reason }
            }
            Command::Settings(settings) => Event::SettingsChanged(settings),
            Command::End => Event::End(EndedReason::EndedByHost),
            Command::Lost => {
                self.lost = true;
                return;
            }
        };
        let resumes = matches!(event, Event::Resume { .. });
        self.feed(event);
        if resumes {
            self.settle().await;
        }
    }

    async fn reserve_numbers(&mut self) {
        if !self.meeting.needs_numbers() {
            return;
        }
        match self.meetings.parts.store.reserve_numbers(&self.id, NUMBERS_PER_BLOCK).await {
            Ok(numbers) => self.feed(Event::NumbersReserved(numbers)),
            // The join goes on without a number and is refused as the daemon's failure.
            Err(error) => tracing::error!(meeting = %self.id, %error, "no participant numbers"),
        }
    }

    /// Feeds an event. What comes of it is done by [`Self::settle`].
    fn feed(&mut self, event: Event) {
        if self.lost {
            return;
        }
        if let Event::Disconnected { connection, .. } = event {
            self.gone.push(connection);
        }
        let actions = self.meeting.handle(self.meetings.parts.clock.now(), event);
        self.notes.extend(actions.iter().filter_map(note_of));
        self.actions.extend(actions);
    }

    /// Writes down what has happened, then does what follows from it, and what follows from that.
    async fn settle(&mut self) {
        while !self.actions.is_empty() {
            let now = self.meetings.parts.clock.now();
            let notes = std::mem::take(&mut self.notes);
            let account = self.account.as_deref();
            let mut writes = journal::writes(&notes, &self.lease, account, now);
            let starts = !self.started && journal::anybody_entered(&notes);
            if starts {
                writes.push(Durable::Started { at: now });
            }
            let written = self.write_down(writes).await;
            self.started |= starts && written.is_ok();
            let actions = std::mem::take(&mut self.actions);
            if let Err(error) = written {
                tracing::error!(meeting = %self.id, %error, "the meeting is lost to this daemon");
                self.lost = true;
                break;
            }
            let mut events = VecDeque::new();
            for action in actions {
                if action == Action::EndMeeting {
                    self.end_meeting(now, &mut events).await;
                } else {
                    self.act(action, &mut events);
                }
            }
            events.into_iter().for_each(|event| self.feed(event));
        }
        if self.meeting.has_changed_seats() && self.flush_at.is_none() {
            self.flush_at = Some(self.meetings.parts.clock.now() + FLUSH_INTERVAL);
        }
        for connection in self.gone.drain(..) {
            self.connections.remove(&connection);
        }
        if let Some(reply) = self.resuming.take() {
            // Whoever asked may have gone.
            reply.send(!self.lost).ok();
        }
    }

    /// Writes to the store. What has changed for the next owner goes along; by itself it does not hold anything up, but for a new
    /// ticket, whose session nobody would find again.
    async fn write_down(&mut self, mut writes: Vec<Durable>) -> Result<(), StoreError> {
        let has_ticket = |action: &Action| matches!(action, Action::Send(_, DaemonMessage::Ticket { .. }));
        if writes.is_empty() && !self.actions.iter().any(has_ticket) {
            return Ok(());
        }
        let parts = &self.meetings.parts;
        let changes = self.legacy.changes(&self.meeting, parts.routers.home(self.id.as_str()));
        writes.extend(changes.writes.iter().cloned());
        let entry = Entry { lease: &self.lease, number: self.legacy.next_batch(), writes };
        journal::write(parts.store.as_ref(), &entry).await?;
        self.legacy.written(&mut self.meeting, changes);
        self.flush_at = None;
        Ok(())
    }

    /// Writes what has changed for the next owner. If the store fails the next time will do.
    async fn flush(&mut self) {
        self.flush_at = None;
        let parts = &self.meetings.parts;
        let changes = self.legacy.changes(&self.meeting, parts.routers.home(self.id.as_str()));
        if self.lost || changes.writes.is_empty() {
            return;
        }
        let number = self.legacy.next_batch();
        match parts.store.commit_once(&self.lease, number, &changes.writes).await {
            Ok(()) => self.legacy.written(&mut self.meeting, changes),
            Err(StoreError::Database(error)) => {
                tracing::warn!(meeting = %self.id, %error, "seats cannot be written; trying again");
            }
            Err(error) => {
                tracing::error!(meeting = %self.id, %error, "the meeting is lost to this daemon");
                self.lost = true;
            }
        }
    }

    async fn end_meeting(&self, now: Time, events: &mut VecDeque<Event>) {
        match self.meetings.parts.store.end(&self.id, now).await {
            Ok(()) => events.push_back(Event::End(EndedReason::EndedByHost)),
            // It goes on; the host sees so and may try again.
            Err(error) => tracing::error!(meeting = %self.id, %error, "the end cannot be noted"),
        }
    }

    fn count(&mut self) {
        let participants = self.meeting.participants() as i64;
        self.meetings.parts.metrics.participants.inc_by(participants - self.counted);
        self.counted = participants;
    }
}

fn note_of(action: &Action) -> Option<Note> {
    match action {
        Action::Record(note) => Some(note.clone()),
        _ => None,
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.meetings.parts.metrics.participants.dec_by(self.counted);
    }
}
