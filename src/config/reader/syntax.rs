//! From text to a spanned tree, with all syntax errors, and without what merely follows from them.

use super::{File, Place};
use crate::config::problem::{Log, Problem};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// A syntax error, and how far it makes the text unreliable.
pub(crate) struct Broken {
    problem: Problem,
    range: Place,
}

/// The tree of `file` as far as it can be made out, and its syntax errors.
pub(crate) fn parse<'a>(file: &'a Arc<File>, log: &Log) -> (Spanned<DeValue<'a>>, Vec<Broken>) {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    let root = Spanned::new(root.span(), DeValue::Table(root.into_inner()));
    let place = |span| {
        let file = Arc::clone(file);
        Place { file, span }
    };
    let errors = relevant(file, &root, errors);
    hide_secrets(file, log);
    let broken = errors.into_iter().map(|error| Broken {
        problem: error.problem(&file.text).at(&place(error.shown.clone())),
        range: place(error.range),
    });
    (root, broken.collect())
}

/// Adds the syntax errors to `log` and takes back the problems that they explain: those on the
/// same lines, and those about something missing, which may be lost in the broken part.
pub(crate) fn report(broken: Vec<Broken>, log: &Log) {
    if broken.is_empty() {
        return;
    }
    log.retain(|problem| {
        !(problem.is_absence || broken.iter().any(|error| touches(problem, &error.range)))
    });
    for error in broken {
        log.add(error.problem);
    }
}

fn touches(problem: &Problem, broken: &Place) -> bool {
    problem.place.as_ref().is_some_and(|place| {
        let lines = |span: &Range<usize>| {
            let last = span.end.max(span.start + 1) - 1;
            place.file.line_of(span.start)..=place.file.line_of(last)
        };
        let (own, other) = (lines(&place.span), lines(&broken.span));
        place.file == broken.file && own.start() <= other.end() && other.start() <= own.end()
    })
}

struct SyntaxError {
    shown: Range<usize>,
    range: Range<usize>,
    message: String,
}

/// The first error of each line. A bracket that is never closed makes an error of every line
/// behind it, and a table that stands twice one of every key: each is one error, at its beginning.
fn relevant(file: &File, root: &Spanned<DeValue<'_>>, errors: Vec<Error>) -> Vec<SyntaxError> {
    let unclosed: Vec<Range<usize>> = errors
        .iter()
        .filter(|error| error.message().starts_with("unclosed"))
        .filter_map(|error| opened(root, error.span()?.start))
        .collect();
    let mut errors: Vec<SyntaxError> = errors
        .into_iter()
        .map(|error| SyntaxError::new(&error, &unclosed))
        .collect();
    errors.sort_by_key(|error| error.shown.start);
    errors.dedup_by(|later, first| {
        let between = &file.text[first.shown.start..later.shown.start];
        let is_same_table = !between.contains("\n[");
        let are_twice = first.message == DUPLICATE && later.message == DUPLICATE;
        !between.contains('\n') || (are_twice && is_same_table)
    });
    errors
}

const DUPLICATE: &str = "duplicate key";
const UNCLOSED: &str = "this bracket is never closed";

impl SyntaxError {
    fn new(error: &Error, unclosed: &[Range<usize>]) -> Self {
        let span = error.span().unwrap_or(0..0);
        let is_inside = |value: &&Range<usize>| (value.start..=value.end).contains(&span.start);
        match unclosed.iter().find(is_inside) {
            Some(value) => Self {
                shown: value.start..value.start + 1,
                range: value.clone(),
                message: UNCLOSED.to_owned(),
            },
            None => Self {
                shown: span.clone(),
                range: span,
                message: error.message().to_owned(),
            },
        }
    }

    /// In our words where those of the parser don't help.
    fn problem(&self, text: &str) -> Problem {
        let written = &text[self.shown.clone()];
        if self.message == DUPLICATE {
            return Problem::new(format!("`{written}` stands here a second time"));
        }
        let (message, expected) = match self.message.split_once(", expected ") {
            Some((message, expected)) => (message, Some(expected)),
            None => (self.message.as_str(), None),
        };
        let problem = Problem::new(format!("not TOML: {message}"));
        let is_bare = message.contains("must be quoted") && !written.is_empty();
        match expected {
            _ if is_bare => problem.help(format!("write `\"{written}\"`")),
            Some("nothing") if message.starts_with("invalid") => {
                problem.help("a string stands in quotes: `\"…\"`")
            }
            Some("nothing") | None => problem,
            Some(expected) => problem.label(format!("expected {expected}")),
        }
    }
}

/// The list or inline table that was still open at `end`.
fn opened(value: &Spanned<DeValue<'_>>, end: usize) -> Option<Range<usize>> {
    let within = match value.get_ref() {
        DeValue::Array(items) => items.iter().find_map(|item| opened(item, end)),
        DeValue::Table(table) => table.values().find_map(|entry| opened(entry, end)),
        _ => return None,
    };
    let is_this = value.span().end == end && value.span().start < end;
    within.or_else(|| is_this.then(|| value.span()))
}

/// What looks like a secret is hidden wherever it stands: in text that failed to parse, or in a
/// table that no section reads.
fn hide_secrets(file: &Arc<File>, log: &Log) {
    for (at, key) in file.text.match_indices("secret") {
        let behind = &file.text[at + key.len()..];
        let line = behind.lines().next().unwrap_or_default();
        let value = line.trim_start_matches([' ', '\t', '=']);
        if value.len() < line.len() && value.starts_with(['"', '\'']) {
            let start = at + key.len() + line.len() - value.len();
            let file = Arc::clone(file);
            let span = start..start + quoted_length(value);
            log.hide(Place { file, span });
        }
    }
}

/// Up to the closing quote, or all of it.
fn quoted_length(value: &str) -> usize {
    let (quote, inner) = value.split_at(1);
    inner.find(quote).map_or(value.len(), |end| end + 2)
}
