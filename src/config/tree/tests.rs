//! The tree of a YAML file: places, limits, duplicates.

use super::*;

fn parse_text(text: &str) -> (Option<Node>, Vec<(Option<usize>, String)>) {
    let mut findings = Findings::new("t.yaml".into(), text.into());
    let node = parse(&mut findings);
    let mut report = super::super::report::Report::default();
    report.add(findings);
    let list = report.findings().map(|f| (f.line, f.message.to_string())).collect();
    (node, list)
}

fn entries(node: &Node) -> &[Entry] {
    let Content::Map(entries) = &node.content else { panic!("no mapping: {node:?}") };
    entries
}

#[test]
fn every_value_knows_its_place() {
    let text = "a: 1\nb:\n  c: [x, \"y\"]\n  d:\n";
    let (node, findings) = parse_text(text);
    assert!(findings.is_empty());
    let node = node.unwrap();
    let b = &entries(&node)[1].value;
    assert_eq!(&text[b.head.clone()], "b");
    assert_eq!(&text[b.span.clone()], "c");
    let c = &entries(b)[0].value;
    assert_eq!(&text[c.span.clone()], "[x, \"y\"]");
    let d = &entries(b)[1].value;
    assert_eq!(&text[d.span.clone()], "d");
    assert_eq!(d.what(), "nothing");
}

#[test]
fn quotes_make_text() {
    use Atom::{Bool, Integer, Null, Number, Text};
    let (node, _) = parse_text("- 5\n- \"5\"\n- 1e3\n- true\n- 5m\n- ~\n- -x\n- 1.2.3\n");
    let Content::List(items) = node.unwrap().content else { panic!() };
    let atoms: Vec<Atom<'_>> = items
        .iter()
        .map(|item| match &item.content {
            Content::Scalar(scalar) => scalar.atom(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(atoms[..6], [Integer(5), Text("5"), Number(1000.0), Bool(true), Text("5m"), Null]);
    assert_eq!(atoms.last(), Some(&Text("1.2.3")));
}

#[test]
fn a_key_that_stands_twice_is_passed_over() {
    let (node, findings) = parse_text("a: 1\nb: 2\na: 3\n");
    assert_eq!(entries(&node.unwrap()).len(), 2);
    assert_eq!(findings, [(Some(3), "the key `a` stands twice".to_string())]);
}

#[test]
fn aliases_multiply_only_so_far() {
    let levels = (1..10).map(|level| {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{list}]\n")
    });
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned() + &levels.collect::<String>();
    let (node, findings) = parse_text(&bomb);
    assert_eq!(node, None);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].1.contains("20000 values"), "{findings:?}");
}

#[test]
fn chains_of_aliases_nest_only_so_deep() {
    let levels = (1..200).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1));
    let chain = "a0: &a0 [x]\n".to_owned() + &levels.collect::<String>();
    let (node, findings) = parse_text(&chain);
    assert_eq!(node, None);
    assert!(findings[0].1.contains("levels deep"), "{findings:?}");
}

#[test]
fn an_alias_keeps_the_place_of_its_definition() {
    let text = "a: &t { b: 1 }\nc: *t\n";
    let (node, findings) = parse_text(text);
    assert!(findings.is_empty(), "{findings:?}");
    let node = node.unwrap();
    let copy = &entries(&node)[1].value;
    assert_eq!(&text[copy.span.clone()], "{ b: 1 }");
    assert_eq!(&text[copy.head.clone()], "c");
}

#[test]
fn broken_yaml_is_pointed_at() {
    for (text, line, says) in [
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a:\n  b: 1\n c: 2\n", 3, "fits no block"),
        ("a: b: 1\n", 1, "second `:`"),
        ("x: 1\na: \"open\nb: 2\n", 2, "never closed"),
        ("a: \"open\nb: \"x\"\n", 1, "not closed on its line"),
        ("a: \"x\"y\n", 1, "follows the closing quote"),
        ("a: {b: 1\nc: 2\n", 2, "missing"),
        ("a: @x\n", 1, "cannot begin"),
        ("a: *x\n", 1, "no anchor"),
        ("a: &x [*x]\n", 1, "inside the very thing"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: !!str 1\n", 1, "tag"),
        ("? [a]\n: b\n", 1, "no plain key"),
    ] {
        let (node, findings) = parse_text(text);
        assert_eq!(node, None, "{text}");
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert_eq!(findings[0].0, Some(line), "{text}: {findings:?}");
        assert!(findings[0].1.contains(says), "{text}: {findings:?}");
    }
}

#[test]
fn deep_nesting_is_refused_not_overflowed() {
    let deep = "[".repeat(10_000);
    let (node, findings) = parse_text(&deep);
    assert_eq!((node, findings.len()), (None, 1));
}

#[test]
fn an_empty_file_says_so() {
    for text in ["", "# only a comment\n", "---\n"] {
        let (node, findings) = parse_text(text);
        assert_eq!(node, None);
        assert_eq!(findings.len(), 1, "{text:?}");
        assert!(findings[0].1.contains("empty"), "{findings:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_gives_a_tree_or_a_finding(text in "[ a-c:\\-\\[\\]{},\"'&*!|>\n\t#]{0,80}") {
        let (node, findings) = parse_text(&text);
        proptest::prop_assert!(node.is_some() || !findings.is_empty());
    }
}
