//! Which rule of YAML a file breaks, in an operator's words.

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use super::super::report::Findings;
use super::MAX_DEPTH;

/// Says in an operator's words which rule of YAML is broken, and points at it.
pub(super) fn broken_rule(text: &str, error: &ScanError, findings: &mut Findings) {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    let line = &text[line_start..line_end];
    let indent = line.len() - line.trim_start().len();
    let whole_line = line_start + indent..line_start + line.trim_end().len();
    let one = at..text[at..line_end].chars().next().map_or(at, |c| at + c.len_utf8());
    let word_end = text[at..line_end].find([' ', ',', '}', ']']).map_or(line_end, |n| at + n);
    let word = if word_end > at { at..word_end } else { one.clone() };
    let (span, message, help) = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            let tab = line.find('\t').map_or(one, |tab| line_start + tab..line_start + tab + 1);
            let help = "indent with spaces, two a level";
            (tab, "a tab stands where YAML takes only spaces".into(), help)
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => (
            whole_line,
            "this line fits no block above it".into(),
            "bring its first letter exactly under the keys that it belongs to",
        ),
        ErrorKind::MappingValueNotAllowed => (
            one,
            "a second `:` in one value".into(),
            "put a text that holds `: ` into quotes; a key of its own starts a new line",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            whole_line,
            "this line is no `key: value`".into(),
            "write `key: value`, with a space after the colon",
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => match left_open(&text[..line_start]) {
            // The quote that ends here began on an earlier line, where its own end is missing.
            Some(quote) => (
                quote..quote + 1,
                "this quote is not closed on its line".into(),
                "end the text with the same quote",
            ),
            None => (
                word,
                "something follows the closing quote".into(),
                "a quote inside a text in double quotes is written `\\\"`, in single quotes `''`",
            ),
        },
        ErrorKind::UnclosedQuotedScalar => {
            (one, "this quote is never closed".into(), "end the text with the same quote")
        }
        ErrorKind::UnclosedFlowCollection { open } => (
            one,
            format!("the bracket `{open}` is never closed"),
            "close it with the bracket that belongs to it",
        ),
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            (word, "`,` or `}` is missing before this".into(), "`{ key: value, key: value }`")
        }
        ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::UnexpectedEofFlowSequence => {
            (word, "`,` or `]` is missing before this".into(), "`[one, two]`")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (one, format!("a value cannot begin with `{character}`"), "put the text into quotes")
        }
        ErrorKind::UnknownAnchor => (
            word,
            "this alias repeats something that has no anchor".into(),
            "a text that begins with `*` needs quotes; an anchor is written `&name` before its value",
        ),
        ErrorKind::RecursionLimitExceeded => (
            one,
            format!("nested more than {MAX_DEPTH} levels deep"),
            "no key of a pipeline lies deeper than five levels",
        ),
        kind => (
            word,
            format!("not YAML: {kind}"),
            "see the line above as well: the mistake may begin there",
        ),
    };
    findings.error(&span, message).help(help);
}

/// The last double or single quote that stands alone on its line, where an odd number of lines
/// have one: an even number are the beginnings and ends of texts over several lines.
fn left_open(text: &str) -> Option<usize> {
    let quotes = ['"', '\''].map(|quote| {
        let mut line_start = 0;
        let mut alone = Vec::new();
        for line in text.split_inclusive('\n') {
            let code = line.split(" #").next().unwrap_or(line);
            if code.matches(quote).count() % 2 == 1 {
                alone.extend(code.rfind(quote).map(|at| line_start + at));
            }
            line_start += line.len();
        }
        alone.pop().filter(|_| alone.len() % 2 == 0)
    });
    quotes.into_iter().flatten().max()
}
