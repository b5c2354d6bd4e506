//! What daemons tell one another at once. A notice that is lost costs time: what it is about is in the store.

use serde::{Deserialize, Serialize};
use sluice_wire::signaling::MeetingId;

use super::Cluster;
use crate::bus::{Delivery, Subscription};

/// The topic of notices.
const NOTICES: &str = "notices";

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Notice {
    /// A meeting was ended.
    Ended {
        /// Which.
        meeting: MeetingId,
    },
    /// A meeting's settings were changed.
    Changed {
        /// Which.
        meeting: MeetingId,
    },
    /// A signing key was retired.
    SigningKeys,
    /// Notices were lost: whoever depends on them reads the store. Made here, never sent.
    #[serde(skip)]
    Gap,
}

impl Cluster {
    /// Tells all daemons, this one too.
    pub async fn tell(&self, notice: &Notice) {
        // An enumeration of strings: it cannot fail.
        let text = serde_json::to_string(notice).unwrap_or_default();
        if let Err(error) = self.0.parts.bus.publish(NOTICES, &text).await {
            tracing::warn!(%error, "the other daemons were not told");
        }
    }

    /// Listens to what daemons tell.
    ///
    /// # Errors
    /// If the bus fails.
    pub async fn notices(&self) -> Result<Notices, crate::bus::BusError> {
        Ok(Notices(self.0.parts.bus.subscribe(NOTICES).await?))
    }
}

/// Notices, as they come.
#[derive(Debug)]
pub struct Notices(Subscription);

impl Notices {
    /// The next; `None` when the bus is gone. What a later version says is left out.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            match self.0.next().await? {
                Delivery::Gap => return Some(Notice::Gap),
                Delivery::Message(text) => match serde_json::from_str(&text) {
                    Ok(notice) => return Some(notice),
                    Err(error) => tracing::debug!(%error, "a notice that means nothing here"),
                },
            }
        }
    }
}
