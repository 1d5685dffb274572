//! What is wrong with a network's files, gathered.

use std::fmt;
use std::path::Path;

/// As many findings are listed; the rest is counted.
const LISTED: usize = 50;

/// One thing that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFinding {
    /// The file's path.
    pub file: String,
    /// Where it can be had, counted from one.
    pub line: Option<u64>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for NetworkFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Why a folder is no network: every finding, at most fifty of them listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.report())]
pub struct NetworkError {
    /// At least one.
    pub findings: Vec<NetworkFinding>,
    /// Findings beyond those listed.
    pub unlisted: usize,
}

impl NetworkError {
    /// One finding a line.
    fn report(&self) -> String {
        let mut lines: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        if self.unlisted > 0 {
            lines.push(format!("and {} more", self.unlisted));
        }
        lines.join("\n")
    }
}

/// Gathers findings while files are read.
#[derive(Debug)]
pub(super) struct Findings<'d> {
    dir: &'d Path,
    listed: Vec<NetworkFinding>,
    unlisted: usize,
}

impl<'d> Findings<'d> {
    pub fn new(dir: &'d Path) -> Self {
        Self { dir, listed: Vec::new(), unlisted: 0 }
    }

    /// Adds a finding about the file `name` of the folder; the folder itself where it is empty.
    /// `what` is only asked for when it will be listed: a proposal of the nearest name is dear.
    pub fn add(&mut self, name: &str, line: Option<u64>, what: impl FnOnce() -> String) {
        if self.listed.len() >= LISTED {
            self.unlisted += 1;
            return;
        }
        let path = if name.is_empty() { self.dir.to_path_buf() } else { self.dir.join(name) };
        let file = path.display().to_string();
        self.listed.push(NetworkFinding { file, line, what: what() });
    }

    pub fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub fn into_error(self) -> NetworkError {
        NetworkError { findings: self.listed, unlisted: self.unlisted }
    }
}

/// Foreign text, fit for a message: in backquotes, cut to 60 characters, control characters
/// escaped.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    let plain: String = cut
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect();
    format!("`{plain}{dots}`")
}
