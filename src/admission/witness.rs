//! Who looks on while a handshake is judged: `wsgate explain`, which tells of every check.

/// Is told of each check in its order. Who serves has nobody look on, which costs nothing.
pub trait Witness: Send {
    /// The handshake has passed `check`; `how` says by what.
    fn passed(&mut self, check: &str, how: impl FnOnce() -> String);

    /// One of several ways to pass does not lead in; `why` not.
    fn objected(&mut self, check: &str, why: impl FnOnce() -> String);
}

/// Nobody.
impl Witness for () {
    fn passed(&mut self, _check: &str, _how: impl FnOnce() -> String) {}

    fn objected(&mut self, _check: &str, _why: impl FnOnce() -> String) {}
}
