//! Reading the files of a pipeline: bounded in size, in UTF-8, with a finding for whatever hinders.
//!
//! Also where relative paths lead, and what variables stand for.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::read::nearest;
use super::report::Findings;

/// No pipeline or schema file comes near it; a recording given by mistake does.
const MAX_BYTES: u64 = 1 << 20;

/// A file's text, or a finding that says why it cannot be read.
pub(super) fn open(path: &Path) -> Findings {
    let name = path.display().to_string();
    let bytes = match bytes_of(path) {
        Ok(bytes) => bytes,
        Err((what, help)) => {
            let mut findings = Findings::new(name, String::new());
            findings.file_error(what).help(help);
            return findings;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Findings::new(name, text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let mut findings = Findings::new(name, text);
            findings
                .error(&(at..at + '\u{fffd}'.len_utf8()), "the file is not UTF-8 from here on")
                .help("save it as UTF-8");
            findings
        }
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, (String, &'static str)> {
    if path.is_dir() {
        return Err(("is a folder, not a file".into(), "name the file in it"));
    }
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ("no such file".to_owned(), "check the path"),
        std::io::ErrorKind::PermissionDenied => {
            ("may not be read".to_owned(), "let the user that runs wayside read it")
        }
        _ => (format!("cannot be read: {error}"), "check the path"),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| (format!("cannot be read: {error}"), "check the disk"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(("is larger than 1 MiB".into(), "no pipeline is: is it the right file?"));
    }
    Ok(bytes)
}

/// `base/path` without the detours of `..`, so that it reads well in messages.
pub(super) fn join(base: &Path, path: &Path) -> PathBuf {
    let mut joined = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(joined.components().next_back(), Some(Component::Normal(_))) =>
            {
                joined.pop();
            }
            part => joined.push(part),
        }
    }
    if joined.as_os_str().is_empty() { PathBuf::from(".") } else { joined }
}

/// Why a variable cannot be replaced, and which bytes of the text say so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadVariable {
    pub part: std::ops::Range<usize>,
    pub what: String,
    pub meant: Option<&'static str>,
    /// The variable that has no value; none where the text is no variable at all.
    pub unset: Option<String>,
}

/// Where variables get their values: the environment, and for `WAYSIDE_DATA` a default.
pub(super) struct Variables<'e> {
    pub environment: &'e dyn Fn(&str) -> Option<String>,
    /// The pipeline file's folder.
    pub base: &'e Path,
}

impl Variables<'_> {
    const DATA: &'static str = "WAYSIDE_DATA";

    /// Replaces every `${NAME}`.
    pub fn replace(&self, text: &str) -> Result<String, BadVariable> {
        let mut replaced = String::new();
        let mut at = 0;
        while let Some(start) = text[at..].find("${").map(|found| at + found) {
            replaced.push_str(&text[at..start]);
            let Some(length) = text[start..].find('}') else {
                let what = "`${` without its `}`".to_owned();
                let part = start..text.len();
                return Err(BadVariable { part, what, meant: None, unset: None });
            };
            let name = &text[start + 2..start + length];
            let value = self.value(name).ok_or_else(|| BadVariable {
                part: start..start + length + 1,
                what: format!("the variable `{name}` has no value"),
                meant: nearest(name, [Self::DATA]),
                unset: Some(name.to_owned()),
            })?;
            replaced.push_str(&value);
            at = start + length + 1;
        }
        replaced.push_str(&text[at..]);
        Ok(replaced)
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty()).or_else(|| {
            let data = Path::new("../../shared/data");
            (name == Self::DATA).then(|| join(self.base, data).display().to_string())
        })
    }

    /// The path that a text of the file means: relative to the file, unless it begins with a
    /// variable, whose value stands for itself.
    pub fn path(&self, text: &str) -> Result<PathBuf, BadVariable> {
        let replaced = self.replace(text)?;
        let base = if text.starts_with("${") { Path::new("") } else { self.base };
        Ok(join(base, Path::new(&replaced)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(environment: &dyn Fn(&str) -> Option<String>) -> Variables<'_> {
        Variables { environment, base: Path::new("city/pipelines") }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let none = |_: &str| None;
        let variables = variables(&none);
        let path = |text| variables.path(text).unwrap().display().to_string();
        assert_eq!(path("demo/network"), "city/pipelines/demo/network");
        assert_eq!(path("../schemas/loop.yaml"), "city/schemas/loop.yaml");
        assert_eq!(path("/etc/ca.pem"), "/etc/ca.pem");
        assert_eq!(path("../../../x"), "../x");
        assert_eq!(path("${WAYSIDE_DATA}/bologna"), "shared/data/bologna");
    }

    #[test]
    fn the_environment_comes_before_the_default() {
        let set = |name: &str| (name == "WAYSIDE_DATA").then(|| "data".to_owned());
        assert_eq!(variables(&set).path("${WAYSIDE_DATA}/x").unwrap(), Path::new("data/x"));
        let empty = |_: &str| Some(String::new());
        assert_eq!(variables(&empty).replace("${WAYSIDE_DATA}").unwrap(), "shared/data");
    }

    #[test]
    fn what_is_not_set_is_pointed_at() {
        let none = |_: &str| None;
        let bad = variables(&none).path("a/${WAYSIDE_DTA}/b").unwrap_err();
        assert_eq!((bad.part, bad.meant), (2..16, Some("WAYSIDE_DATA")));
        assert_eq!(bad.unset.as_deref(), Some("WAYSIDE_DTA"));
        let bad = variables(&none).path("a/${X").unwrap_err();
        assert_eq!((bad.part, bad.unset), (2..5, None));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large.yaml");
        std::fs::write(&large, vec![b'#'; 2 << 20]).unwrap();
        let latin = dir.path().join("latin.yaml");
        std::fs::write(&latin, b"name: x\nsite: caf\xe9\n").unwrap();
        for (path, says, place) in [
            (dir.path().join("none.yaml"), "no such file", None),
            (dir.path().to_path_buf(), "is a folder", None),
            (large, "larger than 1 MiB", None),
            (latin, "not UTF-8", Some((2, 10))),
        ] {
            let mut report = crate::config::Report::default();
            report.add(open(&path));
            let finding = report.findings().next().unwrap();
            assert!(finding.message.contains(says), "{finding:?}");
            assert_eq!(finding.line.zip(finding.column), place);
        }
    }
}
