//! MQTT topics and topic filters, with Wayside's placeholders in them.
//!
//! Source of the wildcard rules: MQTT 5.0, section 4.7.

use std::ops::Range;

/// What is wrong with which bytes of a topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadTopic {
    pub part: Range<usize>,
    pub what: String,
    pub help: String,
    /// The placeholder that was meant.
    pub meant: Option<String>,
}

impl BadTopic {
    fn new(part: Range<usize>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { part, what: what.into(), help: help.into(), meant: None }
    }
}

/// Everything that is wrong with a subscription's filter.
pub(super) fn bad_filter(filter: &str) -> Vec<BadTopic> {
    let mut bad = bad_text(filter);
    bad.extend(bad_placeholders(filter, &[]));
    let mut at = 0;
    let levels = filter.split('/').count();
    for (number, level) in filter.split('/').enumerate() {
        let part = at..at + level.len();
        at += level.len() + 1;
        if level.contains('#') && level != "#" || level.contains('+') && level != "+" {
            bad.push(BadTopic::new(
                part,
                "a wildcard must have its level to itself",
                "`+` stands for one whole level, `#` for all that follow: `a/+/c`, `a/#`",
            ));
        } else if level == "#" && number + 1 < levels {
            bad.push(BadTopic::new(
                part,
                "`#` stands for all that follows, so nothing may follow it",
                "`+` stands for one level in the middle",
            ));
        }
    }
    bad
}

/// Everything that is wrong with a topic to publish on; `needed` placeholders must be in it.
pub(super) fn bad_topic(topic: &str, needed: &[&str]) -> Vec<BadTopic> {
    let mut bad = bad_text(topic);
    bad.extend(bad_placeholders(topic, needed));
    for (at, wildcard) in topic.match_indices(['+', '#']) {
        let help = match needed {
            [] => "write the whole topic".to_owned(),
            needed => format!("what differs from message to message stands as {}", braced(needed)),
        };
        let what = format!("`{wildcard}` is for subscriptions; nothing can be published on it");
        bad.push(BadTopic::new(at..at + 1, what, help));
    }
    if topic.starts_with('$') {
        let what = "topics with `$` in front belong to the broker";
        bad.push(BadTopic::new(0..1, what, "begin with a word of your own"));
    }
    for placeholder in needed {
        let braced_name = format!("{{{placeholder}}}");
        // One that is merely misspelt is reported once, where it stands.
        let misspelt = bad.iter().any(|bad| bad.meant.as_ref() == Some(&braced_name));
        if misspelt || topic.contains(&braced_name) {
            continue;
        }
        bad.push(BadTopic::new(
            0..topic.len(),
            format!("`{{{placeholder}}}` is missing in this topic"),
            format!("without it one message replaces the other: put in {}", braced(needed)),
        ));
    }
    bad
}

/// `{tile}` and `{part}`
fn braced(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(" and ")
}

fn bad_text(topic: &str) -> Vec<BadTopic> {
    let mut bad = Vec::new();
    if topic.is_empty() {
        bad.push(BadTopic::new(
            0..0,
            "the topic is empty",
            "levels with `/` between them: `a/b/c`",
        ));
    }
    if topic.len() > 65_535 {
        bad.push(BadTopic::new(
            0..topic.len(),
            "the topic is longer than MQTT allows",
            "65,535 bytes",
        ));
    }
    if let Some(at) = topic.find(|c: char| c.is_control()) {
        bad.push(BadTopic::new(at..at + 1, "a control character in a topic", "take it out"));
    }
    bad
}

fn bad_placeholders(topic: &str, needed: &[&str]) -> Vec<BadTopic> {
    let known: Vec<&str> = std::iter::once("site").chain(needed.iter().copied()).collect();
    let mut bad = Vec::new();
    let mut at = 0;
    while let Some(found) = topic[at..].find(['{', '}']) {
        let start = at + found;
        let length = topic[start..].find('}').filter(|_| topic[start..].starts_with('{'));
        let Some(length) = length else {
            let what = "a brace without its other one";
            bad.push(BadTopic::new(
                start..start + 1,
                what,
                format!("known here: {}", braced(&known)),
            ));
            break;
        };
        let name = &topic[start + 1..start + length];
        at = start + length + 1;
        if known.contains(&name) {
            continue;
        }
        let mut unknown = BadTopic::new(
            start..at,
            format!("unknown placeholder `{{{name}}}`"),
            if needed.is_empty() {
                "in a subscription `+` stands for what differs; only `{site}` is replaced"
                    .to_owned()
            } else {
                format!("known here: {}", braced(&known))
            },
        );
        let near = crate::config::read::nearest(name, known.iter().copied());
        unknown.meant = match near {
            Some(near) => Some(format!("{{{near}}}")),
            None if needed.is_empty() => Some("+".to_owned()),
            None => None,
        };
        bad.push(unknown);
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'t>(topic: &'t str, bad: &[BadTopic]) -> Vec<&'t str> {
        bad.iter().map(|bad| &topic[bad.part.clone()]).collect()
    }

    #[test]
    fn filters() {
        for (filter, wrong) in [
            ("a/b", &[] as &[&str]),
            ("+", &[]),
            ("#", &[]),
            ("/a/+/#", &[]),
            ("wayside/v1/{site}/sensor/+/reading", &[]),
            ("a/#/b", &["#"]),
            ("a+", &["a+"]),
            ("a/b#/c+/d", &["b#", "c+"]),
            ("a/{sensor}/b", &["{sensor}"]),
            ("a/{site/b", &["{"]),
            ("", &[""]),
        ] {
            assert_eq!(parts(filter, &bad_filter(filter)), wrong, "{filter}");
        }
    }

    #[test]
    fn topics_to_publish_on() {
        for (topic, needed, wrong) in [
            ("a/{sign}", &["sign"] as &[&str], &[] as &[&str]),
            ("{site}/{sign}", &["sign"], &[]),
            ("a/+", &["sign"], &["+", "a/+"]),
            ("a/{sgn}", &["sign"], &["{sgn}"]),
            ("a/{other}", &["sign"], &["{other}", "a/{other}"]),
            ("a/{tile}", &["tile", "part"], &["a/{tile}"]),
            ("$SYS/{sign}", &["sign"], &["$"]),
            ("a/#", &[], &["#"]),
            ("a\u{0}", &[], &["\u{0}"]),
        ] {
            assert_eq!(parts(topic, &bad_topic(topic, needed)), wrong, "{topic}");
        }
        assert_eq!(bad_topic("a/{sgn}", &["sign"])[0].meant.as_deref(), Some("{sign}"));
        assert_eq!(bad_filter("a/{sensor_id}")[0].meant.as_deref(), Some("+"));
    }
}
