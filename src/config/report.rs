//! What is wrong with a pipeline file, and how it is shown: drawn for people, as JSON for machines.
//!
//! Knows places in files and words about them. Knows nothing of YAML or of what the keys mean.

use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode,
};
use serde::Serialize;

/// Bytes of a file.
pub(super) type Span = Range<usize>;

/// Errors keep a pipeline from running; warnings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Error,
    Warning,
}

/// One thing that is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    grade: Grade,
    /// Bytes of the file; `None`: the file as a whole.
    span: Option<Span>,
    message: String,
    /// Stands under the underlined text.
    label: Option<String>,
    help: Option<String>,
}

impl Finding {
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// "did you mean", where something known is near enough.
    pub fn did_you_mean(&mut self, near: Option<&str>) -> &mut Self {
        if let Some(near) = near {
            self.label(format!("did you mean `{near}`?"));
        }
        self
    }
}

/// The findings in one file.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    /// The file's name, as shown.
    name: String,
    text: String,
    list: Vec<Finding>,
}

impl Findings {
    pub fn new(name: String, text: String) -> Self {
        Self { name, text, list: Vec::new() }
    }

    /// The file as it was read (secrets in it are struck out once they are found).
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn error(&mut self, span: &Span, message: impl Into<String>) -> &mut Finding {
        self.push(Grade::Error, Some(span.clone()), message.into())
    }

    pub fn warning(&mut self, span: &Span, message: impl Into<String>) -> &mut Finding {
        self.push(Grade::Warning, Some(span.clone()), message.into())
    }

    /// Something about the file as a whole.
    pub fn file_error(&mut self, message: impl Into<String>) -> &mut Finding {
        self.push(Grade::Error, None, message.into())
    }

    fn push(&mut self, grade: Grade, span: Option<Span>, message: String) -> &mut Finding {
        let at = self.list.len();
        self.list.push(Finding { grade, span, message, label: None, help: None });
        &mut self.list[at]
    }

    /// Replaces a secret by stars, so that no report prints it.
    pub fn strike_out(&mut self, span: &Span) {
        if let Some(secret) = self.text.get(span.clone()) {
            let stars: String = secret
                .chars()
                .map(|c| if c == '\n' { "\n".into() } else { "*".repeat(c.len_utf8()) })
                .collect();
            self.text.replace_range(span.clone(), &stars);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.grade == Grade::Error)
    }
}

/// Line and column of a byte, both from 1; columns count characters.
fn place_of(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[line_start..].chars().count() + 1)
}

/// The bytes of a line, from 1, without what ends it.
fn span_of_line(text: &str, line: usize) -> Span {
    let mut lines = text.split_inclusive('\n');
    let start = lines.by_ref().take(line.saturating_sub(1)).map(str::len).sum();
    start..start + lines.next().map_or(0, |line| line.trim_end().len())
}

/// Everything found in a pipeline file and in the files that it names.
#[derive(Clone, Debug, Default)]
pub struct Report {
    files: Vec<Findings>,
}

/// A finding with its place spelt out, as in the JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlacedFinding<'r> {
    pub severity: Grade,
    pub file: &'r str,
    /// From 1; absent when the finding is about the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// In characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    pub message: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'r str>,
}

impl Report {
    /// Takes over the findings of a file; files come in the order they are added.
    pub(super) fn add(&mut self, mut findings: Findings) {
        findings.list.sort_by_key(|finding| finding.span.as_ref().map_or(0, |span| span.start));
        findings.list.dedup();
        if !findings.list.is_empty() {
            self.files.push(findings);
        }
    }

    /// Takes up what another room found in a file: at a line of it, from 1, or as a whole. Once, where
    /// it is found several times.
    pub fn error_in(
        &mut self,
        (file, text): (&str, &str),
        line: Option<usize>,
        message: &str,
        help: &str,
    ) {
        if self.findings().any(|finding| finding.file == file && finding.message == message) {
            return;
        }
        let mut findings = Findings::new(file.to_owned(), text.to_owned());
        let span = line.map(|line| span_of_line(text, line));
        findings.push(Grade::Error, span, message.to_owned()).help(help);
        self.add(findings);
    }

