//! `kind = "client_cert"`

use crate::config::kind::{Kind, boolean, choice, filled, parsed};
use crate::config::problem::Problem;
use crate::config::section::section;

section! {
    /// The certificate that a client shows when it begins TLS, on listeners with `client_ca`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ClientCert at "`[auth.NAME]` of kind `client_cert`" {
        /// What of the certificate is the identity: the common name of its subject, or one of its
        /// alternative names that is a host name or a URI (SPIFFE).
        pub identity: CertificateName = choice(&[
            ("san_uri", CertificateName::SanUri),
            ("san_dns", CertificateName::SanDns),
            ("subject_cn", CertificateName::SubjectCn),
        ]), required;
        /// Who may enter, by that name; others are known and refused (403). A `*` at the end stands
        /// for the rest of a name, `*.` at the beginning for exactly one label of a host name. Left
        /// out: every certificate of the listener's `client_ca`.
        pub allow: Option<Vec<NamePattern>> = filled(pattern()), optional;
        /// Whether sessions end with the certificate, by close code 3000.
        pub expire_session: bool = boolean(), or(true);
    }
    example r#"[auth.mesh]
kind = "client_cert"
identity = "san_uri"
allow = ["spiffe://prod/chat/*"]
"#
}

/// `identity`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateName {
    /// `san_uri`
    SanUri,
    /// `san_dns`
    SanDns,
    /// `subject_cn`
    SubjectCn,
}

/// One of `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// This name.
    Exact(String),
    /// A name that goes on behind this.
    Prefix(String),
    /// A label before this, which begins with a dot.
    Label(String),
}

impl NamePattern {
    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.len() > prefix.len() && name.starts_with(prefix.as_str()),
            Self::Label(suffix) => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }
}

fn pattern() -> impl Kind<Out = NamePattern> {
    parsed("a name, perhaps with a `*`", ".", |text| {
        let (starts, ends) = (text.strip_prefix("*."), text.strip_suffix('*'));
        let pattern = match (starts, ends) {
            (Some(suffix), _) => NamePattern::Label(format!(".{suffix}")),
            (None, Some(prefix)) => NamePattern::Prefix(prefix.to_owned()),
            (None, None) => NamePattern::Exact(text.to_owned()),
        };
        let (NamePattern::Exact(rest) | NamePattern::Prefix(rest) | NamePattern::Label(rest)) =
            &pattern;
        match rest.contains('*') || rest.is_empty() || rest == "." {
            false => Ok(pattern),
            true => Err(Problem::new(format!("`{text}` is no pattern for names"))
                .help("`*` stands at the end, behind something, or before a dot at the beginning")
                .help("leave out `allow` to admit every certificate of `client_ca`")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_rest_or_for_one_label() {
        let exact = NamePattern::Exact("a.example".to_owned());
        let rest = NamePattern::Prefix("spiffe://prod/chat/".to_owned());
        let label = NamePattern::Label(".a.example".to_owned());
        for (pattern, name, expected) in [
            (&exact, "a.example", true),
            (&exact, "b.a.example", false),
            (&rest, "spiffe://prod/chat/web", true),
            (&rest, "spiffe://prod/chat/web/1", true),
            (&rest, "spiffe://prod/chat/", false),
            (&rest, "spiffe://prod/chats", false),
            (&rest, "spiffe://evil/spiffe://prod/chat/web", false),
            (&label, "b.a.example", true),
            (&label, "c.b.a.example", false),
            (&label, ".a.example", false),
            (&label, "a.example", false),
        ] {
            assert_eq!(pattern.matches(name), expected, "{pattern:?} {name}");
        }
    }
}
