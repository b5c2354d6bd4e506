//! Protected packets from anyone.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::srtp::fuzzing::open(bytes));
