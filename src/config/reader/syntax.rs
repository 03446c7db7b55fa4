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
    if !errors.is_empty() {
        hide_secrets(file, log);
    }
    let broken = errors.into_iter().map(|error| Broken {
        problem: Problem::new(format!("not TOML: {}", error.message)).at(&place(error.shown)),
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
            place.file.line_of(span.start)..=place.file.line_of(span.end.saturating_sub(1))
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
/// behind it: that is one error, at the bracket.
fn relevant(file: &File, root: &Spanned<DeValue<'_>>, errors: Vec<Error>) -> Vec<SyntaxError> {
    let unclosed: Vec<Range<usize>> = errors
        .iter()
        .filter(|error| error.message().starts_with("unclosed"))
        .filter_map(|error| opened(root, error.span()?.start))
        .collect();
    let mut errors: Vec<SyntaxError> = errors
        .into_iter()
        .map(|error| syntax_error(&error, &unclosed))
        .collect();
    errors.sort_by_key(|error| error.shown.start);
    errors.dedup_by_key(|error| file.line_of(error.shown.start));
    errors
}

fn syntax_error(error: &Error, unclosed: &[Range<usize>]) -> SyntaxError {
    let span = error.span().unwrap_or(0..0);
    let is_inside = |value: &&Range<usize>| (value.start..=value.end).contains(&span.start);
    match unclosed.iter().find(is_inside) {
        Some(value) => SyntaxError {
            shown: value.start..value.start + 1,
            range: value.clone(),
            message: "this bracket is never closed".to_owned(),
        },
        None => SyntaxError {
            shown: span.clone(),
            range: span,
            message: error.message().to_owned(),
        },
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

/// Text that failed to parse may quote a secret that no section has read as such.
fn hide_secrets(file: &Arc<File>, log: &Log) {
    for (at, key) in file.text.match_indices("secret") {
        let behind = &file.text[at + key.len()..];
        let line = behind.lines().next().unwrap_or_default();
        if line.trim_start().starts_with('=') {
            let start = at + key.len() + line.find('=').map_or(0, |equals| equals + 1);
            let file = Arc::clone(file);
            let span = start..at + key.len() + line.len();
            log.hide(Place { file, span });
        }
    }
}
