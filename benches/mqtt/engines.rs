//! Other engines at the same readings: each a small program of ours in engines/, which counts them into
//! one-minute windows over segments and writes its counts.
//!
//! The agreement: `MQTT_PORT`, `MQTT_TOPIC`, `MQTT_END` and `RESULTS` stand in the environment. The
//! program prints `READY` when it listens. At a message on `MQTT_END` it finishes what it has, writes a
//! line `END_MS SEGMENT COUNT` for each window and segment to `RESULTS`, and prints `DONE`.
//! engines/setup installs what they need.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::stream::{Cell, Stream};
use super::wire;

pub struct Engine {
    pub name: &'static str,
    /// Which time its windows follow.
    pub time: &'static str,
    /// The program and its arguments. `INSTALLED` stands for the folder of the installed engines, and
    /// what is named in it must be there; `SCRIPTS` stands for the folder of ours.
    program: &'static str,
    arguments: &'static [&'static str],
}

pub fn known() -> Vec<Engine> {
    vec![
        Engine {
            name: "bytewax 0.21",
            time: "event",
            program: "INSTALLED/bytewax/bin/python",
            arguments: &["SCRIPTS/bytewax_count.py"],
        },
        Engine {
            name: "pathway 0.33",
            time: "event",
            program: "INSTALLED/pathway/bin/python",
            arguments: &["SCRIPTS/pathway_count.py"],
        },
        Engine {
            name: "node-red",
            time: "processing",
            program: "INSTALLED/node-red/node_modules/.bin/node-red",
            arguments: &[
                "--settings",
                "SCRIPTS/node_red_settings.js",
                "SCRIPTS/node_red_flow.json",
            ],
        },
        Engine {
            name: "kuiperd 1.0.0-rc5",
            time: "event",
            program: "python3",
            arguments: &["SCRIPTS/kuiperd_count.py", "INSTALLED/kuiperd/bin/kuiperd"],
        },
    ]
}

pub fn names() -> Vec<String> {
    known().iter().map(|engine| engine.name.to_owned()).collect()
}

/// Where engines/setup puts them.
fn installed() -> PathBuf {
    if let Some(folder) = std::env::var_os("WAYSIDE_BENCH_ENGINES") {
        return folder.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.unwrap_or_default().join("wayside-bench")
}

impl Engine {
    /// `None`, said loudly, where it is not installed or does not start.
    pub fn start(&self, folder: &Path, port: u16) -> anyhow::Result<Option<Running>> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/mqtt/engines");
        let installed = installed();
        let mut command = Vec::new();
        for word in std::iter::once(&self.program).chain(self.arguments) {
            let place = word
                .replace("SCRIPTS", &scripts.display().to_string())
                .replace("INSTALLED", &installed.display().to_string());
            if word.starts_with("INSTALLED") && !Path::new(&place).exists() {
                eprintln!(
                    "SKIPPED {}: {place} is not there (benches/mqtt/engines/setup installs it)",
                    self.name
                );
                return Ok(None);
            }
            command.push(place);
        }
        let results = folder.join("results");
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new(&command[0])
            .args(&command[1..])
            .current_dir(folder)
            .env("MQTT_PORT", port.to_string())
            .env("MQTT_TOPIC", wire::FILTER)
            .env("MQTT_END", wire::END)
            .env("RESULTS", &results)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!("SKIPPED {}: {}: {error}", self.name, command[0]);
                return Ok(None);
            }
        };
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let running = Running { child, lines, results };
        if running.says("READY", Duration::from_mins(1)) {
            return Ok(Some(running));
        }
        let log = fs::read_to_string(folder.join("log"))?;
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        eprintln!("SKIPPED {}: it does not come up: {last:?}", self.name);
        Ok(None)
    }
}

pub struct Running {
    child: Child,
    lines: Receiver<String>,
    results: PathBuf,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that ends so.
    fn says(&self, word: &str, patience: Duration) -> bool {
        while let Ok(line) = self.lines.recv_timeout(patience) {
            if line.trim_end().ends_with(word) {
                return true;
            }
        }
        false
    }

    pub fn done(&mut self, patience: Duration) -> bool {
        self.says("DONE", patience)
    }

    pub fn stop(mut self) -> anyhow::Result<Counted> {
        self.child.kill()?;
        self.child.wait()?;
        let mut cells = BTreeMap::new();
        let text = fs::read_to_string(&self.results).unwrap_or_default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [end, segment, count] = words[..] {
                let number = segment.trim_start_matches("edge_").parse::<usize>()?;
                *cells.entry((end.parse::<i64>()?, number)).or_default() += count.parse::<u64>()?;
            }
        }
        Ok(Counted { cells })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless it never came up.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// An engine's counts by end of window and segment.
pub struct Counted {
    cells: BTreeMap<(i64, usize), u64>,
}

impl Counted {
    pub fn total(&self, stream: &Stream) -> String {
        let total: u64 = self.cells.values().sum();
        format!("{total} of {}", stream.sent.received)
    }

    /// A cell is right with or without its repeats and late readings: engines differ in what they do
    /// with them.
    pub fn cells(&self, stream: &Stream) -> String {
        let (mut right, mut all) = (0, 0);
        for (end, cells) in &stream.cells {
            for (segment, Cell { accepted, others }) in cells.iter().enumerate() {
                let (least, most) = (u64::from(*accepted), u64::from(accepted + others));
                let counted = self.cells.get(&(*end, segment)).copied().unwrap_or(0);
                all += 1;
                right += usize::from((least..=most).contains(&counted));
            }
        }
        format!("{right} of {all} counts right")
    }
}
