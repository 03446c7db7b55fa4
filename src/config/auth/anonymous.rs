//! `kind = "anonymous"`

use crate::config::kind::{Kind, parsed};
use crate::config::problem::Problem;
use crate::config::section::section;

section! {
    /// Guests: whoever shows no credential at all is admitted under one name for all. A credential
    /// that is not good makes nobody a guest; it is refused as if there were no guests.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Anonymous at "`[auth.NAME]` of kind `anonymous`" {
        /// The name under which guests are known to the upstream and to the logs, behind `NAME:`.
        pub identity: String = identity(), or("anonymous");
    }
    example r#"[auth.guests]
kind = "anonymous"
identity = "guest"
"#
}

fn identity() -> impl Kind<Out = String> {
    parsed("a name", "^[^\\p{Cc}]+$", |text| {
        let is_clean = !text.is_empty() && !text.contains(char::is_control);
        match is_clean {
            true => Ok(text.to_owned()),
            false => Err(Problem::new("this is no name")),
        }
    })
}
