//! The driver against the router's shard core and signaling in miniature, over real sockets on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sluice_client::driver::{EndCause, Event, Inbox, JoinConfig, JoinError, Participant, PlayError, channel};
use sluice_client::media::hash::frame_hash;
use sluice_client::player::Player;
use sluice_client::session;
use sluice_client::signaling::{Ending, SignalingError, SignalingEvent};
use sluice_wire::control::CloseCode;
use sluice_wire::signaling::{DaemonMessage, EndedReason, ErrorCode, ErrorMessage, MediaLostReason};
use sluice_wire::track::{TrackId, TrackKind, TrackNumber};

use support::{Deployment, Say, clip, connected, frames_of, wait_for, want};

const FRAMES: usize = 4_096;

async fn join(config: JoinConfig) -> (Participant, Inbox) {
    let (observer, inbox) = channel(FRAMES);
    (Participant::join(config, observer).await.unwrap(), inbox)
}

fn microphone() -> Player {
    let clips = [clip("speech-1.ogg")];
    Player::new(TrackNumber::MICROPHONE, TrackKind::Microphone, &clips).unwrap()
}

fn camera() -> Player {
    let clips = [clip("camera-180p30.ivf")];
    Player::new(TrackNumber::CAMERA, TrackKind::Camera, &clips).unwrap().delayed_by(Duration::from_millis(5))
}

fn hashes(file: &str) -> BTreeSet<u64> {
    clip(file).frames().iter().map(|frame| frame.hash).collect()
}

/// A camera whose only key frame is its first.
fn camera_with_one_key_frame() -> Player {
    let clips = [clip("camera-360p30.h264")];
    Player::new(TrackNumber::CAMERA, TrackKind::Camera, &clips).unwrap()
}

/// Ada publishes, Bob comes when she is in the middle of her clip, and watches.
async fn ada_and_bob(deployment: &Deployment) -> (Participant, Inbox, TrackId, Participant, Inbox) {
    let (ada, ada_inbox) = join(deployment.config(1)).await;
    let (bob, mut bob_inbox) = join(deployment.config(2)).await;
    ada.play(camera_with_one_key_frame()).await.unwrap();
    let track = ada.id().track(TrackNumber::CAMERA);
    while ada.stats().await.unwrap().media.frames_sent < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bob.want(vec![want(0, track)]).await.unwrap();
    frames_of(&mut bob_inbox, track, 5).await;
    // The clip's only key frame is its first: Bob sees something because Ada was asked for one, not because the clip came round.
    let sent = ada.stats().await.unwrap().media.frames_sent;
    assert!(sent < clip("camera-360p30.h264").frames().len() as u64, "{sent}");
    (ada, ada_inbox, track, bob, bob_inbox)
}

#[tokio::test]
async fn what_one_plays_the_other_gets_bit_for_bit() {
    let deployment = Deployment::start().await;
    let (ada, mut ada_inbox) = join(deployment.config(1)).await;
    let (bob, mut bob_inbox) = join(deployment.config(2)).await;
    connected(&mut ada_inbox).await;
    ada.play(microphone()).await.unwrap();
    ada.play(camera()).await.unwrap();
    let (voice, face) = (ada.id().track(TrackNumber::MICROPHONE), ada.id().track(TrackNumber::CAMERA));
    bob.want(vec![want(0, voice), want(1, face)]).await.unwrap();
    let (voices, faces) = (hashes("speech-1.ogg"), hashes("camera-180p30.ivf"));
    let (mut heard, mut seen) = (0, 0);
    while heard < 30 || seen < 30 {
        let frame = wait_for(&mut bob_inbox, |event| match event {
            Event::Media(session::Event::Frame(frame)) => Some(frame),
            _ => None,
        })
        .await;
        let hash = frame_hash(&frame.frame.data);
        assert!(frame.received_at >= frame.captured_at.unwrap());
        match frame.slot {
            0 => assert!(frame.track == voice && voices.contains(&hash)),
            _ => assert!(frame.track == face && faces.contains(&hash) && frame.is_decodable),
        }
        heard += usize::from(frame.slot == 0);
        seen += usize::from(frame.slot == 1);
    }
    let stats = bob.stats().await.unwrap();
    assert_eq!((stats.media.rtp_lost, stats.media.auth_failures, stats.sessions_lost), (0, 0, 0));
    assert!(stats.media.rtp_received >= 60);
    let left = ada.leave().await;
    assert!(left.media.rtp_sent >= stats.media.rtp_received);
    wait_for(&mut ada_inbox, |event| (event == Event::Ended(EndCause::Left)).then_some(())).await;
    assert_eq!(ada_inbox.next().await, None);
    drop(bob);
    deployment.router.wait_for_sessions(0).await;
}

