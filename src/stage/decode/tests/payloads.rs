//! Random payloads, good, odd and broken.

use std::fmt::Write;

use proptest::prelude::*;

/// A payload as written, where a name may stand twice and a number may be no number.
#[derive(Clone, Debug)]
pub enum Json {
    Raw(String),
    List(Vec<Json>),
    /// Name, whether it is written with an escape, value.
    Object(Vec<(String, bool, Json)>),
}

impl Json {
    fn write(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::List(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    out.push_str(if index > 0 { " ," } else { "" });
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, escaped, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    out.push('"');
                    match name.split_at_checked(1).filter(|_| *escaped) {
                        Some((first, rest)) => {
                            write!(out, "\\u{:04x}{rest}", first.as_bytes()[0]).unwrap();
                        }
                        None => out.push_str(name),
                    }
                    out.push_str("\": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

/// Names that the mappings read, at the top and below it, and two that nobody reads. Each takes as
/// many bytes as the names of `tell_apart_unread`.
const NAMES: [&str; 8] = ["aaa", "bbb", "ooo", "ppp", "tts", "lll", "xxx", "yyy"];
pub const PATHS: [&str; 8] =
    ["aaa", "bbb", "ooo.aaa", "ooo", "ooo.ppp.bbb", "tts", "lll", "ppp.aaa"];

fn scalar() -> impl Strategy<Value = String> {
    let good = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1",
        "7",
        "7.0",
        "7.5",
        "-99",
        "65535",
        "1e3",
        "0.1",
        "3.3333333333333335",
        "1e-400",
        "-1.5e308",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775808",
        "123456789012345678901234567890",
        "0.30000000000000004",
        r#""""#,
        r#""a104""#,
        r#""b3[1]""#,
        r#""loop""#,
        r#""l\u006fop""#,
        r#""q\"\\\/\n""#,
        r#""\ud83d\ude97""#,
        r#""süß""#,
        r#""\u0000""#,
        r#""2008-11-11T07:20:30.000Z""#,
        r#""2008-11-11T08:20:30.5+01:00""#,
        r#""2008-11-11T07:20:30.000\u005A""#,
        r#""2030-01-01T00:00:00.000Z""#,
        r#""2008-02-30""#,
        r#""active""#,
        r#""road_closed""#,
        "[]",
        r#"["a104"]"#,
        r#"["a104","b3[1]"]"#,
    ]);
    let bad = prop::sample::select(vec![
        "1e999",
        "-1e400",
        "NaN",
        "01",
        "+1",
        ".5",
        "1.",
        "tru",
        "'a'",
        r#""\x""#,
        r#""\ud800""#,
        "\"a\tb\"",
        "",
        "[1,]",
        "{,}",
        "/**/1",
    ]);
    prop_oneof![
        30 => good.prop_map(str::to_owned),
        1 => bad.prop_map(str::to_owned),
        1 => (1_usize..40).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        1 => any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(|f| format!("{f:e}")),
        1 => any::<f32>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(|f| f.to_string()),
        1 => any::<i64>().prop_map(|i| i.to_string()),
    ]
}

/// Objects with members that fit a name's usual kind more often than not.
pub fn payload() -> impl Strategy<Value = Json> {
    let value = scalar().prop_map(Json::Raw).prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            members(inner, 0..5),
        ]
    });
    prop_oneof![
        12 => (members(value.clone(), 0..6), 0..5).prop_map(|(mut payload, fits)| {
            let time = r#""2008-11-11T07:20:30.000Z""#;
            let usual = [("vvv", "1"), ("tts", time), ("kkk", r#""loop""#)];
            let closure = [("aaa", r#""active""#), ("bbb", r#""road_closed""#),
                ("lll", r#"["a104"]"#), ("xxx", r#""e1""#)];
            let wanted: &[&[(&str, &str)]] = match fits {
                0 => &[],
                1 => &[&usual, &closure],
                2 => &[&usual, &[("tts", r#""2008-11-11T07:25:31.001Z""#)]],
                _ => &[&usual],
            };
            if let Json::Object(members) = &mut payload {
                for (name, value) in wanted.iter().copied().flatten() {
                    if fits < 3 {
                        members.retain(|(known, ..)| known != name);
                    }
                    if members.iter().all(|(known, ..)| known != name) {
                        members.push(((*name).to_owned(), false, Json::Raw((*value).to_owned())));
                    }
                }
            }
            payload
        }),
        1 => value,
    ]
}

fn members(
    value: impl Strategy<Value = Json>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Json> {
    let name = prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let member = (name, prop::bool::weighted(0.1), value);
    prop::collection::vec(member, count).prop_map(Json::Object)
}

/// One byte of a payload made another, taken away, or the payload cut off there.
pub fn broken(mut bytes: Vec<u8>, (what, at, with): (u8, usize, u8)) -> Vec<u8> {
    let at = at % bytes.len().max(1);
    match what {
        _ if bytes.is_empty() => {}
        0 => bytes[at] = with,
        1 => drop(bytes.remove(at)),
        2 => bytes.truncate(at),
        _ => bytes.insert(at, with),
    }
    bytes
}
