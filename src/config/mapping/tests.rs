//! Schema files, good and bad.

use super::*;
use crate::config::report::Report;

fn load_text(text: &str) -> (Option<Mapping>, Vec<String>) {
    let mut findings = Findings::new("s.yaml".into(), text.into());
    let mapping = load("s", &mut findings);
    let mut report = Report::default();
    report.add(findings);
    let list =
        report.findings().map(|f| format!("{}: {}", f.line.unwrap_or(0), f.message)).collect();
    (mapping, list)
}

fn one_column(rest: &str) -> (Option<Column>, Vec<String>) {
    let text = format!("version: 1\nproduces: readings\ncolumns:\n  x: {{ {rest} }}\n");
    let (mapping, findings) = load_text(&text);
    (mapping.map(|m| m.columns[0].clone()), findings)
}

#[test]
fn units_become_scales() {
    for (unit, scale) in [
        ("from: m/s, to: km/h", 3.6),
        ("from: mph, to: km/h", 1.609_344),
        ("from: share, to: percent", 100.0),
        ("from: per_mille, to: percent", 0.1),
        ("from: ms, to: s", 0.001),
        ("from: km/h, to: km/h", 1.0),
    ] {
        let (column, findings) = one_column(&format!("type: number, unit: {{ {unit} }}"));
        assert_eq!(column.map(|c| c.scale), Some(scale), "{unit} {findings:?}");
    }
    let (column, findings) = one_column("type: number, unit: { from: mph, to: percent }");
    assert_eq!(column, None);
    assert_eq!(findings, ["4: these units measure different things"]);
}

#[test]
fn paths_are_dotted_or_lists() {
    for (path, members) in [
        ("a", vec!["a"]),
        ("a.b", vec!["a", "b"]),
        ("[a, b.c]", vec!["a", "b.c"]),
        ("[b.c]", vec!["b.c"]),
    ] {
        let (column, _) = one_column(&format!("type: text, path: {path}"));
        assert_eq!(column.unwrap().path, members, "{path}");
    }
    assert_eq!(one_column("type: text").0.unwrap().path, ["x"]);
    for path in ["$.a", "a..b", "\"\"", "[]"] {
        let (column, findings) = one_column(&format!("type: text, path: {path}"));
        assert_eq!((column, findings.len()), (None, 1), "{path} {findings:?}");
    }
}

#[test]
fn what_does_not_fit_the_type_is_found() {
    for rest in [
        "type: text, min: 0",
        "type: time, scale: 2",
        "type: number, one_of: [a]",
        "type: text_list, segment: true",
        "type: integer, scale: 0.5",
        "type: integer, unit: { from: m/s, to: km/h }",
        "type: number, min: 5, max: 1",
        "type: number, scale: 0",
        "type: number, scale: 2, unit: { from: m/s, to: km/h }",
        "type: text, one_of: []",
        "type: string",
        "nullable: true",
        "type: text, nullable: yes",
        "type: number, missing: -99",
    ] {
        let (column, findings) = one_column(rest);
        assert_eq!((column, findings.len()), (None, 1), "{rest} {findings:?}");
    }
}

#[test]
fn closures_need_their_columns() {
    let (mapping, findings) = load_text(
        "version: 1\nproduces: closures\ncolumns:\n  event_id: { type: text }\n  state: { type: text }\n  \
         kind: { type: integer }\n  ts: { type: time, nullable: true }\n  edge: { type: text_list }\n",
    );
    assert_eq!(mapping, None);
    assert_eq!(
        findings,
        [
            "4: a closure needs the column `edges`",
            "6: a closure's `kind` has another type",
            "7: a closure without `ts` means nothing",
            "8: a closure has no `edge`",
        ]
    );
}
