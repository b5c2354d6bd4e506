//! What Linux tells of processes, threads and cores.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use core_affinity::CoreId;
use serde::Serialize;

/// The unit of CPU times in /proc: USER_HZ is 100 wherever this runs.
const TICK: Duration = Duration::from_millis(10);

/// Pins the calling thread, and the threads that it starts, to a core.
///
/// # Errors
/// If the machine has no such core for us.
pub fn pin_to(core: usize) -> Result<()> {
    if !core_affinity::set_for_current(CoreId { id: core }) {
        bail!("this process may not run on core {core}");
    }
    Ok(())
}

/// Raises the limit of open files as far as it goes.
///
/// # Errors
/// If it does not go to `files`.
pub fn allow_files(files: usize) -> Result<()> {
    let limit = rlimit::increase_nofile_limit(u64::MAX).context("limit of open files")?;
    if limit < files as u64 {
        bail!("{files} open files are needed and {limit} allowed: raise the hard limit (ulimit -Hn)");
    }
    Ok(())
}

/// CPU time of a thread, as far as the kernel's ticks tell it apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadTimes {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// The number of the thread of `process` that is called `name`.
///
/// # Errors
/// If there is none.
pub fn find_thread(process: u32, name: &str) -> Result<u32> {
    for task in fs::read_dir(format!("/proc/{process}/task")).context("list threads")? {
        let path = task?.path();
        let is_it = fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
        if let Some(number) = path.file_name().and_then(|name| name.to_str()?.parse().ok()).filter(|_| is_it)
        {
            return Ok(number);
        }
    }
    bail!("process {process} has no thread {name}")
}

/// The times of a thread.
///
/// # Errors
/// If it is gone.
pub fn thread_times(process: u32, thread: u32) -> Result<ThreadTimes> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).context("thread times")?;
    // The name, in parentheses, may have spaces; user and system time are the 12th and 13th field behind it.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let mut fields = behind.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut next = || fields.next().and_then(Result::ok).context("thread times");
    Ok(ThreadTimes { user: TICK * next()?, system: TICK * next()? })
}

/// Bytes of memory that a process has in use.
///
/// # Errors
/// If it is gone.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).context("memory of a process")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
    Ok(kibibytes * 1_024)
}

/// What a core did, since the machine started.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CoreTimes {
    /// Milliseconds of soft interrupts.
    pub softirq_ms: u64,
    /// Milliseconds of everything but idleness.
    pub busy_ms: u64,
    /// Milliseconds that the hypervisor gave to others.
    pub steal_ms: u64,
}

impl CoreTimes {
    /// What happened since `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            softirq_ms: self.softirq_ms.saturating_sub(before.softirq_ms),
            busy_ms: self.busy_ms.saturating_sub(before.busy_ms),
            steal_ms: self.steal_ms.saturating_sub(before.steal_ms),
        }
    }
}

/// The times of a core.
///
/// # Errors
/// If there is no such core.
pub fn core_times(core: usize) -> Result<CoreTimes> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let prefix = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix)).context("no such core")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else { bail!("/proc/stat") };
    let millis = |ticks: u64| ticks * TICK.as_millis() as u64;
    Ok(CoreTimes {
        softirq_ms: millis(softirq),
        busy_ms: millis(user + nice + system + irq + softirq + steal),
        steal_ms: millis(steal),
    })
}

/// What the machine is, for reports.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The kernel's version.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
        Self {
            processor: processor.unwrap_or_else(|| "unknown".to_owned()),
            cores: core_affinity::get_core_ids().map_or(1, |cores| cores.len()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let process = std::process::id();
        assert!(resident_bytes(process).unwrap() > 100_000);
        let thread = std::thread::Builder::new().name("looked-for".into()).spawn(move || {
            let thread = find_thread(process, "looked-for").unwrap();
            let mut sum = 0u64;
            while thread_times(process, thread).unwrap().user < TICK * 2 {
                sum = std::hint::black_box((0..100_000u64).sum::<u64>() ^ sum);
            }
        });
        thread.unwrap().join().unwrap();
        assert!(find_thread(process, "nobody").is_err());
        assert!(core_times(0).unwrap().busy_ms > 0);
        assert!(core_times(100_000).is_err());
    }
}
