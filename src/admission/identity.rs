//! Who a client proved to be.
//!
//! An identity names the method as well as the user, so that `admin` of a password file is never
//! `admin` of a key list. It goes into headers, logs and limits, therefore it holds no control
//! characters.

use std::fmt;
use std::sync::Arc;

/// A proven identity; displays as `method:name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    method: Arc<str>,
    name: String,
}

impl Identity {
    /// `None` where either half holds a control character: such a name could forge log lines and
    /// header fields.
    pub fn new(method: impl Into<Arc<str>>, name: impl Into<String>) -> Option<Self> {
        let identity = Self {
            method: method.into(),
            name: name.into(),
        };
        let is_clean = !identity.method.contains(char::is_control)
            && !identity.name.contains(char::is_control);
        is_clean.then_some(identity)
    }

    /// The key of the method under `[auth]`.
    pub fn method(&self) -> &Arc<str> {
        &self.method
    }

    /// The name within the method.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.method, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_shows_its_method() {
        let identity = Identity::new("devices", "zoë").unwrap();
        assert_eq!(identity.to_string(), "devices:zoë");
        assert_eq!(&**identity.method(), "devices");
        assert_eq!(identity.name(), "zoë");
    }

    #[test]
    fn control_characters_make_no_identity() {
        for name in ["a\nb", "a\rb", "a\0", "\u{85}", "\u{7f}", "\x1b[31m"] {
            assert_eq!(Identity::new("devices", name), None, "{name:?}");
            assert_eq!(Identity::new(name, "ann"), None, "{name:?}");
        }
    }
}
