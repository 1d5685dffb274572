//! The floors of the house (ARCHITECTURE.md): reads every source file and fails on an import that
//! goes up or sideways, on a foreign crate in the wrong room, and on a module without a first line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Floor of each top-level module; imports go down or stay within one module.
const FLOORS: &[(&str, u8)] = &[
    ("domain", 0),
    ("plan", 1),
    ("ports", 1),
    ("batch", 1),
    ("query", 1),
    ("stage", 2),
    ("io", 2),
    ("model", 2),
    ("config", 2),
    ("runtime", 3),
    ("cli", 4),
    ("main", 5),
];

/// What imports on one floor, or downward, are forbidden all the same.
const NEVERS: &[(&str, &[&str])] = &[
    ("stage", &["io", "model", "config"]),
    ("io", &["stage", "config", "model"]),
    ("model", &["stage", "config", "io"]),
    ("config", &["stage", "io", "model", "runtime"]),
];

/// Crates that only these modules may name.
const ONLY: &[(&str, &[&str])] = &[
    ("burn", &["model"]),
    ("rumqttc", &["io"]),
    ("mqtt5", &["io"]),
    ("datafusion", &["query"]),
    ("miette", &["config", "cli", "main"]),
    ("anyhow", &["cli", "main"]),
    ("clap", &["cli", "main"]),
];

const NOT_IN_DOMAIN: &[&str] = &["tokio", "arrow", "datafusion", "rumqttc", "burn", "parquet"];

/// Asking the wall clock, by word.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "Utc::now", "Local::now"];

struct File {
    path: PathBuf,
    /// Module path from the crate's root: `["stage", "guard", "lexicon"]`.
    module: Vec<String>,
    text: String,
    /// The text without comments and string contents.
    code: String,
}

