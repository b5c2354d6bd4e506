//! Payload descriptors of the video codecs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (bool, &[u8])| sluice_wire::fuzzing::descriptor(input.1, input.0));
