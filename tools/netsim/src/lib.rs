//! A network in a box: delay, loss, reordering, rate, NAT rebinding and partition, sans-IO and seeded.
