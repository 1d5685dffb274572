//! Broken pipeline files: each report as a snapshot, and its findings at the places that the file
//! itself names in comments at its end (`# expect: LINE:COLUMN`, or `FILE:LINE:COLUMN` for another
//! file).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};

use wayside::config::{self, Checked, PlacedFinding};

fn check(path: &Path) -> Checked {
    config::check_with(path, &|_| None)
}

/// Relative to the package root, which is where tests run: reports then read the same everywhere.
fn broken_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/broken")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| path.file_name().is_some_and(|name| name != "valid.yaml"))
        .collect();
    files.sort();
    files
}

fn place(finding: &PlacedFinding<'_>) -> String {
    match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", finding.file),
        _ => finding.file.to_owned(),
    }
}

fn expected(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("# expect: "))
        .map(|place| {
            let elsewhere = place.starts_with("tests/");
            if elsewhere { place.to_owned() } else { format!("{}:{place}", path.display()) }
        })
        .collect()
}

#[test]
fn every_broken_file_is_reported_at_its_places() {
    let files = broken_files();
    assert!(files.len() >= 30, "{}", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let Checked { plan, report } = check(path);
        let mut places: Vec<String> = report.findings().map(|finding| place(&finding)).collect();
        let mut expected = expected(path);
        places.sort();
        expected.sort();
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        if places != expected {
            wrong.push(format!("{}: at {places:?}, not {expected:?}", path.display()));
        }
        assert_eq!(plan.is_none(), report.has_errors(), "{}", path.display());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name, report.render(false));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_file_that_they_are_copies_of_is_valid() {
    let Checked { plan, report } = check(Path::new("tests/broken/valid.yaml"));
    assert!(report.is_empty(), "{report}");
    let plan = plan.unwrap();
    assert_eq!(plan.sources[0].topic, "wayside/v1/town/sensor/+/reading");
    assert_eq!(plan.status_topic, "wayside/v1/town/status");
    assert_eq!(plan.sources[0].event_time.as_ref().unwrap().group.as_deref(), Some("sensor_id"));
    assert!(plan.sources[1].event_time.is_none());
    assert_eq!(plan.hash.len(), 64);
}

#[test]
fn every_finding_helps_and_is_the_same_in_json() {
    for path in broken_files() {
        let report = check(&path).report;
        let json = report.to_json();
        let listed = json["findings"].as_array().unwrap();
        for (finding, json) in report.findings().zip(listed) {
            let said = finding.help.or(finding.label);
            assert!(said.is_some(), "{}: {}", path.display(), finding.message);
            assert_eq!(json["message"], finding.message);
            assert_eq!(json["line"].as_u64().map(|line| line as usize), finding.line);
            assert_eq!(json["column"].as_u64().map(|column| column as usize), finding.column);
        }
    }
}

/// Whatever an editor or a bad disk makes of a file: findings, never a panic.
#[test]
fn every_beginning_of_a_valid_file_gives_a_plan_or_a_finding() {
    let text = std::fs::read_to_string("tests/broken/valid.yaml").unwrap();
    let dir = tempfile::tempdir_in("tests/broken").unwrap();
    let path = dir.path().join("cut.yaml");
    for end in (0..text.len()).step_by(23) {
        std::fs::write(&path, &text[..end]).unwrap();
        let Checked { plan, report } = check(&path);
        assert!(plan.is_some() || report.has_errors(), "{end}");
    }
}

#[test]
fn files_that_are_no_pipelines_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let levels = (1..12).map(|level| {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{list}]\n")
    });
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned() + &levels.collect::<String>();
    for (path, says) in [
        (dir.path().join("none.yaml"), "no such file"),
        (dir.path().to_path_buf(), "is a folder"),
        (write("empty.yaml", b""), "empty"),
        (write("latin.yaml", b"name: caf\xe9\n"), "not UTF-8"),
        (write("zeros.yaml", &[0; 64]), ""),
        (write("large.yaml", &vec![b'#'; 2 << 20]), "larger than 1 MiB"),
        (write("bomb.yaml", bomb.as_bytes()), "20000 values"),
        (write("deep.yaml", "[".repeat(100_000).as_bytes()), "levels deep"),
        (write("list.yaml", b"- 1\n- 2\n"), "expected a group of keys"),
        (write("json.yaml", b"{\"version\": 1}"), "missing"),
    ] {
        let Checked { plan, report } = check(&path);
        assert!(plan.is_none());
        assert!(report.has_errors());
        assert!(report.render(false).contains(says), "{}: {report}", path.display());
    }
}
