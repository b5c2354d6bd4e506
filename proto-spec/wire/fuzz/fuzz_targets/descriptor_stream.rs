//! Descriptors that lean on those before them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_wire::fuzzing::descriptor_stream(bytes));
