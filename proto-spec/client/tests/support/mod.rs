//! A deployment in miniature: the router's shard core behind one UDP socket, and just enough signaling to join.

mod router;
mod signaling;

use std::path::Path;
use std::time::Duration;

use sluice_client::clock::Clock;
use sluice_client::driver::{Event, Inbox, JoinConfig};
use sluice_client::media::clip::Clip;
use sluice_client::media::manifest::Manifest;
use sluice_client::session;
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::track::TrackId;
use tokio::time::timeout;

pub(crate) use self::router::Router;
pub(crate) use self::signaling::{Say, Signaling};

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Deployment {
    pub(crate) router: Router,
    pub(crate) signaling: Signaling,
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        Self::with_addresses(|address| vec![address]).await
    }

    /// With these addresses in its tickets, given the one at which the router is.
    pub(crate) async fn with_addresses(
        addresses: impl FnOnce(std::net::SocketAddr) -> Vec<std::net::SocketAddr>,
    ) -> Self {
        let router = Router::start(addresses).await;
        let signaling = Signaling::start(router.clone()).await;
        Self { router, signaling }
    }

    pub(crate) fn config(&self, seed: u8) -> JoinConfig {
        JoinConfig {
            websocket_url: self.signaling.url.clone(),
            meeting_id: "23456789abcd".to_owned(),
            password: None,
            display_name: format!("P{seed}").try_into().unwrap(),
            seed: [seed; 32],
            clock: Clock::process(),
        }
    }
}

pub(crate) fn clip(file: &str) -> Clip {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/media");
    let manifest = Manifest::load(&directory).unwrap();
    manifest.clips.iter().find(|entry| entry.file == file).unwrap().load(&directory).unwrap()
}

pub(crate) fn want(slot: u16, track: TrackId) -> WantedSlot {
    WantedSlot { slot, want: Want::Track(track), paused: false, max_height: 0, max_fps: 0, priority: 1 }
}

/// The next event for which `pick` has something.
pub(crate) async fn wait_for<T>(inbox: &mut Inbox, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    let find = async {
        loop {
            let event = inbox.next().await.expect("the participant is still there");
            if let Some(found) = pick(event) {
                return found;
            }
        }
    };
    timeout(PATIENCE, find).await.expect("it happens")
}

/// Waits for so many frames of a track; their bytes.
pub(crate) async fn frames_of(inbox: &mut Inbox, track: TrackId, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let frame = wait_for(inbox, |event| match event {
            Event::Media(session::Event::Frame(frame)) if frame.track == track => Some(frame.frame.data),
            _ => None,
        });
        frames.push(frame.await);
    }
    frames
}

pub(crate) async fn connected(inbox: &mut Inbox) {
    wait_for(inbox, |event| matches!(event, Event::Media(session::Event::Connected)).then_some(())).await;
}
