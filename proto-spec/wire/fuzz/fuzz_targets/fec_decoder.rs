//! Packets and repair packets that do not belong together.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::fec::fuzzing::decoder(bytes));
