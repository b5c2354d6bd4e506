//! The process that is measured, as the load sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::protocol::{Answer, Ask, Stats};

/// What runs in the process; also the hidden command of this program that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A router.
    Router,
    /// The floor.
    Floor,
}

impl Kind {
    /// The command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Router => "child-router",
            Self::Floor => "child-floor",
        }
    }

    /// The thread that forwards.
    #[must_use]
    pub const fn thread(self) -> &'static str {
        match self {
            Self::Router => "shard-0",
            Self::Floor => super::floor::THREAD,
        }
    }
}

/// A process. It ends with this value.
#[derive(Debug)]
pub struct Child {
    process: Process,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this very program as `kind` on `core`.
    ///
    /// # Errors
    /// If the system does not start it.
    pub fn start(kind: Kind, core: usize) -> Result<Self> {
        let program = std::env::current_exe().context("path of this program")?;
        let mut process = Command::new(program)
            .args([kind.command(), "--core", &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a process of this program")?;
        let (Some(to), Some(from)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("the process has no pipes");
        };
        Ok(Self { process, to, from: BufReader::new(from) })
    }

    /// The process's number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.process.id()
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What the process says went wrong, or that it is gone.
    pub fn ask(&mut self, ask: &Ask) -> Result<Answer> {
        self.say(ask)?;
        self.hear()
    }

    /// Asks without waiting: the answer comes by [`Self::hear`].
    ///
    /// # Errors
    /// If the process is gone.
    pub fn say(&mut self, ask: &Ask) -> Result<()> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.to.write_all(&line).context("the measured process is gone")
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// What the process says went wrong, or that it is gone.
    pub fn hear(&mut self) -> Result<Answer> {
        let mut line = String::new();
        if self.from.read_line(&mut line).context("the measured process is gone")? == 0 {
            bail!("the measured process ended");
        }
        match serde_json::from_str(&line)? {
            Answer::Failed(message) => bail!("the measured process: {message}"),
            answer => Ok(answer),
        }
    }

    /// Waits for the answer to [`Ask::Stats`].
    ///
    /// # Errors
    /// As [`Self::hear`].
    pub fn hear_stats(&mut self) -> Result<Stats> {
        match self.hear()? {
            Answer::Stats(stats) => Ok(*stats),
            answer => bail!("unexpected answer {answer:?}"),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that is gone already cannot be ended, and nothing is left to do.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The other end, in the process: answers questions until nobody asks any more.
///
/// # Errors
/// If the pipes fail.
pub fn answer_all(mut answer: impl FnMut(Ask) -> Result<Answer>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let ask = serde_json::from_str(&line?)?;
        let answer = answer(ask).unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        out.write_all(&line)?;
        out.flush()?;
    }
    Ok(())
}
