//! `kind = "basic"`: RFC 7617 against a password file that is followed while it changes.
//!
//! Everything a client can get wrong here ends in the same refusal at the same cost, so that names
//! cannot be found out by trying.

use super::htpasswd::{Htpasswd, HtpasswdError};
use super::password::{PASSWORD_BYTES_MAX, is_printable};
use super::source::Source;
use super::verifier::{Busy, Verifier};
use super::{Check, Departed, Fault, quoted};
use crate::admission::{Ask, Identity};
use crate::causes;
use crate::config;
use crate::follow::Follower;
use arc_swap::ArcSwap;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::path::PathBuf;
use std::sync::Arc;

/// Name and password in Base64, at most.
const CREDENTIAL_BYTES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 255;

/// The same for both, so that no name can be found out by trying.
const WRONG: &str = "the name or the password is wrong";
const MALFORMED: &str = "the credential is malformed or too long";

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One `[auth.*]` of this kind.
#[derive(Debug)]
pub(super) struct Basic {
    realm: String,
    path: PathBuf,
    users: ArcSwap<Htpasswd>,
    verifier: Arc<Verifier>,
}

/// What the client sent; deliberately cannot be printed.
struct Credential {
    name: String,
    password: String,
}

impl Basic {
    /// Reads the file; blocks.
    pub(super) fn load(
        settings: &config::Basic,
        verifier: Arc<Verifier>,
    ) -> Result<Self, HtpasswdError> {
        Ok(Self {
            realm: settings.realm.clone(),
            path: settings.htpasswd.clone(),
            users: ArcSwap::from_pointee(Htpasswd::load(&settings.htpasswd)?),
            verifier,
        })
    }

    /// Cancel-safe.
    pub(super) async fn check(&self, method: &str, ask: &Ask<'_>) -> Check {
        let Some(token) = Source::Basic.read(ask) else {
            return Check::Absent;
        };
        let Some(credential) = Credential::parse(&token) else {
            return Check::wrong(MALFORMED);
        };
        let entry = self.users.load().entry(&credential.name);
        let verified = self
            .verifier
            .verify(&credential.name, &credential.password, &entry.hash);
        match verified.await {
            Ok(true) if entry.is_user => match Identity::new(method, credential.name) {
                Some(identity) => Check::admitted(identity),
                None => Check::wrong(WRONG),
            },
            Ok(_) => Check::wrong(WRONG),
            Err(Busy) => Check::Unavailable(Fault::of("too many passwords wait to be verified")),
        }
    }

    pub(super) fn challenge(&self) -> String {
        format!("Basic realm={}, charset=\"UTF-8\"", quoted(&self.realm))
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        vec![Source::Basic]
    }

    /// Never ends: reads the file again when it changes. A file with a mistake changes nothing.
    /// Whose line is gone or holds another hash is `departed`.
    pub(super) async fn follow(&self, method: &str, departed: &Departed) {
        let mut follower = Follower::new(vec![self.path.clone()]);
        loop {
            self.reload(method, departed).await;
            follower.changed().await;
        }
    }

    async fn reload(&self, method: &str, departed: &Departed) {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || Htpasswd::load(&path)).await;
        match read {
            Ok(Ok(users)) => self.replace(method, users, departed),
            Ok(Err(error)) => tracing::warn!(
                method,
                error = causes::in_line(&error),
                "a password file has a mistake, the users read before stay"
            ),
            Err(_) => tracing::warn!(method, "a password file could not be read"),
        }
    }

    fn replace(&self, method: &str, users: Htpasswd, departed: &Departed) {
        let before = self.users.load_full();
        if before.is_same(&users) {
            return;
        }
        tracing::info!(
            method,
            users = users.len(),
            "a password file was read again"
        );
        let users = Arc::new(users);
        self.users.store(Arc::clone(&users));
        let gone = before.departed(&users).into_iter();
        for identity in gone.filter_map(|name| Identity::new(method, name)) {
            departed(&identity);
        }
    }
}

