//! Blocks that lose packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::fec::fuzzing::round_trip(bytes));
