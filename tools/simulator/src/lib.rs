//! Whole conferences on virtual time from one seed, with invariants checked at every step.
