//! `kind = "basic"`: a password file.

use crate::config::kind::{Parsed, existing_file, parsed};
use crate::config::problem::Problem;
use crate::config::section::section;
use std::path::PathBuf;

section! {
    /// A user and a password (RFC 7617), checked against a password file. Browsers ask for them.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Basic at "`[auth.NAME]` of kind `basic`" {
        /// The password file: a line `user:hash` each, with hashes of bcrypt, argon2 or SHA-crypt
        /// (`wsgate hash-password` makes them). It is followed when it changes.
        pub htpasswd: PathBuf = existing_file("a password file"), required;
        /// What browsers show when they ask.
        pub realm: String = realm(), or("wsgate");
    }
    example r#"[auth.devices]
kind = "basic"
htpasswd = "devices.htpasswd"
realm = "devices"
"#
}

fn realm() -> Parsed<String> {
    parsed("a string", "", |text| {
        if text
            .chars()
            .all(|char| (' '..='~').contains(&char) && char != '"' && char != '\\')
        {
            return Ok(text.to_owned());
        }
        Err(Problem::new(format!("`{text}` is not a realm"))
            .help("write visible ASCII without `\"` and `\\`"))
    })
}
