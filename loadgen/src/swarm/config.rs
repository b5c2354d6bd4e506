//! What a run is to do.

use std::path::PathBuf;
use std::time::Duration;

use sluice_client::clock::Clock;
use sluice_wire::signaling::{MAX_PARTICIPANTS, Token};

use crate::media::{DEFAULT_CAMERA, MediaError, MediaSet, SIMULCAST};
use crate::scenario::Scenario;

/// Where `sluice dev` listens.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// The most participants of one run: far above what a process can hold, and a bound on what a typing error costs.
pub const MAX_SWARM_PARTICIPANTS: u32 = 100_000;
/// The longest measured time: a day.
pub const MAX_DURATION: Duration = Duration::from_secs(86_400);

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct SwarmConfig {
    /// The signaling daemon's base URL.
    pub server: String,
    /// What the deployment asks for to create meetings, if it does.
    pub api_token: Option<Token>,
    /// How many meetings.
    pub rooms: u32,
    /// How many participants in total, spread evenly over the rooms.
    pub participants: u32,
    /// How many of them publish, in total, spread evenly over the rooms. The others only watch.
    pub publishers: u32,
    /// How long it is measured once everybody is in and receives.
    pub duration: Duration,
    /// What publishers play.
    pub media: MediaSet,
    /// Whether the first publisher of every room shares a screen as well.
    pub screen_share: bool,
    /// How many participants begin to join per second.
    pub joins_per_second: u32,
    /// From which all that is random in the clients derives. Keys come from the router and do not.
    pub seed: u64,
    /// The screenplay; without, everybody watches everything.
    pub scenario: Option<Scenario>,
    /// Where to write what the first participant gets; with a scenario only.
    pub dump: Option<PathBuf>,
    /// How many percent of the RTP packets may get lost.
    pub allow_loss_percent: f64,
    /// The clock of all participants.
    pub clock: Clock,
}

/// Why a run cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A number makes no sense.
    #[error("{0}")]
    Nonsense(String),
    /// There is nothing to play.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl SwarmConfig {
    /// One room of `participants`, of whom `publishers` publish the default camera and a screen, for 10 s.
    ///
    /// # Errors
    /// [`MediaError`] if the embedded clips cannot be read.
    pub fn one_room(server: &str, participants: u32, publishers: u32) -> Result<Self, MediaError> {
        Ok(Self {
            server: server.to_owned(),
            api_token: None,
            rooms: 1,
            participants,
            publishers,
            duration: Duration::from_secs(10),
            media: MediaSet::embedded(DEFAULT_CAMERA)?,
            screen_share: true,
            joins_per_second: 50,
            seed: 1,
            scenario: None,
            dump: None,
            allow_loss_percent: 0.0,
            clock: Clock::process(),
        })
    }

    /// One room of the people that a scenario is made for, all of whom publish all encodings that there are, and no screen.
    ///
    /// # Errors
    /// [`MediaError`] if the embedded clips cannot be read.
    pub fn of_scenario(server: &str, scenario: Scenario) -> Result<Self, MediaError> {
        Ok(Self {
            duration: Duration::from_secs_f64(scenario.seconds()),
            media: MediaSet::embedded(SIMULCAST)?,
            screen_share: false,
            scenario: Some(scenario),
            ..Self::one_room(server, scenario.people(), scenario.people())?
        })
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ConfigError::Nonsense`] says which and why.
    pub fn check(&self) -> Result<(), ConfigError> {
        let nonsense = |text: String| Err(ConfigError::Nonsense(text));
        let &Self { rooms, participants, publishers, .. } = self;
        if rooms == 0 || participants < 2 * rooms {
            return nonsense(format!(
                "{rooms} rooms need at least two participants each, not {participants}"
            ));
        }
        if participants > MAX_SWARM_PARTICIPANTS {
            return nonsense(format!("at most {MAX_SWARM_PARTICIPANTS} participants"));
        }
        if participants.div_ceil(rooms) > MAX_PARTICIPANTS {
            return nonsense(format!("a meeting takes at most {MAX_PARTICIPANTS} participants"));
        }
        if publishers < rooms || publishers > participants {
            return nonsense(format!(
                "at least one publisher a room, and at most {participants}: not {publishers}"
            ));
        }
        if self.scenario.is_some() && (publishers != participants || self.media.camera.is_empty()) {
            return nonsense("in a scenario everybody publishes, a camera too".to_owned());
        }
        if self.dump.is_some() && self.scenario.is_none() {
            return nonsense("only a scenario can be dumped".to_owned());
        }
        if self.joins_per_second == 0 {
            return nonsense("somebody has to join".to_owned());
        }
        if self.duration.is_zero() || self.duration > MAX_DURATION {
            return nonsense("the measured time is from a moment to a day".to_owned());
        }
        if !(0.0..=100.0).contains(&self.allow_loss_percent) {
            return nonsense("the allowed loss is 0 to 100 percent".to_owned());
        }
        Ok(())
    }

    /// The share of room `room` when `total` are spread evenly.
    pub(crate) const fn share(&self, total: u32, room: u32) -> u32 {
        total / self.rooms + (room < total % self.rooms) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rooms: u32, participants: u32, publishers: u32) -> SwarmConfig {
        SwarmConfig { rooms, ..SwarmConfig::one_room(DEFAULT_SERVER, participants, publishers).unwrap() }
    }

    #[test]
    fn people_are_spread_evenly_and_nobody_is_forgotten() {
        let config = config(3, 11, 5);
        let shares = |total| [0, 1, 2].map(|room| config.share(total, room));
        assert_eq!(shares(11), [4, 4, 3]);
        assert_eq!(shares(5), [2, 2, 1]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(config(1, 20, 5).check().is_ok());
        assert!(config(2, 4, 2).check().is_ok());
        for (rooms, participants, publishers) in [
            (0, 20, 5),
            (2, 3, 2),
            (1, 20, 21),
            (1, 20, 0),
            (2, 20, 1),
            (1, 1_001, 1),
            (99_999, 1_000_000, 99_999),
        ] {
            assert!(config(rooms, participants, publishers).check().is_err(), "{rooms} {participants}");
        }
        let scenario = SwarmConfig::of_scenario(DEFAULT_SERVER, Scenario::Switches).unwrap();
        assert!(scenario.check().is_ok());
        assert!(SwarmConfig { publishers: 3, ..scenario.clone() }.check().is_err());
        assert!(SwarmConfig { media: MediaSet::embedded("none").unwrap(), ..scenario }.check().is_err());
        assert!(SwarmConfig { dump: Some("here".into()), ..config(1, 2, 1) }.check().is_err());
        assert!(SwarmConfig { joins_per_second: 0, ..config(1, 2, 1) }.check().is_err());
        assert!(SwarmConfig { duration: Duration::ZERO, ..config(1, 2, 1) }.check().is_err());
        assert!(SwarmConfig { allow_loss_percent: f64::NAN, ..config(1, 2, 1) }.check().is_err());
    }
}
