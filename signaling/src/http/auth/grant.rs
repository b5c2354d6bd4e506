//! Who may come into a meeting, and as what.

use std::net::IpAddr;

use sluice_wire::signaling::{DisplayName, MeetingId, Password, Role, Token};
use sluice_wire::time::Time;

use super::{Auth, lock};
use crate::secrets::PasswordError;
use crate::store::{MeetingRecord, StoreError};

/// What somebody shows who wants to join.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The meeting, as it was sent: what is no id is refused like one that is unknown.
    pub meeting_id: String,
    /// The password. A right token makes it needless.
    pub password: Option<Password>,
    /// An access token, or the meeting's host token.
    pub token: Option<Token>,
}

/// A right to join, checked.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The meeting as the store has it. It is not over.
    pub meeting: MeetingRecord,
    /// As what, where the credential says so; else as everybody.
    pub role: Option<Role>,
    /// Who it is to whoever issued the access token, for billing; guests have none.
    pub identity: Option<String>,
    /// The name to show in place of the one that the client gave.
    pub display_name: Option<DisplayName>,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such meeting, or the password or token is wrong: which of them is not told.
    #[error("no such meeting, or the password or token is wrong")]
    Refused,
    /// The credential is right, and the meeting is over.
    #[error("the meeting is over")]
    Ended,
    /// Too many wrong passwords from this address: wait.
    #[error("too many wrong passwords; wait some minutes")]
    LockedOut,
    /// Too many passwords are being checked.
    #[error("too many are joining; try again")]
    Busy,
    /// The password could not be checked.
    #[error(transparent)]
    Password(PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        if matches!(error, PasswordError::Busy) { Self::Busy } else { Self::Password(error) }
    }
}

impl Auth {
    /// Turns what somebody at `address` shows into a right to join.
    ///
    /// A token is tried first: one that is right opens the meeting as its role says, without a password and in spite of a
    /// lock-out; one that is wrong refuses. Else the password decides, and the role is that of everybody. Unknown meetings,
    /// wrong passwords and wrong tokens are refused alike, and those that show a password in the same time.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn admit(&self, address: IpAddr, credential: Credential, now: Time) -> Result<Grant, Refusal> {
        let Credential { meeting_id, password, token } = credential;
        let record = match meeting_id.parse::<MeetingId>() {
            Ok(id) => self.0.parts.store.find(&id).await?,
            Err(_) => None,
        };
        let grant = match token {
            Some(token) => self.by_token(&token, record, now)?,
            None => self.by_password(address, &meeting_id, password, record, now).await?,
        };
        if grant.meeting.ended() {
            self.0.parts.passcodes.forget(&grant.meeting.id);
            return Err(Refusal::Ended);
        }
        Ok(grant)
    }

    fn by_token(&self, token: &Token, record: Option<MeetingRecord>, now: Time) -> Result<Grant, Refusal> {
        if token.expose().contains('.') {
            let claims = self.claims(token, now).map_err(|_| Refusal::Refused)?;
            let meeting = record.filter(|record| record.id == claims.meeting).ok_or(Refusal::Refused)?;
            let (role, identity) = (Some(claims.role), Some(claims.sub));
            return Ok(Grant { meeting, role, identity, display_name: claims.name });
        }
        let right = record.as_ref().map_or(&self.0.decoy, |record| &record.host_token_hash).is_of(token);
        let meeting = record.filter(|_| right).ok_or(Refusal::Refused)?;
        Ok(Grant { meeting, role: Some(Role::Host), identity: None, display_name: None })
    }

    async fn by_password(
        &self,
        address: IpAddr,
        meeting_id: &str,
        password: Option<Password>,
        record: Option<MeetingRecord>,
        now: Time,
    ) -> Result<Grant, Refusal> {
        if lock(&self.0.lockouts).is_locked(address, meeting_id, now) {
            return Err(Refusal::LockedOut);
        }
        let passcodes = &self.0.parts.passcodes;
        let guessed = password.is_some();
        let admitted = match record {
            None => {
                passcodes.pretend(password).await?;
                None
            }
            Some(record) => match record.password_hash.clone() {
                None => Some(record),
                Some(hash) => passcodes.is_right(&record.id, password, hash).await?.then_some(record),
            },
        };
        let Some(meeting) = admitted else {
            // Without a password it is no guess: clients join like that to learn that one is needed.
            if guessed && lock(&self.0.lockouts).fail(address, meeting_id, now) {
                self.0.parts.metrics.lockouts.inc();
                tracing::warn!("an address guesses passwords");
            }
            return Err(Refusal::Refused);
        };
        Ok(Grant { meeting, role: None, identity: None, display_name: None })
    }
}
