//! A YAML file as a tree in which every key and value knows its place.
//!
//! Reading stops at the first break of YAML's own rules, but a key that stands twice is reported
//! and passed over. Aliases are expanded under a budget, so that a small file cannot become a huge
//! tree. Knows nothing of what the keys mean.

mod syntax;

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, Span as ParserSpan, StrInput, options,
};

use super::report::{Findings, Span};

/// Enough for a hundred sources; a file that expands to more is refused.
const MAX_NODES: usize = 20_000;
/// Deeper than any pipeline; keeps every walk over the tree within the stack.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where to point when the value is wrong: a scalar or a bracketed collection whole, a block
    /// collection by its first line, an absent value by its key.
    pub span: Span,
    /// The key that this is the value of, else the value itself: where to point when something is
    /// missing inside.
    pub head: Span,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scalar {
    pub text: String,
    pub style: ScalarStyle,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

/// A value that stands in no quotes means more than its letters (YAML 1.2, core schema).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Atom<'n> {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(&'n str),
}

impl Scalar {
    pub fn atom(&self) -> Atom<'_> {
        if self.style != ScalarStyle::Plain {
            return Atom::Text(&self.text);
        }
        let text = self.text.as_str();
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Atom::Null,
            "true" | "True" | "TRUE" => return Atom::Bool(true),
            "false" | "False" | "FALSE" => return Atom::Bool(false),
            _ => {}
        }
        let number_like = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
            && text.bytes().any(|b| b.is_ascii_digit());
        if number_like && let Ok(integer) = text.parse() {
            Atom::Integer(integer)
        } else if number_like
            && let Ok(number) = text.parse::<f64>()
            && number.is_finite()
        {
            Atom::Number(number)
        } else {
            Atom::Text(text)
        }
    }
}

impl Node {
    /// What stands here, for messages.
    pub fn what(&self) -> String {
        match &self.content {
            Content::List(_) => "a list".into(),
            Content::Map(_) => "a group of keys".into(),
            Content::Scalar(scalar) => match scalar.atom() {
                Atom::Null => "nothing".into(),
                Atom::Bool(_) => format!("`{}`, which is true or false", scalar.text),
                Atom::Integer(_) | Atom::Number(_) => format!("the number {}", scalar.text),
                Atom::Text(text) => format!("the text `{}`", excerpt(text)),
            },
        }
    }

    fn height(&self) -> usize {
        1 + match &self.content {
            Content::Scalar(_) => 0,
            Content::List(items) => items.iter().map(Node::height).max().unwrap_or(0),
            Content::Map(entries) => entries.iter().map(|e| e.value.height()).max().unwrap_or(0),
        }
    }

    fn count(&self) -> usize {
        1 + match &self.content {
            Content::Scalar(_) => 0,
            Content::List(items) => items.iter().map(Node::count).sum(),
            Content::Map(entries) => entries.iter().map(|e| e.value.count()).sum(),
        }
    }
}

/// The beginning of a text, short enough for a message.
pub(super) fn excerpt(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(40).collect();
    if short.len() < text.trim_end().len() {
        short.push('…');
    }
    short
}

/// The file's one document. `None` when it has none or breaks YAML's rules; why is then among the
/// findings.
pub(super) fn parse(findings: &mut Findings) -> Option<Node> {
    let text = findings.text().to_owned();
    // Braces in the text of a key or value cost nothing; open collections are what nests.
    let options: Options = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let events = Parser::new_from_str_with_options(&text, options);
    let mut builder = Builder { text: &text, events, findings, anchors: BTreeMap::new(), nodes: 0 };
    let document = builder.document().ok()?;
    if document.is_none() {
        findings
            .file_error("the file is empty")
            .help("a pipeline begins with `version: 1`; pipelines/demo.yaml is one to start from");
    }
    document
}

/// Reading cannot go on; why is among the findings.
struct Stop;

struct Builder<'t, 'f> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    findings: &'f mut Findings,
    anchors: BTreeMap<usize, Node>,
    /// Made so far, copies for anchors and aliases included.
    nodes: usize,
}

