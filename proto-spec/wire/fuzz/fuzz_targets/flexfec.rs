//! FlexFEC payloads.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::fec::fuzzing::flexfec(bytes));
