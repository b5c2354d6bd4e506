//! The report as a JSON file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct ReportFileError {
    path: String,
    source: io::Error,
}

/// A file that is open before anything runs, so that nobody waits for a report that cannot be written.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// Opens without emptying: an old report is of more use than none if the run comes to nothing.
    ///
    /// # Errors
    /// If the file cannot be opened for writing.
    pub fn open(path: &Path) -> Result<Self, ReportFileError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|source| error(path, source))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Replaces what is in the file.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn write(mut self, report: &impl Serialize) -> Result<(), ReportFileError> {
        let mut write = || -> io::Result<()> {
            let text = serde_json::to_string_pretty(report)?;
            self.file.set_len(0)?;
            writeln!(self.file, "{text}")
        };
        write().map_err(|source| error(&self.path, source))
    }
}

fn error(path: &Path, source: io::Error) -> ReportFileError {
    ReportFileError { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;

    #[test]
    fn a_longer_old_file_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let file = ReportFile::open(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().len(),
            100_000,
            "the old one stays until there is a new one"
        );
        file.write(&Report::default()).unwrap();
        let report: Report = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(report, Report::default());
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("no such directory/report.json")] {
            let error = ReportFile::open(&path).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
