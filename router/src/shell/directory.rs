//! Which room is on which shard, and who is in it.

use std::collections::BTreeMap;

use sluice_wire::track::ParticipantId;

use crate::core::SessionName;

/// Where a room is.
#[derive(Debug)]
struct Placement {
    shard: usize,
    sessions: BTreeMap<ParticipantId, SessionName>,
    /// Sessions that the shard was asked for.
    opening: usize,
}

/// All rooms of the router. A room is on one shard from the first wish to open a session until the last session ended.
#[derive(Debug)]
pub(super) struct Directory {
    rooms: BTreeMap<String, Placement>,
    /// Sessions per shard, opening ones included.
    load: Vec<usize>,
}

impl Directory {
    pub(super) fn new(shards: usize) -> Self {
        Self { rooms: BTreeMap::new(), load: vec![0; shards] }
    }

    /// The shard on which a session of `room` is to be opened: that of the room, or the least loaded, of those that are not
    /// overloaded if there are any. The session counts from now on, until [`Self::opened`] or [`Self::abandoned`].
    pub(super) fn place(&mut self, room: &str, is_overloaded: impl Fn(usize) -> bool) -> usize {
        let shard = match self.rooms.get_mut(room) {
            Some(placement) => {
                placement.opening += 1;
                placement.shard
            }
            None => {
                let shard = (0..self.load.len())
                    .min_by_key(|shard| (is_overloaded(*shard), self.load[*shard]))
                    .unwrap_or(0);
                let placement = Placement { shard, sessions: BTreeMap::new(), opening: 1 };
                self.rooms.insert(room.to_owned(), placement);
                shard
            }
        };
        self.load[shard] += 1;
        shard
    }

    /// The shard opened a session that was asked for.
    pub(super) fn opened(&mut self, room: &str, participant: ParticipantId, session: SessionName) {
        let Some(placement) = self.rooms.get_mut(room) else { return };
        placement.opening -= 1;
        if placement.sessions.insert(participant, session).is_some() {
            self.load[placement.shard] -= 1;
        }
    }

    /// The shard did not open a session that was asked for.
    pub(super) fn abandoned(&mut self, room: &str) {
        let Some(placement) = self.rooms.get_mut(room) else { return };
        placement.opening -= 1;
        self.load[placement.shard] -= 1;
        self.release_if_empty(room);
    }

    /// A session ended. One that another took the place of already is not known any more.
    pub(super) fn ended(&mut self, room: &str, participant: ParticipantId, session: SessionName) {
        let Some(placement) = self.rooms.get_mut(room) else { return };
        if placement.sessions.get(&participant) == Some(&session) {
            placement.sessions.remove(&participant);
            self.load[placement.shard] -= 1;
            self.release_if_empty(room);
        }
    }

    fn release_if_empty(&mut self, room: &str) {
        let is_empty = |placement: &Placement| placement.sessions.is_empty() && placement.opening == 0;
        if self.rooms.get(room).is_some_and(is_empty) {
            self.rooms.remove(room);
        }
    }

    /// The shard of a room.
    pub(super) fn shard_of(&self, room: &str) -> Option<usize> {
        self.rooms.get(room).map(|placement| placement.shard)
    }

    /// All open sessions.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (&str, ParticipantId, SessionName)> {
        self.rooms.iter().flat_map(|(room, placement)| {
            let sessions = placement.sessions.iter();
            sessions.map(move |(participant, session)| (room.as_str(), *participant, *session))
        })
    }

    /// How many rooms there are.
    pub(super) fn rooms(&self) -> usize {
        self.rooms.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(number: u32) -> ParticipantId {
        ParticipantId::new(number).unwrap()
    }

    fn open(directory: &mut Directory, room: &str, number: u32) -> usize {
        let shard = directory.place(room, |_| false);
        directory.opened(room, participant(number), SessionName(u64::from(number)));
        shard
    }

    fn end(directory: &mut Directory, room: &str, number: u32) {
        directory.ended(room, participant(number), SessionName(u64::from(number)));
    }

    #[test]
    fn a_room_stays_together_and_rooms_go_where_there_is_least() {
        let mut directory = Directory::new(2);
        assert_eq!(open(&mut directory, "a", 1), 0);
        assert_eq!(open(&mut directory, "a", 2), 0);
        assert_eq!(open(&mut directory, "b", 3), 1);
        assert_eq!(open(&mut directory, "c", 4), 1);
        assert_eq!(open(&mut directory, "d", 5), 0);
        assert_eq!(open(&mut directory, "a", 6), 0);
        assert_eq!(directory.load, [4, 2]);
    }

    #[test]
    fn sessions_that_are_opening_weigh_already() {
        let mut directory = Directory::new(2);
        assert_eq!(directory.place("a", |_| false), 0);
        assert_eq!(directory.place("b", |_| false), 1);
        assert_eq!(directory.shard_of("a"), Some(0));
        directory.abandoned("a");
        assert_eq!(directory.shard_of("a"), None);
        assert_eq!(directory.place("c", |_| false), 0);
    }

    #[test]
    fn an_overloaded_shard_gets_new_rooms_only_if_all_are_and_keeps_its_own() {
        let mut directory = Directory::new(2);
        assert_eq!(open(&mut directory, "a", 1), 0);
        assert_eq!(open(&mut directory, "b", 2), 1);
        assert_eq!(open(&mut directory, "b", 3), 1);
        assert_eq!(directory.place("c", |shard| shard == 0), 1);
        assert_eq!(directory.place("a", |shard| shard == 0), 0);
        assert_eq!(directory.place("d", |_| true), 0);
    }

    #[test]
    fn a_room_is_released_with_its_last_session() {
        let mut directory = Directory::new(1);
        open(&mut directory, "a", 1);
        open(&mut directory, "a", 2);
        directory.place("a", |_| false);
        end(&mut directory, "a", 1);
        end(&mut directory, "a", 2);
        assert_eq!(directory.rooms(), 1, "one is opening");
        directory.abandoned("a");
        assert_eq!((directory.rooms(), directory.load[0]), (0, 0));
    }

    #[test]
    fn the_end_of_a_replaced_session_ends_nothing_else() {
        let mut directory = Directory::new(1);
        open(&mut directory, "a", 1);
        directory.place("a", |_| false);
        directory.opened("a", participant(1), SessionName(99));
        end(&mut directory, "a", 1);
        assert_eq!(directory.sessions().collect::<Vec<_>>(), [("a", participant(1), SessionName(99))]);
        assert_eq!(directory.load, [1]);
        directory.ended("a", participant(1), SessionName(99));
        directory.ended("a", participant(1), SessionName(99));
        assert_eq!((directory.rooms(), directory.load[0]), (0, 0));
    }
}