#[tokio::test]
async fn a_lost_session_is_replaced_and_does_what_the_one_before_did() {
    let deployment = Deployment::start().await;
    let (ada, mut ada_inbox, track, bob, mut bob_inbox) = ada_and_bob(&deployment).await;
    let name = |event| match event {
        Event::SessionOpened { name } => Some(name),
        _ => None,
    };
    let first = wait_for(&mut ada_inbox, name).await;
    // The router closes Ada's session.
    deployment.router.close(ada.id(), CloseCode::Shutdown).await;
    wait_for(&mut ada_inbox, |event| (event == Event::SessionLost).then_some(())).await;
    assert_ne!(wait_for(&mut ada_inbox, name).await, first);
    let before = bob.stats().await.unwrap().media.frames_received;
    frames_of(&mut bob_inbox, track, 20).await;
    // Signaling says that everybody's is lost.
    let lost = DaemonMessage::MediaLost { reason: MediaLostReason::RouterGone };
    assert!(deployment.signaling.say.send(Say::Message(lost)).is_ok());
    wait_for(&mut bob_inbox, |event| (event == Event::SessionLost).then_some(())).await;
    wait_for(&mut bob_inbox, name).await;
    frames_of(&mut bob_inbox, track, 20).await;
    let (ada, bob) = (ada.stats().await.unwrap(), bob.stats().await.unwrap());
    assert_eq!((ada.sessions_lost, bob.sessions_lost), (2, 1));
    assert!(bob.media.frames_received >= before + 20);
    assert_eq!((ada.media.auth_failures, bob.media.auth_failures), (0, 0));
    assert_eq!(deployment.signaling.tickets_asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn media_goes_on_from_a_new_socket() {
    let deployment = Deployment::start().await;
    let (ada, _ada_inbox, track, bob, mut bob_inbox) = ada_and_bob(&deployment).await;
    let (first, second) = (ada.rebind().await.unwrap(), ada.rebind().await.unwrap());
    assert_ne!(first, second);
    bob.rebind().await.unwrap();
    frames_of(&mut bob_inbox, track, 60).await;
    assert_eq!(ada.stats().await.unwrap().sessions_lost + bob.stats().await.unwrap().sessions_lost, 0);
}

#[tokio::test]
async fn media_outlives_signaling_but_not_both() {
    let deployment = Deployment::start().await;
    let (ada, _ada_inbox, track, bob, mut bob_inbox) = ada_and_bob(&deployment).await;
    assert!(deployment.signaling.say.send(Say::BreakOff).is_ok());
    wait_for(&mut bob_inbox, |event| match event {
        Event::Signaling(SignalingEvent::Ended(Ending::Closed(_) | Ending::Broken(_))) => Some(()),
        _ => None,
    })
    .await;
    frames_of(&mut bob_inbox, track, 20).await;
    deployment.router.close(bob.id(), CloseCode::Removed).await;
    wait_for(&mut bob_inbox, |event| (event == Event::Ended(EndCause::Lost)).then_some(())).await;
    assert!(bob.stats().await.is_err());
    ada.kill();
}

#[tokio::test]
async fn muted_tracks_rest_and_unpublished_ones_are_gone() {
    let deployment = Deployment::start().await;
    let (ada, _ada_inbox, track, _bob, mut bob_inbox) = ada_and_bob(&deployment).await;
    let taken = ada.play(camera()).await.unwrap_err();
    assert_eq!(taken, PlayError::Refused(session::PublishError::NumberTaken(TrackNumber::CAMERA)));
    let status = |event| match event {
        Event::Media(session::Event::Shown(shown)) => Some(shown.status),
        _ => None,
    };
    use sluice_wire::control::SlotStatus::{Muted, NotPublished};
    ada.set_muted(TrackNumber::CAMERA, true).await.unwrap();
    wait_for(&mut bob_inbox, |event| status(event).filter(|status| *status == Muted)).await;
    // The next frame is due within 34 ms.
    tokio::time::sleep(Duration::from_millis(50)).await;
    ada.set_muted(TrackNumber::CAMERA, false).await.unwrap();
    frames_of(&mut bob_inbox, track, 5).await;
    assert!(ada.stats().await.unwrap().frames_unsent > 0);
    ada.unpublish(TrackNumber::CAMERA).await.unwrap();
    wait_for(&mut bob_inbox, |event| status(event).filter(|status| *status == NotPublished)).await;
}

#[tokio::test]
async fn a_silent_address_is_followed_by_the_next() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_at = silent.local_addr().unwrap();
    // From the documentation prefix (RFC 3849): either there is no route to it, or nobody answers.
    let nowhere = "[2001:db8::1]:9".parse().unwrap();
    let deployment = Deployment::with_addresses(|router| vec![silent_at, nowhere, router]).await;
    let (_ada, mut inbox) = join(deployment.config(1)).await;
    connected(&mut inbox).await;
    let mut buffer = [0; 2_048];
    assert!(silent.recv(&mut buffer).unwrap() > 0);
}

#[tokio::test]
async fn refusals_are_typed_and_the_end_of_a_meeting_is_the_end() {
    let deployment = Deployment::start().await;
    let (observer, _inbox) = channel(1);
    let wrong = JoinConfig { meeting_id: "22222222222".to_owned(), ..deployment.config(1) };
    let refused = Participant::join(wrong, observer).await.unwrap_err();
    let JoinError::Signaling(SignalingError::Refused(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code, ErrorCode::JoinRefused);
    let (_ada, mut inbox) = join(deployment.config(1)).await;
    let not_fatal = ErrorMessage::new(ErrorCode::NoRouter, "", false);
    assert!(deployment.signaling.say.send(Say::Message(DaemonMessage::Error(not_fatal.clone()))).is_ok());
    let refused = Event::Signaling(SignalingEvent::Refused(not_fatal));
    wait_for(&mut inbox, |event| (event == refused).then_some(())).await;
    let over = DaemonMessage::MeetingEnded { reason: EndedReason::EndedByHost };
    assert!(deployment.signaling.say.send(Say::Message(over)).is_ok());
    wait_for(&mut inbox, |event| (event == Event::Ended(EndCause::MeetingEnded)).then_some(())).await;
}

#[tokio::test]
async fn whoever_is_killed_leaves_the_others_alone() {
    let deployment = Deployment::start().await;
    let (ada, _ada_inbox, _, bob, mut bob_inbox) = ada_and_bob(&deployment).await;
    bob.play(microphone()).await.unwrap();
    let voice = bob.id().track(TrackNumber::MICROPHONE);
    let (eve, mut eve_inbox) = join(deployment.config(3)).await;
    eve.want(vec![want(0, voice)]).await.unwrap();
    frames_of(&mut eve_inbox, voice, 5).await;
    ada.kill();
    frames_of(&mut eve_inbox, voice, 30).await;
    drop(eve);
    bob_inbox_has_not_ended(&mut bob_inbox).await;
}

async fn bob_inbox_has_not_ended(inbox: &mut Inbox) {
    let ended = wait_for(inbox, |event| matches!(event, Event::Ended(_)).then_some(()));
    assert!(tokio::time::timeout(Duration::from_millis(300), ended).await.is_err());
}
