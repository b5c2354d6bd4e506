//! Meetings, participants and the placement of rooms on routers.