impl Credential {
    fn parse(token: &[u8]) -> Option<Self> {
        if token.len() > CREDENTIAL_BYTES_MAX {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        let is_bounded = name.len() <= NAME_BYTES_MAX && password.len() <= PASSWORD_BYTES_MAX;
        (is_bounded && is_printable(&text)).then(|| Self {
            name: name.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderMap;
    use std::fs;
    use std::path::Path;
    use std::sync::Mutex;

    const HASH: &str = "$2y$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6";

    fn with_file(path: &Path, text: &str) -> Basic {
        fs::write(path, text).unwrap();
        let settings = config::Basic {
            htpasswd: path.to_owned(),
            realm: "the \"lab\"".to_owned(),
        };
        Basic::load(&settings, Arc::new(Verifier::start().unwrap())).unwrap()
    }

    fn login(name_and_password: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let token = STANDARD.encode(name_and_password);
        headers.insert("authorization", format!("Basic {token}").parse().unwrap());
        headers
    }

    fn admitted(name: &str) -> Check {
        Check::admitted(Identity::new("devices", name).unwrap())
    }

    #[tokio::test]
    async fn names_and_passwords_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("ann:{HASH}\nzoë:{HASH}");
        let basic = with_file(&folder.path().join("users"), &text);
        for (credential, expected) in [
            ("ann:rasmuslerdorf", admitted("ann")),
            ("zoë:rasmuslerdorf", admitted("zoë")),
            ("ann:wrong", Check::wrong(WRONG)),
            ("ann:", Check::wrong(WRONG)),
            ("ann:rasmuslerdorf ", Check::wrong(WRONG)),
            ("Ann:rasmuslerdorf", Check::wrong(WRONG)),
            ("bob:rasmuslerdorf", Check::wrong(WRONG)),
            (":rasmuslerdorf", Check::wrong(WRONG)),
            ("ann", Check::wrong(MALFORMED)),
            ("", Check::wrong(MALFORMED)),
        ] {
            let headers = login(credential);
            let check = basic.check("devices", &Ask::of(&headers, None)).await;
            assert_eq!(check, expected, "{credential}");
        }
        assert_eq!(
            basic
                .check("devices", &Ask::of(&HeaderMap::new(), None))
                .await,
            Check::Absent
        );
    }

    #[test]
    fn credentials_are_parsed_within_bounds() {
        let encoded = |text: &[u8]| STANDARD.encode(text).into_bytes();
        for token in [
            encoded(b"name:pass:word"),
            b"bmFtZTpwYXNzOndvcmQ".to_vec(),
            encoded("zoë:".as_bytes()),
            encoded(format!("{}:{}", "n".repeat(NAME_BYTES_MAX), "p".repeat(512)).as_bytes()),
        ] {
            let credential = Credential::parse(&token).unwrap();
            assert!(!credential.name.contains(':'));
        }
        for token in [
            b"".to_vec(),
            b"%%%".to_vec(),
            b"bmFtZTp3b3Jk bmFtZTp3b3Jk".to_vec(),
            encoded(b"no colon"),
            encoded(b"name:\xff"),
            encoded(b"na\nme:word"),
            encoded(b"name:wo\0rd"),
            encoded("name:\u{85}".as_bytes()),
            encoded(format!("{}:p", "n".repeat(NAME_BYTES_MAX + 1)).as_bytes()),
            encoded(format!("n:{}", "p".repeat(PASSWORD_BYTES_MAX + 1)).as_bytes()),
            encoded(&[b'x'; 1024 * 1024]),
        ] {
            assert!(Credential::parse(&token).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_is_followed_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let basic = with_file(&path, &format!("ann:{HASH}"));
        let is_user = |name: &str| basic.users.load().entry(name).is_user;
        let gone = Arc::new(Mutex::new(Vec::new()));
        let departed: Box<Departed> = Box::new({
            let gone = Arc::clone(&gone);
            move |identity| gone.lock().unwrap().push(identity.to_string())
        });
        let mut following = Box::pin(basic.follow("devices", &departed));
        let looks = async |following: &mut _| {
            let some_looks = std::time::Duration::from_secs(10);
            tokio::time::timeout(some_looks, following)
                .await
                .unwrap_err();
        };

        looks(&mut following).await;
        fs::write(&path, format!("ann:{HASH}\nbob:{HASH}")).unwrap();
        looks(&mut following).await;
        assert!(is_user("ann") && is_user("bob"));

        fs::write(&path, "ann:plain\n").unwrap();
        looks(&mut following).await;
        assert!(is_user("ann") && is_user("bob"));

        fs::write(&path, format!("bob:{HASH}")).unwrap();
        looks(&mut following).await;
        assert!(!is_user("ann") && is_user("bob"));
        assert_eq!(*gone.lock().unwrap(), ["devices:ann"]);
    }

    #[test]
    fn the_challenge_quotes_the_realm() {
        let folder = tempfile::tempdir().unwrap();
        let basic = with_file(&folder.path().join("users"), "");
        let expected = r#"Basic realm="the \"lab\"", charset="UTF-8""#;
        assert_eq!(basic.challenge(), expected);
    }
}
