//! What is wrong with a configuration: everything at once, each with its place and a way out.

use super::kind::Refers;
use super::reader::{At, Place};
use std::cell::RefCell;
use std::fmt;

/// Everything that is wrong with a configuration, in the order of its files and lines.
///
/// `Display` draws it as [`Problems::render`] does without colour.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems {
    pub(super) problems: Vec<Problem>,
    pub(super) hidden: Vec<Place>,
}

impl Problems {
    pub(super) fn one(problem: Problem) -> Self {
        let problems = vec![problem];
        let hidden = Vec::new();
        Self { problems, hidden }
    }

    /// How many there are; never 0.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// What is wrong, a line each, without places and quotes.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|problem| problem.title.as_str())
    }

    /// All of them as a compiler would draw them: place, line quoted, caret, help. `styled` adds
    /// colour for terminals. Secrets in quoted lines are blotted out.
    pub fn render(&self, styled: bool) -> String {
        super::render::render(self, styled)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Problems {}

/// One thing that is wrong. Made where it is noticed, placed by whoever knows the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, lower case, values in backticks.
    pub(crate) title: String,
    /// Where; `None` only if there is no text to point at.
    pub(crate) place: Option<Place>,
    /// Said beside the caret.
    pub(crate) label: Option<Box<str>>,
    /// Other places that matter, each with what to say there.
    pub(crate) others: Vec<(Place, String)>,
    /// What to write instead.
    pub(crate) help: Vec<String>,
    /// Whether something is missed that may only be lost in a syntax error.
    pub(crate) is_absence: bool,
}

impl Problem {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            place: None,
            label: None,
            others: Vec::new(),
            help: Vec::new(),
            is_absence: false,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<Box<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    pub(crate) fn see(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.others.push((place.clone(), text.into()));
        self
    }

    /// Marks what may be a mere consequence of a syntax error elsewhere.
    pub(crate) fn absence(mut self) -> Self {
        self.is_absence = true;
        self
    }

    /// Offers the nearest of `known`, and all of them.
    pub(crate) fn suggest(mut self, written: &str, known: &[&str], all: &str) -> Self {
        if let Some(near) = nearest(written, known) {
            self = self.help(format!("did you mean `{near}`?"));
        }
        if known.is_empty() {
            return self;
        }
        let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        self.help(format!("{all}: {}", list.join(", ")))
    }
}

/// `name` stands for nothing; `known` are the names that would.
fn unresolved(to: Refers, name: &At<String>, known: &[&str]) -> Problem {
    let problem = Problem::new(format!("no {} is named `{}`", to.noun(), name.value))
        .at(&name.place)
        .absence();
    let problem = match nearest(&name.value, known) {
        Some(_) => problem,
        None => problem.help(to.definition(&name.value)),
    };
    problem.suggest(&name.value, known, "known names")
}

/// The name that `written` was probably meant to be.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = written.to_lowercase();
    let tolerated = 1 + written.chars().count() / 4;
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&written, name), *name))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Where problems are collected while reading.
#[derive(Debug, Default)]
pub(crate) struct Log {
    problems: RefCell<Vec<Problem>>,
    hidden: RefCell<Vec<Place>>,
    references: RefCell<Vec<(Refers, At<String>)>>,
}

impl Log {
    pub(crate) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Keeps what stands at `place` out of every quoted line.
    pub(crate) fn hide(&self, place: Place) {
        self.hidden.borrow_mut().push(place);
    }

    /// Notes a name that must be resolved once everything is read.
    pub(crate) fn refer(&self, to: Refers, name: At<String>) {
        self.references.borrow_mut().push((to, name));
    }

    /// Reports the names that stand for nothing; `known` are those that stand for something.
    pub(crate) fn resolve<'k>(&self, to: Refers, known: impl IntoIterator<Item = &'k str>) {
        let known: Vec<&str> = known.into_iter().collect();
        for (what, name) in &*self.references.borrow() {
            if *what == to && !known.contains(&name.value.as_str()) {
                self.add(unresolved(to, name, &known));
            }
        }
    }

    /// The problems in reading order, without repetitions: a default that many routes share is
    /// read, and found wrong, many times.
    pub(crate) fn finish(self) -> Result<(), Problems> {
        let mut problems = self.problems.into_inner();
        let order = |problem: &Problem| problem.place.as_ref().map(Place::order);
        problems.sort_by(|one, other| {
            let by_place = order(one).cmp(&order(other));
            by_place.then_with(|| one.title.cmp(&other.title))
        });
        problems.dedup();
        if problems.is_empty() {
            return Ok(());
        }
        let hidden = self.hidden.into_inner();
        Err(Problems { problems, hidden })
    }

    /// Takes back what a syntax error explains.
    pub(crate) fn retain(&self, keep: impl Fn(&Problem) -> bool) {
        self.problems.borrow_mut().retain(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["upstream", "origins", "path", "host"];
        let check = |written, expected| assert_eq!(nearest(written, &known), expected, "{written}");
        check("upstrem", Some("upstream"));
        check("Upstream", Some("upstream"));
        check("orgins", Some("origins"));
        check("hots", Some("host"));
        check("prot", None);
        check("limits", None);
        check("", None);
    }
}
