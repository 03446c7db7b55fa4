//! `${NAME}`, `${NAME:-default}` and `$${` inside strings.

use crate::config::problem::Problem;

/// Where the values of variables come from.
pub(crate) type Variables = dyn Fn(&str) -> Option<String>;

/// What is wrong, and the part of the string that is.
#[derive(Debug)]
pub(super) struct Failure<'t> {
    pub(super) part: &'t str,
    pub(super) problem: Box<Problem>,
}

/// `text` with every variable replaced. As in a shell, an empty variable takes its default too.
pub(super) fn fill_in<'t>(text: &'t str, variables: &Variables) -> Result<String, Failure<'t>> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        filled.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            return Err(unclosed(&rest[at..]));
        };
        filled.push_str(&value_of(&rest[at..=at + end], variables)?);
        rest = &rest[at + end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `part` is `${…}`.
fn value_of<'t>(part: &'t str, variables: &Variables) -> Result<String, Failure<'t>> {
    let inner = &part[2..part.len() - 1];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_name(name) {
        return Err(no_name(part, name));
    }
    match (variables(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(unset(part, name)),
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next();
    first.is_some_and(|char| char.is_ascii_alphabetic() || char == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn unclosed(part: &str) -> Failure<'_> {
    let problem = Problem::new("`${` is not closed")
        .help("write `${NAME}`, or `$${` where the characters themselves are meant");
    let problem = Box::new(problem);
    Failure { part, problem }
}

fn no_name<'t>(part: &'t str, name: &str) -> Failure<'t> {
    let problem = Problem::new(format!("`{name}` is not a name of a variable")).help(
        "names are letters, digits and `_`; write `$${` where the characters themselves are meant",
    );
    let problem = Box::new(problem);
    Failure { part, problem }
}

fn unset<'t>(part: &'t str, name: &str) -> Failure<'t> {
    let problem = Problem::new(format!("the environment variable `{name}` is not set"))
        .help(format!("set it, or give a default: `${{{name}:-default}}`"));
    let problem = Box::new(problem);
    Failure { part, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in() {
        let check = |text, expected| {
            assert_eq!(fill_in(text, &variable).unwrap(), expected, "{text}");
        };
        check("plain $HOST {x} $", "plain $HOST {x} $");
        check("${HOST}", "example.com");
        check("a.${HOST}:${PORT:-80}/", "a.example.com:80/");
        check("${NONE:-}", "");
        check("${EMPTY}", "");
        check("${EMPTY:-b}", "b");
        check("${NONE:-a:-b}", "a:-b");
        check("$${HOST}", "${HOST}");
        check("a$${b}${HOST}$${", "a${b}example.com${");
    }

    #[test]
    fn a_failure_names_its_part() {
        let check = |text, part, title| {
            let failure = fill_in(text, &variable).unwrap_err();
            assert_eq!(
                (failure.part, failure.problem.title.as_str()),
                (part, title)
            );
        };
        check(
            "a${NONE}b",
            "${NONE}",
            "the environment variable `NONE` is not set",
        );
        check("a${HOST", "${HOST", "`${` is not closed");
        check("${}", "${}", "`` is not a name of a variable");
        check("${1A}", "${1A}", "`1A` is not a name of a variable");
        check(
            "${A B:-c}",
            "${A B:-c}",
            "`A B` is not a name of a variable",
        );
    }
}
