//! Passwords that were found right, so that a meeting of ten thousand hashes one of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use sluice_wire::signaling::{MeetingId, Password};

use super::entropy::key_bytes;
use super::passwords::{PasswordError, PasswordHash, Passwords};

/// Meetings whose password is remembered: more than a daemon has going on. About 10 MiB. Above, one is forgotten for each.
const MAX_PASSCODES: usize = 65_536;
/// A MAC of SHA-256, in bytes.
const MAC_BYTES: usize = 32;

type Mac = [u8; MAC_BYTES];

/// Keyed hashes of passwords that Argon2 found right: one per meeting, until the meeting ends, its password changes or the
/// process does. The key never leaves the process, so that its memory is no better a place to guess passwords than the store.
#[derive(Clone, Debug)]
pub struct Passcodes {
    passwords: Passwords,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    key: hmac::Key,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    right: BTreeMap<MeetingId, Mac>,
    /// Passwords that are being checked: the same one is not checked twice at a time.
    checking: BTreeMap<Mac, Arc<tokio::sync::Mutex<()>>>,
}

impl Passcodes {
    /// Remembers none.
    ///
    /// # Errors
    /// If the operating system gives no entropy.
    pub fn new(passwords: Passwords) -> Result<Self, PasswordError> {
        let key = hmac::Key::new(HMAC_SHA256, &key_bytes()?);
        Ok(Self { passwords, state: Arc::new(State { key, tables: Mutex::default() }) })
    }

    /// What hashes passwords for it.
    #[must_use]
    pub const fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Whether `password` is that of the meeting, whose stored hash is `expected`. At once if it was found right before; a
    /// wrong one takes as long as ever.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] if too many are being checked.
    pub async fn is_right(
        &self,
        meeting: &MeetingId,
        password: Option<Password>,
        expected: PasswordHash,
    ) -> Result<bool, PasswordError> {
        let Some(password) = password else { return self.passwords.is_right(None, expected).await };
        let mac = self.mac(meeting, &password, &expected);
        if self.knows(meeting, &mac) {
            return Ok(true);
        }
        let turn = Arc::clone(self.tables().checking.entry(mac).or_default());
        let right = {
            let _turn = turn.lock().await;
            // Whoever had the turn before may have found it right.
            if self.knows(meeting, &mac) {
                Ok(true)
            } else {
                self.passwords.is_right(Some(password), expected).await
            }
        };
        let mut tables = self.tables();
        // This one and the table's: nobody else waits for the turn.
        if Arc::strong_count(&turn) == 2 {
            tables.checking.remove(&mac);
        }
        if let Ok(true) = right {
            if tables.right.len() >= MAX_PASSCODES {
                tables.right.pop_first();
            }
            tables.right.insert(meeting.clone(), mac);
        }
        right
    }

    /// Takes as long as [`Self::is_right`] does for a wrong password, for a meeting that does not exist.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] if too many are being checked.
    pub async fn pretend(&self, password: Option<Password>) -> Result<(), PasswordError> {
        self.passwords.pretend(password).await
    }

    /// Forgets the password of a meeting that is over.
    pub fn forget(&self, meeting: &MeetingId) {
        self.tables().right.remove(meeting);
    }

    fn knows(&self, meeting: &MeetingId, mac: &Mac) -> bool {
        self.tables().right.get(meeting).is_some_and(|right| verify_slices_are_equal(right, mac).is_ok())
    }

    /// The stored hash is part of it: a new password has a new one, so that the old is right no more.
    fn mac(&self, meeting: &MeetingId, password: &Password, expected: &PasswordHash) -> Mac {
        let mut context = hmac::Context::with_key(&self.state.key);
        // Neither ids nor PHC strings have a zero byte: the three parts cannot run into one another.
        for part in [meeting.as_str(), expected.as_str(), password.expose()] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Each use leaves the tables whole, whatever panics elsewhere.
        self.state.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
