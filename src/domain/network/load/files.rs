//! Reading the files of a folder, within bounds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::findings::Findings;

/// The most bytes that a file may hold, packed or unpacked. A whole city's network takes a few.
const MOST_BYTES: u64 = 64 << 20;

/// A folder that is being read; keeps the hash of what was read so far.
#[derive(Debug)]
pub(super) struct Folder<'d> {
    dir: &'d Path,
    hash: Sha256,
}

/// A file that was read: its name in the folder and its text.
#[derive(Debug)]
pub(super) struct Text {
    pub name: String,
    pub text: String,
}

impl<'d> Folder<'d> {
    pub fn new(dir: &'d Path) -> Self {
        Self { dir, hash: Sha256::new() }
    }

    /// Reads `name`, or `name` with `.gz`. `None` with a finding where this fails; without one
    /// where neither file is there.
    pub fn read(&mut self, name: &str, findings: &mut Findings<'_>) -> Option<Text> {
        let packed = format!("{name}.gz");
        let there = |name: &str| self.dir.join(name).symlink_metadata().is_ok();
        let found = match (there(name), there(&packed)) {
            (false, false) => return None,
            (true, true) => {
                let what = || format!("stands beside {packed}; keep one of the two");
                findings.add(name, None, what);
                return None;
            }
            (true, false) => name.to_owned(),
            (false, true) => packed,
        };
        let bytes = match self.bytes(&found) {
            Ok(bytes) => bytes,
            Err(what) => {
                findings.add(&found, None, || what);
                return None;
            }
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..good).unwrap_or_default();
                let line = before.split(|byte| *byte == b'\n').count() as u64;
                findings.add(&found, Some(line), || {
                    format!("is not UTF-8 from byte {good} on; save it as UTF-8")
                });
                return None;
            }
        };
        // Name and length go in as well: no two folders with other files can then agree. The
        // unpacked name and bytes, so that packing a file changes nothing.
        self.hash.update(name.as_bytes());
        self.hash.update([0]);
        self.hash.update((text.len() as u64).to_le_bytes());
        self.hash.update(text.as_bytes());
        Some(Text { name: found, text })
    }

    /// The SHA-256 over names and contents of the files read, in hex.
    pub fn hash(self) -> String {
        format!("{:x}", self.hash.finalize())
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.dir.join(name);
        let cannot = |error: io::Error| format!("cannot be read: {error}");
        // A pipe or a device in its place could block for ever.
        if !fs::metadata(&path).map_err(cannot)?.is_file() {
            return Err("is not a file".to_owned());
        }
        let raw = bounded(File::open(&path).map_err(cannot)?, "").map_err(cannot)??;
        if Path::new(name).extension().is_none_or(|end| end != "gz") {
            return Ok(raw);
        }
        bounded(MultiGzDecoder::new(raw.as_slice()), "unpacked, ")
            .map_err(|error| format!("is not a whole gzip file: {error}"))?
    }
}

/// All bytes of a reader, or what to say of one that holds more than may be.
fn bounded(reader: impl Read, how: &str) -> io::Result<Result<Vec<u8>, String>> {
    let mut bytes = Vec::new();
    let read = reader.take(MOST_BYTES + 1).read_to_end(&mut bytes)? as u64;
    if read > MOST_BYTES {
        return Ok(Err(format!("{how}holds more than the {} MB allowed", MOST_BYTES >> 20)));
    }
    Ok(Ok(bytes))
}
