//! RTP packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::fuzzing::rtp(bytes));
