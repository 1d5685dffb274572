//! MQTT topic filters: which topics a source listens to.

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
