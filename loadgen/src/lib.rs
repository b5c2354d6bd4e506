//! Drives many native participants against a deployment and judges what they received.
