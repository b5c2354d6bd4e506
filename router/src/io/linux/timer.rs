//! A timer finer than the system's readiness queue, which waits for whole milliseconds.
#![expect(unsafe_code, reason = "timerfd")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

/// Becomes readable once, when it is due. It is never read: setting it again is enough for an edge-triggered queue.
#[derive(Debug)]
pub struct PreciseTimer(OwnedFd);

impl PreciseTimer {
    /// A timer that is not set, whose readiness `registry` reports with `token`.
    ///
    /// # Errors
    /// If the system gives no timer.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        SourceFd(&fd.as_raw_fd()).register(registry, token, Interest::READABLE)?;
        Ok(Self(fd))
    }

    /// Sets the timer, in place of what it was set to before; `false` if the system refuses.
    #[must_use]
    pub fn set(&self, after: Duration) -> bool {
        let Ok(tv_sec) = after.as_secs().try_into() else { return false };
        // Zero would stop the timer.
        let it_value = libc::timespec { tv_sec, tv_nsec: after.subsec_nanos().max(1).into() };
        let spec = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        // SAFETY: `spec` lives through the call; no old value is asked for.
        unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &spec, std::ptr::null_mut()) == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};

    #[test]
    fn it_wakes_the_queue_each_time_it_is_set() {
        let mut poll = Poll::new().unwrap();
        let timer = PreciseTimer::new(poll.registry(), Token(7)).unwrap();
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "it is not set");
        for _ in 0..3 {
            assert!(timer.set(Duration::from_micros(50)));
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [Token(7)]);
        }
    }
}
