//! What a process takes of its machine, as Linux tells it in `/proc`.

use std::time::Duration;

/// Ticks of `/proc/<pid>/stat` in a second: `USER_HZ`, which is 100 on every architecture that Linux runs on here.
const TICKS_PER_SECOND: u64 = 100;

/// A process that can be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(u32);

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Resident memory, in bytes.
    pub(super) resident_bytes: u64,
    /// Processor time, of all threads.
    pub(super) cpu: Duration,
}

/// There is no such process, or it cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} cannot be looked at")]
pub struct ProcessError {
    pid: u32,
}

impl Process {
    pub(super) const fn new(pid: u32) -> Self {
        Self(pid)
    }

    pub(super) fn look(&self) -> Result<Look, ProcessError> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.0)).ok();
        let look = || Some(Look { resident_bytes: resident(&read("status")?)?, cpu: cpu(&read("stat")?)? });
        look().ok_or(ProcessError { pid: self.0 })
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn cpu(stat: &str) -> Option<Duration> {
    // The name may have spaces and brackets; what follows its last bracket does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Duration::from_secs(1) * u32::try_from(ticks(11)? + ticks(12)?).ok()? / TICKS_PER_SECOND as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234 * 1024));
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!((resident(""), cpu("")), (None, None));
        assert!(Process::new(std::process::id()).look().unwrap().resident_bytes > 0);
    }
}
