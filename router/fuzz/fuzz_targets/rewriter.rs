//! A slot's life: losses, disorder, layers that are left out, switches.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_router::core::fuzzing::rewriter(bytes));
