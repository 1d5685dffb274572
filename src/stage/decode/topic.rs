//! MQTT topic filters: which topics a source listens to.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A topic filter, cut into its levels (MQTT 5, section 4.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFilter {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Name(String),
    /// `+`
    One,
    /// `#`
    Rest,
}

impl TopicFilter {
    /// Cuts a filter. The share name of `$share/{group}/{filter}` is left out, since messages
    /// arrive under their plain topic.
    pub fn new(filter: &str) -> Self {
        let plain = filter.strip_prefix("$share/").and_then(|shared| shared.split_once('/'));
        let levels = plain.map_or(filter, |(_, filter)| filter).split('/');
        Self {
            levels: levels
                .map(|level| match level {
                    "+" => Level::One,
                    "#" => Level::Rest,
                    name => Level::Name(name.to_owned()),
                })
                .collect(),
        }
    }

    /// Whether a topic passes. A wildcard in first place does not reach the topics that begin
    /// with `$`; `a/#` passes `a` itself.
    pub fn passes(&self, topic: &str) -> bool {
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Name(_))) {
            return false;
        }
        let mut names = topic.split('/');
        for level in &self.levels {
            match (level, names.next()) {
                (Level::Rest, _) => return true,
                (Level::One, Some(_)) => {}
                (Level::Name(expected), Some(name)) if expected == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether there may be a topic that passes both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.levels.as_slice(), other.levels.as_slice());
        let hidden = |name: &Level| matches!(name, Level::Name(name) if name.starts_with('$'));
        if let ([first, ..], [second, ..]) = (a, b)
            && first != second
            && (hidden(first) || hidden(second))
        {
            return false;
        }
        loop {
            match (a, b) {
                ([Level::Rest, ..], _) | (_, [Level::Rest, ..]) | ([], []) => return true,
                ([Level::Name(x), ..], [Level::Name(y), ..]) if x != y => return false,
                ([_, rest_a @ ..], [_, rest_b @ ..]) => (a, b) = (rest_a, rest_b),
                _ => return false,
            }
        }
    }
}

/// More topics than this are forgotten, all at once, and matched anew.
const MAX_KNOWN: usize = 32 * 1024;
/// So are more lists of filters than this; a pipeline has a handful.
const MAX_PASSED: usize = 256;
/// Longer topics are matched each time, so that what is remembered stays small.
const MAX_KNOWN_BYTES: usize = 256;

/// Which filters a topic passes, remembered from message to message.
#[derive(Debug)]
pub(super) struct Topics {
    filters: Vec<TopicFilter>,
    /// Topic to index in `passed`.
    known: HashMap<Box<str>, usize, RandomState>,
    /// Indices of filters, in order; each list once.
    passed: Vec<Box<[usize]>>,
}

impl Topics {
    pub fn new(filters: Vec<TopicFilter>) -> Self {
        Self { filters, known: HashMap::default(), passed: Vec::new() }
    }

    /// The indices of the filters that a topic passes, in order.
    pub fn passed(&mut self, topic: &str) -> &[usize] {
        let index = match self.known.get(topic) {
            Some(index) => *index,
            None => self.learn(topic),
        };
        &self.passed[index]
    }

    /// The same without memory.
    pub fn matching(&self, topic: &str) -> impl Iterator<Item = usize> {
        let filters = self.filters.iter().enumerate();
        filters.filter(move |(_, filter)| filter.passes(topic)).map(|(index, _)| index)
    }

    #[cold]
    fn learn(&mut self, topic: &str) -> usize {
        if self.known.len() >= MAX_KNOWN || self.passed.len() >= MAX_PASSED {
            self.known.clear();
            self.passed.clear();
        }
        let passed: Box<[usize]> = self.matching(topic).collect();
        let same = self.passed.iter().position(|known| *known == passed);
        let index = same.unwrap_or_else(|| {
            self.passed.push(passed);
            self.passed.len() - 1
        });
        if topic.len() <= MAX_KNOWN_BYTES {
            self.known.insert(topic.into(), index);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_overlap_where_one_topic_passes_both() {
        for (a, b, overlap) in [
            ("a/b", "a/b", true),
            ("a/b", "a/c", false),
            ("a/+", "+/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "+/b/c", true),
            ("a/#", "b/#", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/+", true),
            ("#", "+/+", true),
            ("$share/g/a/b", "a/+", true),
        ] {
            let (one, other) = (TopicFilter::new(a), TopicFilter::new(b));
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (overlap, overlap), "{a} {b}");
        }
    }

    #[test]
    fn topics_are_remembered_within_bounds() {
        let filters = ["a/+", "a/#", "b"].map(TopicFilter::new);
        let mut topics = Topics::new(filters.into());
        for round in 0..3 {
            for index in 0..MAX_KNOWN {
                assert_eq!(topics.passed(&format!("a/{round}x{index}")), [0, 1]);
                assert!(topics.known.len() <= MAX_KNOWN);
            }
            assert_eq!(topics.passed("b"), [2]);
            assert_eq!(topics.passed("a/b/c"), [1]);
            assert!(topics.passed("c").is_empty());
            assert!(topics.passed.len() <= 4);
        }
        let before = topics.known.len();
        assert_eq!(topics.passed(&format!("a/{}", "x".repeat(60_000))), [0, 1]);
        assert_eq!(topics.known.len(), before);
    }

    #[test]
    fn filters_pass_what_the_standard_says() {
        for (filter, topic, passes) in [
            ("a/b", "a/b", true),
            ("a/b", "a/c", false),
            ("a/b", "a/b/c", false),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a//c", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+", "a/b/c", false),
            ("+/+", "/finance", true),
            ("+", "/finance", false),
            ("/+", "/finance", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("a/b/#", "a", false),
            ("#", "a/b", true),
            ("#", "$SYS/broker", false),
            ("+/broker", "$SYS/broker", false),
            ("$SYS/#", "$SYS/broker", true),
            ("$SYS/+", "$SYS/broker", true),
            ("a/+b", "a/+b", true),
            ("$share/units/a/+", "a/b", true),
            ("$share/units/#", "$SYS/broker", false),
        ] {
            assert_eq!(TopicFilter::new(filter).passes(topic), passes, "{filter} {topic}");
        }
    }
}