#[test]
fn floors_hold() {
    let mut breaches = Vec::new();
    for file in sources() {
        let top = file.module.first().map_or("lib", String::as_str);
        if top == "lib" {
            continue;
        }
        for target in imports(&file) {
            let Some(to) = target.first() else { continue };
            if let Some(why) = forbidden(&file.module, top, to, &target) {
                breaches.push(format!("{}: {} ({why})", file.path.display(), target.join("::")));
            }
        }
    }
    assert!(breaches.is_empty(), "imports against the floors:\n{}", breaches.join("\n"));
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    let mut breaches = Vec::new();
    for file in sources() {
        let top = file.module.first().map_or("lib", String::as_str);
        for (name, rooms) in ONLY {
            if names_crate(&file.code, name) && !rooms.contains(&top) {
                breaches.push(format!("{} names {name}", file.path.display()));
            }
        }
        for name in NOT_IN_DOMAIN {
            if top == "domain" && names_crate(&file.code, name) {
                breaches.push(format!("{} names {name}", file.path.display()));
            }
        }
        for clock in CLOCKS {
            if file.code.contains(clock) && file.module != ["io", "clock"] {
                breaches.push(format!("{} asks the clock: {clock}", file.path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "crates in the wrong room:\n{}", breaches.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no `//!` on the first line of:\n{}", silent.join("\n"));
}

#[test]
fn the_checks_see_breaches() {
    let file = |module: &[&str], text: &str| File {
        path: PathBuf::from("made-up.rs"),
        module: module.iter().map(ToString::to_string).collect(),
        text: text.to_owned(),
        code: strip(text),
    };
    let breach = |module: &[&str], text: &str| {
        let file = file(module, text);
        imports(&file).iter().any(|to| {
            to.first().is_some_and(|t| forbidden(&file.module, module[0], t, to).is_some())
        })
    };
    assert!(breach(&["stage", "route"], "use crate::stage::guard::Guard;"));
    assert!(breach(&["stage", "route"], "use super::guard::Guard;"));
    assert!(breach(&["stage", "route", "way"], "use super::super::guard::Guard;"));
    assert!(breach(&["stage", "route"], "use crate::{domain::time, io::clock};"));
    assert!(breach(&["domain", "time"], "fn f() { crate::plan::x() }"));
    assert!(breach(&["config", "check"], "use crate::runtime;"));
    assert!(!breach(
        &["stage", "route", "way"],
        "use super::cause::Cause; use crate::domain::time;"
    ));
    assert!(!breach(&["stage", "route"], "// use crate::io;\nlet s = \"crate::io\";"));
    assert!(names_crate("use burn::tensor;", "burn") && !names_crate("sunburn::x", "burn"));
}

fn forbidden(from: &[String], top: &str, to: &str, target: &[String]) -> Option<&'static str> {
    let floor = |name: &str| FLOORS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
    let (Some(here), Some(there)) = (floor(top), floor(to)) else { return None };
    if there > here {
        return Some("upward");
    }
    if NEVERS.iter().any(|(room, never)| *room == top && never.contains(&to)) {
        return Some("never");
    }
    // A stage knows no other stage.
    let sideways = top == "stage" && to == "stage" && target.get(1) != from.get(1);
    (sideways && from.len() > 1 && target.len() > 1).then_some("stage to stage")
}

/// Every `crate::` and `super::` path of a file, from the crate's root.
fn imports(file: &File) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let code = &file.code;
    for start in word_starts(code, "crate") {
        if let Some(rest) = code[start + 5..].strip_prefix("::") {
            expand(rest, &[], &mut found);
        }
    }
    for start in word_starts(code, "super") {
        if code[..start].ends_with("super::") {
            continue;
        }
        let mut rest = &code[start..];
        let mut base = file.module.clone();
        // `super` in a test module inside the file is the file's own module: one level is free.
        let inline = code[..start].contains("#[cfg(test)]");
        let mut levels = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            levels += 1;
        }
        for _ in 0..(levels - usize::from(inline && levels > 0)) {
            base.pop();
        }
        expand(rest, &base, &mut found);
    }
    found
}

/// Reads `a::b`, `{a, b::c}` or `a::{b, c}` into paths under `base`; two segments are enough.
fn expand(text: &str, base: &[String], found: &mut Vec<Vec<String>>) {
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut item) = (0_i32, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(item.trim(), base, found);
                    item.clear();
                    continue;
                }
                _ => {}
            }
            item.push(c);
        }
        expand(item.trim(), base, found);
        return;
    }
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return;
    }
    let mut path = base.to_vec();
    path.push(name.clone());
    match text[name.len()..].strip_prefix("::") {
        Some(rest) if path.len() < 2 => {
            let before = found.len();
            expand(rest, &path, found);
            if found.len() == before {
                found.push(path);
            }
        }
        _ => found.push(path),
    }
}

fn word_starts<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        boundary(code[..*at].chars().next_back())
            && boundary(code[at + word.len()..].chars().next())
    })
}

fn names_crate(code: &str, name: &str) -> bool {
    word_starts(code, name).any(|at| {
        let before = code[..at].trim_end();
        let path = code[at + name.len()..].starts_with("::");
        // `x::name::` is a module of that name, not the crate.
        path && !before.ends_with("::") || before.ends_with("use") && !path
    })
}

/// Without comments and the contents of strings, so that words in them count for nothing.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                for c in chars.by_ref() {
                    if c == '\n' {
                        out.push('\n');
                        break;
                    }
                }
            }
            '"' => {
                out.push_str("\"\"");
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '\'' => {
                // A char literal; a lifetime has no closing quote within two characters.
                let ahead: String = chars.clone().take(3).collect();
                let len = match ahead.as_bytes() {
                    [b'\\', _, b'\'', ..] => 3,
                    [_, b'\'', ..] => 2,
                    _ => 0,
                };
                out.push('\'');
                for _ in 0..len {
                    chars.next();
                }
            }
            _ => out.push(c),
        }
    }
    out
}

fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    assert!(files.len() > 20, "only {} source files under {}", files.len(), root.display());
    files
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let relative = path.strip_prefix(root).unwrap().with_extension("");
            let mut module: Vec<String> =
                relative.iter().map(|p| p.to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|m| m == "mod" || m == "lib") {
                module.pop();
            }
            let text = fs::read_to_string(&path).unwrap();
            files.push(File { code: strip(&text), path, module, text });
        }
    }
}
