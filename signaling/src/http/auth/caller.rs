//! Callers of the REST interface.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sluice_wire::signaling::{ApiErrorCode, MeetingId, Role, Token};
use sluice_wire::time::Time;

use super::Auth;
use super::tokens::Claims;
use crate::http::error::Failure;
use crate::secrets::ApiKey;
use crate::store::MeetingRecord;

/// Something that an API key may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Read meetings, their attendance, recordings and audit log.
    #[serde(rename = "meetings:read")]
    MeetingsRead,
    /// Make, change and end meetings.
    #[serde(rename = "meetings:write")]
    MeetingsWrite,
    /// Issue access tokens for meetings.
    #[serde(rename = "tokens:issue")]
    TokensIssue,
}

/// What an API key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody said.
    Anonymous,
    /// Whoever runs the deployment: may do everything.
    Operator,
    /// A server with a key.
    Key {
        /// The key's public half.
        id: String,
        /// Whose meetings it sees.
        account: String,
        /// What it may do.
        scopes: Scopes,
    },
    /// The bearer of an access token.
    Bearer(Box<Claims>),
    /// The bearer of what may be a host token: which meeting's is seen with the meeting.
    Host(Token),
}

impl Scope {
    const ALL: [Self; 3] = [Self::MeetingsRead, Self::MeetingsWrite, Self::TokensIssue];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MeetingsRead => "meetings:read",
            Self::MeetingsWrite => "meetings:write",
            Self::TokensIssue => "tokens:issue",
        }
    }
}

impl Scopes {
    /// These.
    #[must_use]
    pub fn new(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Each of them.
    #[must_use]
    pub fn list(&self) -> &[Scope] {
        &self.0
    }

    /// As the store keeps them. Words of a later version are left out.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self::new(text.split(' ').filter_map(|word| word.parse().ok()).collect())
    }
}

impl FromStr for Scope {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or(())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

impl Caller {
    /// The name that the audit log has for it.
    #[must_use]
    pub fn actor(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Key { id, .. } => format!("key:{id}"),
            Self::Bearer(claims) => format!("token:{}", claims.sub),
            Self::Host(_) => "host".to_owned(),
        }
    }

    /// Whose its new meetings are.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Key { account, .. } => Some(account),
            _ => None,
        }
    }

    fn has(&self, scope: Scope) -> bool {
        match self {
            Self::Operator => true,
            Self::Key { scopes, .. } => scopes.0.contains(&scope),
            Self::Anonymous | Self::Bearer(_) | Self::Host(_) => false,
        }
    }

    /// Asks for a scope, for calls that concern no one meeting.
    pub(in crate::http) fn require(&self, scope: Scope) -> Result<(), Failure> {
        match self {
            _ if self.has(scope) => Ok(()),
            Self::Key { .. } => Err(forbidden(scope)),
            _ => Err(unauthorized()),
        }
    }

    /// Asks for the operator.
    pub(in crate::http) fn require_operator(&self) -> Result<(), Failure> {
        match self {
            Self::Operator => Ok(()),
            Self::Key { .. } => Err(Failure::new(ApiErrorCode::Forbidden, "only the operator may do this")),
            _ => Err(unauthorized()),
        }
    }
}

impl Auth {
    /// Who calls with this bearer token.
    pub(in crate::http) async fn caller(&self, token: Option<Token>, now: Time) -> Result<Caller, Failure> {
        let Some(token) = token else { return Ok(Caller::Anonymous) };
        if self.0.parts.operator.as_ref().is_some_and(|operator| operator.is_of(&token)) {
            return Ok(Caller::Operator);
        }
        if let Some(key) = ApiKey::parse(&token) {
            let record = self.0.parts.store.api_key(&key.id).await?;
            // Compared also where there is no such key: it takes as long.
            let right = record.as_ref().map_or(&self.0.decoy, |record| &record.hash).is_of(&key.secret);
            let record = record.filter(|record| right && record.revoked_at.is_none());
            let record = record.ok_or_else(unauthorized)?;
            let scopes = Scopes::from_stored(&record.scopes);
            return Ok(Caller::Key { id: record.id, account: record.account, scopes });
        }
        if token.expose().contains('.') {
            let claims = self.claims(&token, now).map_err(|_| unauthorized())?;
            return Ok(Caller::Bearer(Box::new(claims)));
        }
        Ok(Caller::Host(token))
    }

    /// Whether anybody may make meetings.
    pub(in crate::http) fn is_open(&self) -> bool {
        self.0.parts.operator.is_none()
    }

    /// The meeting, if the caller may do to it what `scope` says. Hosts may do all to their own.
    pub(in crate::http) async fn meeting(
        &self,
        caller: &Caller,
        id: Option<&MeetingId>,
        scope: Scope,
    ) -> Result<MeetingRecord, Failure> {
        let record = match id {
            Some(id) => self.0.parts.store.find(id).await?,
            None => None,
        };
        match caller {
            Caller::Operator => record.ok_or_else(not_found),
            Caller::Key { account, .. } => {
                caller.require(scope)?;
                let own = |record: &MeetingRecord| record.account.as_deref() == Some(account);
                record.filter(own).ok_or_else(not_found)
            }
            Caller::Bearer(claims) => {
                let host = claims.role == Role::Host;
                record.filter(|record| host && record.id == claims.meeting).ok_or_else(unauthorized)
            }
            Caller::Host(token) => {
                let hash = record.as_ref().map_or(&self.0.decoy, |record| &record.host_token_hash);
                let right = hash.is_of(token);
                record.filter(|_| right).ok_or_else(unauthorized)
            }
            Caller::Anonymous => Err(unauthorized()),
        }
    }
}

pub(in crate::http) fn unauthorized() -> Failure {
    Failure::new(ApiErrorCode::Unauthorized, "no credential for this, or it is none")
}

pub(in crate::http) fn not_found() -> Failure {
    Failure::new(ApiErrorCode::NotFound, "there is none of this name")
}

fn forbidden(scope: Scope) -> Failure {
    Failure::new(ApiErrorCode::Forbidden, format!("the key lacks the scope {}", scope.as_str()))
}