    pub fn has_errors(&self) -> bool {
        self.files.iter().any(Findings::has_errors)
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Errors, warnings.
    pub fn counts(&self) -> (usize, usize) {
        let all = self.files.iter().flat_map(|file| &file.list);
        let (errors, warnings): (Vec<_>, Vec<_>) = all.partition(|f| f.grade == Grade::Error);
        (errors.len(), warnings.len())
    }

    /// All findings, in the order of the files and of the places in them.
    pub fn findings(&self) -> impl Iterator<Item = PlacedFinding<'_>> {
        self.files.iter().flat_map(|file| {
            file.list.iter().map(move |finding| {
                let place = finding.span.as_ref().map(|span| place_of(&file.text, span.start));
                PlacedFinding {
                    severity: finding.grade,
                    file: &file.name,
                    line: place.map(|(line, _)| line),
                    column: place.map(|(_, column)| column),
                    message: &finding.message,
                    label: finding.label.as_deref(),
                    help: finding.help.as_deref(),
                }
            })
        })
    }

    pub fn to_json(&self) -> serde_json::Value {
        let (errors, warnings) = self.counts();
        let findings: Vec<_> = self.findings().collect();
        serde_json::json!({ "errors": errors, "warnings": warnings, "findings": findings })
    }

    /// The report as text, each finding with its line and the offending words underlined.
    pub fn render(&self, colour: bool) -> String {
        let theme =
            if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(100)
            .without_syntax_highlighting();
        let mut out = String::new();
        for file in &self.files {
            let source = NamedSource::new(&file.name, file.text.clone());
            for finding in &file.list {
                let drawn = Drawn { finding, file: &file.name, source: &source };
                // Writing to a string cannot fail; if the drawing does, the words still go out.
                if handler.render_report(&mut out, &drawn).is_err() {
                    out.push_str(&drawn.to_string());
                }
                out.push('\n');
            }
        }
        out.push_str(&self.summary());
        out
    }

    fn summary(&self) -> String {
        let counted = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let (errors, warnings) = self.counts();
        let parts: Vec<_> = [counted(errors, "error"), counted(warnings, "warning")]
            .into_iter()
            .flatten()
            .collect();
        parts.join(", ") + "\n"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// One finding as miette wants it.
#[derive(Debug)]
struct Drawn<'r> {
    finding: &'r Finding,
    file: &'r str,
    source: &'r NamedSource<String>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.finding.span.is_none() {
            write!(f, "{}: ", self.file)?;
        }
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(match self.finding.grade {
            Grade::Error => Severity::Error,
            Grade::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.finding.span.is_some().then_some(self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span.clone()?;
        let label = LabeledSpan::new_primary_with_span(self.finding.label.clone(), span);
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let text = "a: ü\nbé: x\n";
        assert_eq!(place_of(text, 0), (1, 1));
        assert_eq!(place_of(text, text.find('x').unwrap()), (2, 5));
        assert_eq!(place_of(text, 10_000), (3, 1));
    }

    #[test]
    fn a_secret_is_struck_out_of_every_form() {
        let text = "password: \"sésame\"\n".to_string();
        let mut findings = Findings::new("p.yaml".into(), text);
        findings.strike_out(&(10..19));
        findings.error(&(10..19), "a secret in clear");
        let mut report = Report::default();
        report.add(findings);
        assert!(!report.render(false).contains("same"));
        assert!(!report.to_json().to_string().contains("same"));
        assert!(report.render(false).contains("p.yaml:1:11"));
    }

    #[test]
    fn files_without_findings_do_not_show() {
        let mut report = Report::default();
        report.add(Findings::new("fine.yaml".into(), String::new()));
        assert!(report.is_empty() && !report.has_errors());
    }
}
