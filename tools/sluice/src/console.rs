//! Where commands say something. A reader who has gone away (`sluice demo | head`) must not end what is running.

use std::io::{Write as _, stderr, stdout};

/// A line of a command's result, on standard output.
pub(crate) fn say(line: &str) {
    writeln!(stdout(), "{line}").ok();
}

/// A line about the way there, on standard error.
pub(crate) fn complain(line: &str) {
    writeln!(stderr(), "{line}").ok();
}
