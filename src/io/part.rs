//! Files that appear whole or not at all: written under another name, renamed when complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The name to write under: `windows.parquet` becomes `windows.part.parquet`, so that the
/// extension still says what is inside. Extensions come with their dots.
pub(super) fn path(target: &Path, extension: &str, new_extension: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(extension).unwrap_or(&name);
    target.with_file_name(format!("{stem}.part{new_extension}"))
}

/// Makes the written file durable and gives it its name.
pub(super) fn publish(part: &Path, target: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, target)?;
    // The new name itself is only durable once the folder is.
    #[cfg(unix)]
    if let Some(folder) = target.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
