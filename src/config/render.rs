//! Draws problems as a compiler would: place, line quoted, caret, help.

use super::problem::{Problem, Problems};
use super::reader::{File, Place};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::sync::Arc;

/// See [`Problems::render`].
pub(super) fn render(problems: &Problems, styled: bool) -> String {
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for problem in &problems.problems {
        text.push_str(&renderer.render(&[group(problem, &problems.hidden)]));
        text.push_str("\n\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn group<'a>(problem: &'a Problem, hidden: &[Place]) -> Group<'a> {
    let mut group = Group::with_title(Level::ERROR.primary_title(&problem.title));
    for (file, marks) in by_file(problem) {
        let path = file.path.to_string_lossy();
        group = match marks {
            Some(marks) => group.element(
                Snippet::source(visible(file, hidden))
                    .path(path)
                    .annotations(marks),
            ),
            None => group.element(Origin::path(path)),
        };
    }
    for help in &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    group
}

/// What to point at in a file; `None` for the file as a whole.
type Marks<'a> = Option<Vec<Annotation<'a>>>;

/// The places to point at, a file at a time, the one of the problem itself first.
fn by_file(problem: &Problem) -> Vec<(&Arc<File>, Marks<'_>)> {
    let mut files: Vec<(&Arc<File>, Marks<'_>)> = Vec::new();
    if let Some(place) = &problem.place {
        if place.is_whole_file() {
            return vec![(&place.file, None)];
        }
        let mark = AnnotationKind::Primary
            .span(place.span.clone())
            .label(problem.label.as_deref());
        files.push((&place.file, Some(vec![mark])));
    }
    for (place, text) in &problem.others {
        let mark = AnnotationKind::Context.span(place.span.clone()).label(text);
        match files.iter_mut().find(|(file, _)| *file == &place.file) {
            Some((_, marks)) => marks.get_or_insert_default().push(mark),
            None => files.push((&place.file, Some(vec![mark]))),
        }
    }
    files
}

/// The text of `file` with secrets blotted out, byte for byte, so that places keep their offsets.
fn visible(file: &Arc<File>, hidden: &[Place]) -> String {
    let is_hidden = |at: usize| {
        let mut of_file = hidden.iter().filter(|place| &place.file == file);
        of_file.any(|place| place.span.contains(&at))
    };
    let blot = |(at, char): (usize, char)| match char {
        '\n' | '"' | '\'' => char.to_string(),
        _ if is_hidden(at) => "*".repeat(char.len_utf8()),
        _ => char.to_string(),
    };
    file.text.char_indices().map(blot).collect()
}
