//! The worked example of the protocol: `proto-spec/vectors/session/first-media.json` and `proto-spec/spec/08-example.md`.
//!
//! The file holds all datagrams of two sessions from their media tickets to the first media. Here it is replayed from the
//! file alone: on the wire ([`wire`]), against the router ([`router`]), against the client ([`client`]); and the prose is
//! held against it ([`prose`]). After a wanted change, `cargo test -p sluice-client --test first_media -- --ignored` writes the
//! file and the bytes in the prose anew; words that no longer fit are then corrected by hand.

mod client;
mod derive;
mod prose;
mod router;
mod says;
mod stage;
mod vector;
mod wire;
mod write;
