//! What a shard's sockets counted.

/// Why datagrams that the core sealed did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum SendDrop {
    /// The socket's send buffer stayed full.
    QueueFull,
    /// The kernel had no memory or no room in the device's queue.
    NoBuffers,
    /// Larger than the path takes.
    TooLarge,
    /// No route to the destination.
    Unreachable,
    /// A firewall refused.
    Denied,
    /// The kernel called the addresses invalid: the local one may be gone.
    InvalidAddress,
    /// ICMP errors of earlier datagrams came in the way again and again.
    IcmpErrors,
    /// There is no socket of the address family.
    NoSocket,
    /// Anything else.
    Other,
}

impl SendDrop {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All reasons, in order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::NoBuffers,
        Self::TooLarge,
        Self::Unreachable,
        Self::Denied,
        Self::InvalidAddress,
        Self::IcmpErrors,
        Self::NoSocket,
        Self::Other,
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NoBuffers => "no_buffers",
            Self::TooLarge => "too_large",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::InvalidAddress => "invalid_address",
            Self::IcmpErrors => "icmp_errors",
            Self::NoSocket => "no_socket",
            Self::Other => "other",
        }
    }
}

/// The counters of a shard's sockets: totals since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Receive calls, those that found nothing included.
    pub receive_calls: u64,
    /// Messages received: single datagrams or coalesced ones.
    pub messages_in: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Messages that did not fit their buffer, which were dropped.
    pub truncated_in: u64,
    /// Datagrams that the kernel dropped since the receive buffer was full, as far as it told.
    pub overflowed_in: u64,
    /// Errors of receive calls but ICMP errors.
    pub receive_errors: u64,
    /// Send calls.
    pub send_calls: u64,
    /// Messages sent: single datagrams or segmented ones.
    pub messages_out: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Times that sending waited for the send buffer.
    pub send_waits: u64,
    /// ICMP errors about earlier datagrams, of whichever shard.
    pub icmp_errors: u64,
    /// Segmented sends that had to be repeated one datagram at a time.
    pub segmentation_refused: u64,
    dropped_out: [u64; SendDrop::COUNT],
}

impl IoCounters {
    /// Counts `datagrams` that were not sent.
    pub const fn drop_out(&mut self, reason: SendDrop, datagrams: usize) {
        self.dropped_out[reason as usize] += datagrams as u64;
    }

    /// Datagrams that were not sent for `reason`.
    #[must_use]
    pub const fn dropped_out(&self, reason: SendDrop) -> u64 {
        self.dropped_out[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_is_in_order_and_has_no_name_twice() {
        for (number, reason) in SendDrop::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
            assert_eq!(SendDrop::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