impl<'t> Builder<'t, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                let span = bytes(&span);
                Ok((event, span))
            }
            Some(Err(error)) => {
                syntax::broken_rule(self.text, &error, self.findings);
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::DocumentStart(..) if document.is_some() => {
                    self.findings
                        .error(&span, "a second document starts here")
                        .help("one file holds one pipeline: take the rest out, or the line `---`");
                    return Err(Stop);
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    let node = self.node(event, span, None, 1)?;
                    let empty =
                        matches!(&node.content, Content::Scalar(s) if s.atom() == Atom::Null);
                    document = (!empty).then_some(node);
                }
                // The stream's beginning, a document's end.
                _ => {}
            }
        }
    }

    /// The node that an event begins. `head` is the key before it.
    fn node(
        &mut self,
        event: Event<'t>,
        span: Span,
        head: Option<&Span>,
        depth: usize,
    ) -> Result<Node, Stop> {
        self.spend(1, &span)?;
        if depth > MAX_DEPTH {
            return Err(self.too_deep(&span));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if tag {
            self.findings
                .error(&span, "this value has a tag (`!…`)")
                .help("tags mean nothing in a pipeline file: write the value alone");
            return Err(Stop);
        }
        let head = head.cloned();
        let node = match event {
            Event::Scalar(text, style, ..) => {
                // What is absent (`key:` and nothing more) has no place of its own.
                let empty = span.is_empty();
                let text = if empty { String::new() } else { text.into_owned() };
                let span = match &head {
                    Some(head) if empty => head.clone(),
                    _ => trimmed(self.text, span),
                };
                Node {
                    head: head.unwrap_or_else(|| span.clone()),
                    span,
                    content: Content::Scalar(Scalar { text, style }),
                }
            }
            Event::SequenceStart(..) => {
                let mut items: Vec<Node> = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break span.end;
                    }
                    items.push(self.node(event, span, head.as_ref(), depth + 1)?);
                };
                let first = items.first().map(|item| item.span.clone());
                self.collection(span, end, first, head, Content::List(items))
            }
            Event::MappingStart(..) => {
                let (entries, end) = self.entries(depth)?;
                let first = entries.first().map(|entry| entry.key_span.clone());
                self.collection(span, end, first, head, Content::Map(entries))
            }
            Event::Alias(id) => self.alias(id, &span, head, depth)?,
            _ => {
                self.findings.error(&span, "a value was expected here");
                return Err(Stop);
            }
        };
        if anchor != 0 {
            self.spend(node.count(), &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn collection(
        &self,
        start: Span,
        end: usize,
        first: Option<Span>,
        head: Option<Span>,
        content: Content,
    ) -> Node {
        let in_brackets = !start.is_empty() && self.text[start.clone()].starts_with(['{', '[']);
        let span = match first {
            _ if in_brackets => start.start..end,
            Some(first) => first,
            None => start,
        };
        Node { head: head.unwrap_or_else(|| span.clone()), span, content }
    }

    fn entries(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok((entries, key_span.end)),
                Event::Scalar(key, _, 0, None) if !key_span.is_empty() => key.into_owned(),
                _ => {
                    let finding = self.findings.error(&key_span, "this is no plain key");
                    finding.help("a key is a word followed by `: `");
                    return Err(Stop);
                }
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, Some(&key_span), depth + 1)?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let line = self.text[..first.key_span.start].matches('\n').count() + 1;
                self.findings
                    .error(&key_span, format!("the key `{key}` stands twice"))
                    .label("a second time")
                    .help(format!("the first is on line {line}: keep one of them"));
            } else {
                entries.push(Entry { key, key_span, value });
            }
        }
    }

    /// A copy of what an anchor names, which keeps its places: findings point at the definition.
    fn alias(
        &mut self,
        id: usize,
        span: &Span,
        head: Option<Span>,
        depth: usize,
    ) -> Result<Node, Stop> {
        let Some(target) = self.anchors.get(&id) else {
            self.findings
                .error(span, "an alias stands inside the very thing that it repeats")
                .help("write the value out instead");
            return Err(Stop);
        };
        let (count, height) = (target.count(), target.height());
        self.spend(count, span)?;
        if depth + height > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let mut copy = self.anchors[&id].clone();
        copy.head = head.unwrap_or_else(|| span.clone());
        Ok(copy)
    }

    fn spend(&mut self, nodes: usize, span: &Span) -> Result<(), Stop> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        self.findings
            .error(span, format!("here the file grows to more than {MAX_NODES} values"))
            .help("aliases (`*name`) that repeat aliases multiply: write the values out instead");
        Err(Stop)
    }

    fn too_deep(&mut self, span: &Span) -> Stop {
        self.findings
            .error(span, format!("nested more than {MAX_DEPTH} levels deep"))
            .help("no key of a pipeline lies deeper than five levels");
        Stop
    }
}

fn bytes(span: &ParserSpan) -> Span {
    // A parser over a string always knows byte offsets.
    span.byte_range().unwrap_or(0..0)
}

/// Block scalars reach to the start of what follows them; what is pointed at ends with the text.
fn trimmed(text: &str, span: Span) -> Span {
    let length = text[span.clone()].trim_end().len();
    span.start..span.start + length
}

#[cfg(test)]
mod tests;
