//! From text to a syntax tree, and from the engine's errors to findings in the text.

use datafusion::common::{self, DataFusionError};
use datafusion::sql::sqlparser::ast::{Query, Spanned, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::SqlFinding;
use super::places::Places;

/// Parser recursion: each level of brackets takes one or two of these.
const PARSER_DEPTH: usize = 100;

/// Deepest nesting of brackets that the parser is shown.
const MAX_BRACKETS: usize = 24;

/// Deepest nesting of `RETRIED` brackets: the parser's time doubles or triples with each.
const MAX_RETRIES: usize = 8;

/// What stands before a bracket whose inside the parser reads again, in another way, when something
/// in it is wrong.
const RETRIED: [&str; 16] = [
    "CAST",
    "CEIL",
    "CONVERT",
    "EXISTS",
    "EXTRACT",
    "FLOOR",
    "INTERVAL",
    "MATCH",
    "NOT",
    "OVERLAY",
    "POSITION",
    "SAFE_CAST",
    "SUBSTR",
    "SUBSTRING",
    "TRIM",
    "TRY_CAST",
];

/// The first bracket that is one too many.
fn too_deep(tokens: &[TokenWithSpan]) -> Option<Span> {
    // For each open bracket, whether it is one of `RETRIED`.
    let mut open: Vec<bool> = Vec::new();
    let mut retried = 0;
    let mut before: Option<&Token> = None;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => {
                let again = matches!(before, Some(Token::Word(word))
                    if RETRIED.iter().any(|name| word.value.eq_ignore_ascii_case(name)));
                open.push(again);
                retried += usize::from(again);
                if open.len() > MAX_BRACKETS || retried > MAX_RETRIES {
                    return Some(token.span);
                }
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                retried -= usize::from(open.pop().unwrap_or(false));
            }
            _ => {}
        }
        before = Some(&token.token);
    }
    None
}

/// Exactly one SELECT, or the one thing that is wrong with the text.
pub(super) fn parse(sql: &str, places: &Places<'_>) -> Result<Query, SqlFinding> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location();
    if let Some(at) = tokens.as_deref().ok().and_then(too_deep) {
        return Err(SqlFinding {
            offset: places.range(at),
            message: format!(
                "the query is nested deeper than {MAX_BRACKETS} brackets, or {MAX_RETRIES} of CAST, \
                 NOT and the like"
            ),
            help: Some("split it into named parts: WITH part AS (SELECT ...)".to_owned()),
        });
    }
    let statements = tokens
        .map_err(ParserError::from)
        .and_then(|tokens| {
            Parser::new(&GenericDialect {})
                .with_recursion_limit(PARSER_DEPTH)
                .with_tokens_with_locations(tokens)
                .parse_statements()
        })
        .map_err(|error| {
            let message = error.to_string();
            let (offset, keyword) = places.of_message(&message);
            let said = message.trim_start_matches("sql parser error: ");
            let said = said.split(" at Line: ").next().unwrap_or(said);
            let help = match keyword {
                Some(keyword) => Some(format!("did you mean `{keyword}`?")),
                None => said.contains("recursion limit").then(|| {
                    "the query is nested too deeply; split it: WITH part AS (SELECT ...)".to_owned()
                }),
            };
            SqlFinding { offset, message: format!("this is no SQL: {said}"), help }
        })?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(Statement::Query(query)), None) => Ok(*query),
        (None, _) => Err(SqlFinding {
            offset: None,
            message: "the query is empty".to_owned(),
            help: Some("write SELECT ... FROM the source".to_owned()),
        }),
        (Some(_), Some(second)) => Err(SqlFinding {
            offset: places.range(second.span()),
            message: "there are several statements; one SELECT is allowed".to_owned(),
            help: None,
        }),
        (Some(_), None) => Err(SqlFinding {
            offset: places.first_word(),
            message: "only SELECT is allowed: a query changes nothing".to_owned(),
            help: None,
        }),
    }
}

/// Two findings about the same text.
pub(super) fn overlap(a: &SqlFinding, b: &SqlFinding) -> bool {
    match (&a.offset, &b.offset) {
        (Some(a), Some(b)) => a.start < b.end && b.start < a.end,
        _ => false,
    }
}

/// An error of the planner, at its place if it knows one.
pub(super) fn place(error: &DataFusionError, places: &Places<'_>) -> SqlFinding {
    let location = |at: common::Location| Location { line: at.line, column: at.column };
    let offset = error.diagnostic().and_then(|diagnostic| {
        let span = diagnostic.span?;
        places.range(Span { start: location(span.start), end: location(span.end) })
    });
    let (message, help) = say(error);
    SqlFinding { offset, message, help }
}

/// An error of the engine, without the names of its own parts, and what it advises.
pub(super) fn say(error: &DataFusionError) -> (String, Option<String>) {
    if let Some(diagnostic) = error.diagnostic() {
        let helps = diagnostic.helps.iter().map(|help| help.message.as_str());
        let notes = diagnostic.notes.iter().map(|note| note.message.as_str());
        let help = helps.chain(notes).collect::<Vec<_>>().join("; ");
        return (diagnostic.message.clone(), (!help.is_empty()).then_some(help));
    }
    let text = error.find_root().strip_backtrace();
    let text = first_line(&text);
    let said = [
        "Error during planning: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Arrow error: ",
        "Invalid argument error: ",
    ]
    .iter()
    .fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    (said.to_owned(), None)
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
