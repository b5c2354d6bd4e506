//! One participant without media.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sluice_client::signaling::{Membership, SignalingClient, SignalingError, SignalingEvent};
use sluice_wire::signaling::{ClientMessage, DaemonMessage, DisplayName, ErrorCode, Join, Participant};
use sluice_wire::time::Time;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::Shared;

/// How often somebody tries to join whom the daemon asks to come back later.
const MAX_ATTEMPTS: u32 = 10;
/// The pause where the daemon names none.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Measurements that are handed in at a time.
const BATCH: usize = 64;

pub(super) struct Member {
    shared: Arc<Shared>,
    number: u32,
    meeting: String,
    /// Microseconds that changes took to arrive here, not handed in yet.
    latencies: Vec<u64>,
    events: u64,
}

impl Member {
    pub(super) const fn new(shared: Arc<Shared>, number: u32, meeting: String) -> Self {
        Self { shared, number, meeting, latencies: Vec::new(), events: 0 }
    }

    pub(super) async fn run(mut self) {
        let began_at = self.shared.config.clock.now();
        let Some(mut membership) = self.join().await else {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let took = self.shared.config.clock.now().saturating_since(began_at);
        self.shared.measured.joined(took);
        self.shared.joined.fetch_add(1, Ordering::Relaxed);
        let mut changes = self.changes();
        loop {
            tokio::select! {
                () = self.shared.stop.cancelled() => break,
                event = membership.next_event() => match event {
                    Some(event) => self.take(event),
                    None => break,
                },
                _ = changes.tick() => self.change(&membership),
            }
        }
        self.hand_in();
        // Whether it is still connected does not matter any more.
        membership.leave().ok();
    }

    async fn join(&self) -> Option<Membership> {
        for _ in 0..MAX_ATTEMPTS {
            let refusal = match self.attempt().await {
                Ok(membership) => return Some(membership),
                Err(SignalingError::Refused(refusal)) if refusal.code == ErrorCode::RateLimited => refusal,
                Err(error) => {
                    self.shared.measured.failed(&error);
                    return None;
                }
            };
            self.shared.measured.retried();
            sleep(refusal.retry_after_ms.map_or(RETRY_PAUSE, Duration::from_millis)).await;
        }
        None
    }

    async fn attempt(&self) -> Result<Membership, SignalingError> {
        let name = name(format!("member {}", self.number))?;
        let client = SignalingClient::connect(&self.shared.websocket_url).await?;
        let (_, membership) = client.join(Join::new(self.meeting.clone(), name)).await?;
        Ok(membership)
    }

    /// When this one changes its name: all of them together as often as it is asked for, and evenly spread.
    fn changes(&self) -> Interval {
        let config = &self.shared.config;
        let period = Duration::from_secs(1) * config.participants
            / config.changes_per_second.max(1).min(config.participants * 8);
        let mut changes = interval(period.max(Duration::from_millis(1)));
        changes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        changes
    }

    fn change(&self, membership: &Membership) {
        let is_measuring = self.shared.is_measuring.load(Ordering::Relaxed);
        if !is_measuring || self.shared.config.changes_per_second == 0 {
            return;
        }
        let Ok(display_name) = name(self.shared.config.clock.now().as_nanos().to_string()) else { return };
        let rename = ClientMessage::Rename { participant_id: None, display_name };
        // Full means that the daemon does not keep up, which the figures say anyhow.
        if membership.say(rename.into()).is_ok() {
            self.shared.measured.changed();
        }
    }

    fn take(&mut self, event: SignalingEvent) {
        match event {
            SignalingEvent::Told(message) => match *message {
                DaemonMessage::ParticipantUpdate { participant } => self.heard(&participant),
                DaemonMessage::RosterDelta { set, .. } => {
                    set.iter().for_each(|participant| self.heard(participant));
                }
                _ => {}
            },
            SignalingEvent::Resumed => self.shared.measured.resumed(),
            SignalingEvent::Refused(refusal) => self.shared.measured.refused(refusal.code),
            SignalingEvent::Ended(_) => self.shared.measured.ended(),
            _ => {}
        }
    }

    fn heard(&mut self, participant: &Participant) {
        if !self.shared.is_measuring.load(Ordering::Relaxed) {
            return;
        }
        let Ok(nanos) = participant.display_name.as_str().parse() else { return };
        let took = self.shared.config.clock.now().saturating_since(Time::from_nanos(nanos));
        self.events += 1;
        self.latencies.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if self.latencies.len() >= BATCH {
            self.hand_in();
        }
    }

    fn hand_in(&mut self) {
        self.shared.measured.heard(self.events, &self.latencies);
        self.latencies.clear();
        self.events = 0;
    }
}

fn name(text: String) -> Result<DisplayName, SignalingError> {
    DisplayName::try_from(text).map_err(|error| SignalingError::Unexpected(error.to_string()))
}
