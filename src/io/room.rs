//! A disk that is full, told from one that fails.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether something would have been written if there were room.
pub(super) fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether room made at `a` is room at `b`; false where either cannot be looked at.
pub(super) fn is_shared(a: &Path, b: &Path) -> bool {
    let disk = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    disk(a).is_some_and(|of_a| disk(b) == Some(of_a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_elsewhere_makes_no_room_here() {
        let here = tempfile::TempDir::new().unwrap();
        let within = here.path().join("a");
        fs::create_dir(&within).unwrap();
        assert!(is_shared(here.path(), &within));
        assert!(!is_shared(here.path(), Path::new("/proc")));
        assert!(!is_shared(&here.path().join("gone"), &here.path().join("gone")));
    }
}
