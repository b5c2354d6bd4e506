//! Redundant audio.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::fuzzing::red(bytes));
