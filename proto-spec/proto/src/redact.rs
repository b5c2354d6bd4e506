//! `Debug` of messages that hold secrets: what is not secret, and sizes of what is.

use std::fmt;

use crate::v1::{Direction, Register, Ticket};

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direction")
            .field("ssrc_base", &self.ssrc_base)
            .field("ssrc_count", &self.ssrc_count)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("protocol_version", &self.protocol_version)
            .field("session", &self.session)
            .field("addresses", &self.addresses)
            .field("suite", &self.suite)
            .field("uplink", &self.uplink)
            .field("downlink", &self.downlink)
            .finish()
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register")
            .field("router_id", &self.router_id)
            .field("region", &self.region)
            .field("addresses", &self.addresses)
            .field("shards", &self.shards)
            .field("epoch", &self.epoch)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let direction =
            Direction { master_key: vec![171; 16], master_salt: vec![205; 12], ..Default::default() };
        let ticket = Ticket { uplink: Some(direction), ..Default::default() };
        let printed = format!("{ticket:?}");
        assert!(!printed.contains("171") && !printed.contains("205"), "{printed}");
        let register = Register { token: "hush".into(), ..Default::default() };
        assert!(!format!("{register:?}").contains("hush"));
    }
}
