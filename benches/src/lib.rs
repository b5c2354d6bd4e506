//! What forwarding costs.
