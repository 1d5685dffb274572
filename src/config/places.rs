//! From a byte of a scalar's value back to the byte of the file it was written with: through the
//! indentation of block scalars, the folding of lines, and the escapes of quoted ones.
//!
//! Knows the five styles of YAML scalars and nothing else.

use std::ops::Range;

use serde_saphyr::granit_parser::ScalarStyle;

use super::report::Span;

/// Where `part` of a scalar's value stands in the source. A part that goes over several lines is
/// cut at the end of its first one, so that it can be underlined.
pub(super) fn locate(
    source: &str,
    scalar: &Span,
    style: ScalarStyle,
    value: &str,
    part: Range<usize>,
) -> Span {
    let places = align(source, scalar, style, value);
    let last = places.len() - 1;
    let start = places[part.start.min(last)];
    let end = match part.end {
        end if end > part.start => {
            let inclusive = (end - 1).min(last);
            // One past the last character, not past its last byte's start.
            places[inclusive] + char_len(source, places[inclusive])
        }
        _ => start + char_len(source, start),
    };
    let line_end = source[start..].find('\n').map_or(source.len(), |length| start + length);
    let end = end.clamp(start, line_end.max(start));
    let cut = source.get(start..end).map_or(0, |text| text.trim_end().len());
    start..start + cut.max(usize::from(cut == 0 && line_end > start))
}

fn char_len(source: &str, at: usize) -> usize {
    source.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

/// For every byte of the value, and one past it, the byte of the source that it comes from. Walks
/// both at once; where they differ, the source holds indentation, a folded line or an escape.
fn align(source: &str, scalar: &Span, style: ScalarStyle, value: &str) -> Vec<usize> {
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let line_start = source[..scalar.start].rfind('\n').map_or(0, |newline| newline + 1);
    // A block scalar's span starts with its first letter: what is before it is its indentation.
    let indent = if block { scalar.start - line_start } else { usize::MAX };
    let mut at = scalar.start + usize::from(quoted);
    let mut places = Vec::with_capacity(value.len() + 1);
    for wanted in value.chars() {
        let mut place = None;
        while place.is_none()
            && let Some(found) = source.get(at..scalar.end).and_then(|rest| rest.chars().next())
        {
            if found == '\\' && style == ScalarStyle::DoubleQuoted {
                let length = escape_length(&source[at..scalar.end]);
                let goes_on = source[at + 1..].starts_with(['\n', '\r']);
                if goes_on {
                    at = skip_indent(source, at + length, usize::MAX);
                } else {
                    place = Some(at);
                    at += length;
                }
            } else if found == wanted || (wanted == ' ' && found == '\n') {
                place = Some(at);
                at += found.len_utf8();
                if found == '\n' {
                    at = skip_indent(source, at, indent);
                } else if found == '\'' && style == ScalarStyle::SingleQuoted {
                    at += 1;
                }
            } else if found.is_whitespace() {
                at += found.len_utf8();
                if found == '\n' {
                    at = skip_indent(source, at, indent);
                }
            } else {
                break;
            }
        }
        // Where nothing matches (it always should), the place is as near as can be said.
        places.extend(std::iter::repeat_n(place.unwrap_or(at), wanted.len_utf8()));
    }
    places.push(at);
    places
}

/// Passes over at most `most` spaces (and tabs, where any white space is passed over).
fn skip_indent(source: &str, at: usize, most: usize) -> usize {
    let rest = source[at..].bytes();
    at + rest.take(most).take_while(|b| *b == b' ' || (*b == b'\t' && most == usize::MAX)).count()
}

/// Bytes of the escape that begins with the backslash at the front.
fn escape_length(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    let length = match chars.next() {
        Some('x') => 4,
        Some('u') => 6,
        Some('U') => 10,
        Some(other) => 1 + other.len_utf8(),
        None => 1,
    };
    length.min(text.len())
}

#[cfg(test)]
mod tests {
    use serde_saphyr::granit_parser::{Event, Parser};

    use super::*;

    /// The place of `needle` in the one value of `key: value`, as text of the source.
    fn found(source: &str, needle: &str) -> (usize, String) {
        let mut scalars = Parser::new_from_str(source).filter_map(|event| match event.unwrap() {
            (Event::Scalar(text, style, ..), span) => Some((text, style, span)),
            _ => None,
        });
        let (value, style, span) = scalars.nth(1).unwrap();
        let start = value.find(needle).unwrap();
        let range = span.byte_range().unwrap();
        let place = locate(source, &range, style, &value, start..start + needle.len());
        (source[..place.start].matches('\n').count() + 1, source[place].to_string())
    }

    #[test]
    fn through_every_style() {
        for source in [
            "sql: |\n  SELECT a,\n    spede\n\n  FROM x\n",
            "sql: |2\n    SELECT a,\n    spede\n",
            "sql: |\n\n  SELECT a,\n  spede\n",
            "sql: >\n  SELECT a,\n  spede\n\n  FROM x\n",
            "sql: >-\n  SELECT\n\n\n  a, spede\n",
            "sql: SELECT a, spede FROM x\n",
            "sql: SELECT a,\n  spede FROM x\n",
            "sql: 'SELECT ''a'',\n  spede FROM x'\n",
            "sql: \"SELECT \\u0061, \\\"b\\\",\\n spede\"\n",
            "sql: \"SELECT \\\n     a,\n\n     spede\"\n",
            "sql: |\r\n  SELECT a,\r\n  spede\r\n",
            "sql: |\n  SELECT 'über', spede\n",
            "x: |\n  SELECT 'via',\n  spede -- note\n",
        ] {
            let (line, text) = found(source, "spede");
            let expected = source[..source.find("spede").unwrap()].matches('\n').count() + 1;
            assert_eq!((line, text.as_str()), (expected, "spede"), "{source:?}");
        }
    }

    #[test]
    fn a_part_over_several_lines_is_cut_after_the_first() {
        let source = "sql: |\n  SELECT a,\n  b\n";
        assert_eq!(found(source, "a,\nb"), (2, "a,".to_string()));
    }

    proptest::proptest! {
        #[test]
        fn a_literal_block_gives_back_every_word(
            lines in proptest::collection::vec("( ?[a-zA-Zéß,()]{1,6}){1,4}", 1..6),
        ) {
            let body: Vec<String> = lines.iter().map(|line| format!("  {line}\n")).collect();
            let source = format!("sql: |2\n{}", body.concat());
            let value = lines.join("\n") + "\n";
            let range = "sql: |2\n  ".len()..source.trim_end().len();
            for (at, c) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
                let part = at..at + c.len_utf8();
                let place = locate(&source, &range, ScalarStyle::Literal, &value, part);
                proptest::prop_assert_eq!(&source[place], c.to_string());
            }
        }
    }
}
