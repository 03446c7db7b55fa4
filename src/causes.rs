//! Why an error came about: the walk from it to its first cause.

use std::error::Error;

/// The causes of `error`, the nearest first.
pub fn of<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The error and its causes in one line, for the log.
pub fn in_line(error: &(dyn Error + 'static)) -> String {
    of(error).fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::ParseIntError;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("`{0}` is no length")]
    struct Inner(&'static str, #[source] ParseIntError);

    #[test]
    fn every_cause_is_told_the_nearest_first() {
        let error = Outer(Inner("x", "x".parse::<u8>().unwrap_err()));
        assert_eq!(
            in_line(&error),
            "no answer: `x` is no length: invalid digit found in string"
        );
        assert_eq!(of(&error).count(), 2);
        assert_eq!(in_line(&std::fmt::Error), std::fmt::Error.to_string());
    }
}
