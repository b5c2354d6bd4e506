//! What every bus does.

use std::time::Duration;

use sluice_signaling::bus::{Bus, Delivery, SUBSCRIPTION_MESSAGES, Subscription};
use tokio::time::{sleep, timeout};

/// Everything that is awaited comes within milliseconds; so long is only waited when a test fails.
const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);

async fn next(subscription: &mut Subscription) -> Delivery {
    timeout(PATIENCE, subscription.next()).await.unwrap().unwrap()
}

fn message(text: &str) -> Delivery {
    Delivery::Message(text.to_owned())
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

pub(crate) async fn who_listens_hears_in_order(bus: &impl Bus) {
    let mut one = bus.subscribe("news").await.unwrap();
    let mut other = bus.subscribe("news").await.unwrap();
    for n in 0..100 {
        bus.publish("news", &n.to_string()).await.unwrap();
    }
    for subscription in [&mut one, &mut other] {
        for n in 0..100 {
            assert_eq!(next(subscription).await, message(&n.to_string()));
        }
    }
    drop(other);
    bus.publish("news", "line one\nline two \u{1f980}").await.unwrap();
    assert_eq!(next(&mut one).await, message("line one\nline two \u{1f980}"));
}

pub(crate) async fn nobody_hears_what_was_said_before_or_elsewhere(bus: &impl Bus) {
    bus.publish("news", "before").await.unwrap();
    let mut listening = bus.subscribe("news").await.unwrap();
    bus.publish("other", "elsewhere").await.unwrap();
    bus.publish("news", "now").await.unwrap();
    assert_eq!(next(&mut listening).await, message("now"));
}

pub(crate) async fn who_is_behind_is_told_of_a_gap(bus: &impl Bus) {
    let mut listening = bus.subscribe("news").await.unwrap();
    let mut witness = bus.subscribe("witness").await.unwrap();
    for _ in 0..SUBSCRIPTION_MESSAGES + 1 {
        bus.publish("news", "flood").await.unwrap();
    }
    // What comes behind it has been passed on as well.
    bus.publish("witness", "done").await.unwrap();
    assert_eq!(next(&mut witness).await, message("done"));
    for _ in 0..SUBSCRIPTION_MESSAGES {
        assert_eq!(next(&mut listening).await, message("flood"));
    }
    bus.publish("news", "later").await.unwrap();
    assert_eq!(next(&mut listening).await, Delivery::Gap);
    assert_eq!(next(&mut listening).await, message("later"));
}

pub(crate) async fn fields_vanish_unless_they_are_renewed(bus: &impl Bus) {
    assert!(bus.fields("h").await.unwrap().is_empty());
    let short = Duration::from_millis(300);
    bus.put("h", &[field("short", "1"), field("renewed", "a b\nc")], short).await.unwrap();
    bus.put("h", &[field("long", "2")], LONG).await.unwrap();
    let fields = bus.fields("h").await.unwrap();
    assert_eq!(fields.len(), 3);
    assert_eq!(fields["renewed"], "a b\nc");
    bus.put("h", &[field("renewed", "3")], LONG).await.unwrap();
    sleep(short + Duration::from_millis(50)).await;
    let fields: Vec<_> = bus.fields("h").await.unwrap().into_iter().collect();
    assert_eq!(fields, [field("long", "2"), field("renewed", "3")]);
}

pub(crate) async fn fields_are_taken_away(bus: &impl Bus) {
    bus.put("h", &[field("a", "1"), field("b", "2")], LONG).await.unwrap();
    bus.remove("h", "a").await.unwrap();
    bus.remove("h", "never").await.unwrap();
    bus.remove("none", "a").await.unwrap();
    assert_eq!(bus.fields("h").await.unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
}
