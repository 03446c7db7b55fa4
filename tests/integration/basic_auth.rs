//! Passwords (RFC 7617) against a password file.

use crate::harness::gateway::LISTENER;
use crate::harness::{Frame, Gateway, Handshake, Upstream, peer, program, session_by, within};
use base64::prelude::{BASE64_STANDARD, Engine};
use tempfile::TempDir;

/// SHA-512-crypt's own test vector: `Hello world!`.
const SHA512: &str = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

fn bcrypt(password: &str) -> String {
    // The lowest cost there is.
    bcrypt::hash(password, 4).unwrap()
}

fn with_credential(credential: &[u8]) -> Handshake {
    let token = BASE64_STANDARD.encode(credential);
    Handshake::new("/").with("Authorization", &format!("Basic {token}"))
}

/// A gateway whose only route wants a password of `htpasswd`.
fn gateway(url: &str, htpasswd: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("users"), htpasswd).unwrap();
    Gateway::start_in(
        folder,
        &format!(
            "{LISTENER}
            [auth.devices]
            kind = \"basic\"
            htpasswd = \"users\"
            realm = \"the devices\"
            [[routes]]
            upstream = \"{url}\"
            auth = [\"devices\"]
            identity_header = \"X-Auth-Identity\"
            limits.auth_failure_rate = \"off\""
        ),
    )
}

#[tokio::test]
async fn the_right_password_enters_and_is_not_passed_on() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(
        &upstream.url(),
        &format!("alice:{}\n", bcrypt("wonder:land")),
    );
    let ask = with_credential(b"alice:wonder:land").with("X-Auth-Identity", "devices:root");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("Authorization"), None);
    assert_eq!(server.asked("X-Auth-Identity"), Some("devices:alice"));
    assert_eq!(
        server.request.to_lowercase().matches("-identity").count(),
        1,
        "{}",
        server.request
    );
}

#[tokio::test]
async fn without_the_right_password_there_is_a_challenge_and_no_upstream() {
    let upstream = Upstream::bind().await;
    let users = format!("# people\n\nalice:{}\n", bcrypt("secret"));
    let gateway = gateway(&upstream.url(), &users);
    let ask = Handshake::new("/");
    for (what, handshake) in [
        ("none", ask.clone()),
        ("a wrong password", with_credential(b"alice:Secret")),
        ("no password", with_credential(b"alice:")),
        ("no colon", with_credential(b"alice")),
        ("nobody", with_credential(b":secret")),
        ("an unknown name", with_credential(b"bob:secret")),
        ("the file's comment", with_credential(b"# people:secret")),
        ("more behind", with_credential(b"alice:secret\0")),
        ("control characters", with_credential(b"alice\n:secret")),
        ("not base64", ask.clone().with("Authorization", "Basic %%%")),
        ("not UTF-8", with_credential(b"alice:\xff\xfe")),
        ("a bare scheme", ask.clone().with("Authorization", "Basic")),
        (
            "another scheme",
            ask.clone().with("Authorization", "Bearer alice:secret"),
        ),
    ] {
        let (_, answer) = gateway.ask(&handshake).await;
        assert!([400, 401].contains(&answer.status), "{what}: {answer:?}");
        if answer.status == 401 {
            let challenge = answer.header("WWW-Authenticate").unwrap();
            assert!(
                challenge.starts_with("Basic realm=\"the devices\""),
                "{what}: {challenge}"
            );
        }
        assert!(
            !answer.body.contains("secret") && !answer.body.contains("alice"),
            "{answer:?}"
        );
    }
    assert_eq!(gateway.status(&ask).await, 401);
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn two_credentials_are_no_handshake_whichever_is_right() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), &format!("alice:{}\n", bcrypt("secret")));
    let (right, wrong) = ("Basic YWxpY2U6c2VjcmV0", "Basic eDp5");
    for (first, second) in [(right, wrong), (wrong, right), (right, "Bearer x")] {
        let ask = Handshake::new("/")
            .with("Authorization", first)
            .with("authorization", second);
        assert_eq!(gateway.status(&ask).await, 400, "{first}, {second}");
        assert_eq!(gateway.status(&ask.method("POST")).await, 400);
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_browser_that_comes_without_and_repeats_with_a_password_enters() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), &format!("alice:{}\n", bcrypt("secret")));
    let (mut first, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!(answer.status, 401);
    first.finish().await;
    first.ended().await;
    assert_eq!(gateway.status(&with_credential(b"alice:secret")).await, 101);
    assert_eq!(
        gateway.status(&with_credential(b"alice:secret")).await,
        101,
        "from the cache"
    );
    assert_eq!(
        gateway.status(&with_credential(b"alice:secre")).await,
        401,
        "beside the cache"
    );
}

#[tokio::test]
async fn the_scheme_is_compared_without_case() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), &format!("alice:{}\n", bcrypt("secret")));
    let token = BASE64_STANDARD.encode("alice:secret");
    for scheme in ["basic", "BASIC", "Basic"] {
        let ask = Handshake::new("/").with("Authorization", &format!("{scheme} {token}"));
        assert_eq!(gateway.status(&ask).await, 101, "{scheme}");
    }
}

#[tokio::test]
async fn every_kind_of_line_is_understood() {
    let folder = TempDir::new().unwrap();
    let made = program::finish(
        &["hash-password", "carol"],
        folder.path(),
        "argon password\n",
    )
    .await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let echo = peer::echo().await;
    let old_bcrypt = bcrypt("secret").replacen("$2b$", "$2y$", 1);
    let users = format!("alice:{old_bcrypt}\nbob:{SHA512}\n{}", made.out);
    let gateway = gateway(&echo.url(), &users);
    for credential in ["alice:secret", "bob:Hello world!", "carol:argon password"] {
        assert_eq!(
            gateway
                .status(&with_credential(credential.as_bytes()))
                .await,
            101,
            "{credential}"
        );
    }
    assert_eq!(
        gateway.status(&with_credential(b"bob:Hello world")).await,
        401
    );
    assert_eq!(
        gateway
            .status(&with_credential(b"carol:Argon password"))
            .await,
        401
    );
}

#[tokio::test]
async fn an_endless_credential_is_cut_by_the_heads_limit() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), &format!("alice:{}\n", bcrypt("secret")));
    let (_, answer) = gateway.ask(&with_credential(&vec![b'a'; 1 << 20])).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn a_changed_file_is_followed() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), &format!("alice:{}\n", bcrypt("old")));
    let (old, new) = (with_credential(b"alice:old"), with_credential(b"alice:new"));
    assert_eq!(gateway.status(&old).await, 101);

    let users = gateway.folder().join("users");
    std::fs::write(&users, format!("alice:{}\n", bcrypt("new"))).unwrap();
    within("the new password", async {
        while gateway.status(&new).await != 101 {}
    })
    .await;
    assert_eq!(
        gateway.status(&old).await,
        401,
        "a verified password is forgotten with its file"
    );

    // A file that cannot be read changes nothing.
    std::fs::remove_file(&users).unwrap();
    assert_eq!(gateway.status(&new).await, 101);
}

#[tokio::test]
async fn who_leaves_the_file_leaves_the_gateway() {
    let upstream = Upstream::bind().await;
    let line = |name: &str| format!("{name}:{}\n", bcrypt("secret"));
    let (alice, bob) = (line("alice"), line("bob"));
    let gateway = gateway(&upstream.url(), &format!("{alice}{bob}"));
    let by = |name: &str| with_credential(format!("{name}:secret").as_bytes());
    let (mut gone, mut gone_server, _) = session_by(&gateway, &upstream, &by("alice")).await;
    let (mut stays, mut server, _) = session_by(&gateway, &upstream, &by("bob")).await;

    std::fs::write(gateway.folder().join("users"), bob).unwrap();
    assert_eq!(gone.close(3000).await, "the credential was revoked");
    gone_server.close(1001).await;
    stays.send_frame(&Frame::text("here").masked()).await;
    assert_eq!(server.frame().await.payload, b"here");
}

#[tokio::test]
async fn a_storm_of_wrong_passwords_stops_nobody() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), &format!("alice:{}\n", bcrypt("secret")));
    let mut session = gateway.status(&with_credential(b"alice:secret")).await;
    assert_eq!(session, 101);
    let mut storm = Vec::new();
    for number in 0..50 {
        let mut client = gateway.connect().await;
        let ask = with_credential(format!("alice:wrong {number}").as_bytes());
        client.send(ask.bytes(gateway.address())).await;
        storm.push(client);
    }
    session = gateway.status(&with_credential(b"alice:secret")).await;
    assert_eq!(session, 101);
    for mut client in storm {
        let status = client.answer().await.status;
        assert!([401, 503].contains(&status), "{status}");
    }
}

#[tokio::test]
async fn nobody_can_name_away_who_he_is() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), &format!("alice:{}\n", bcrypt("wonder")));
    let named = "Upgrade, Authorization, X-Auth-Identity, X_Auth_Identity";
    let ask = with_credential(b"alice:wonder").set("Connection", named);
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("X-Auth-Identity"), Some("devices:alice"));
    assert_eq!(server.asked("Authorization"), None);
    let ask = Handshake::new("/").set("Connection", named);
    assert_eq!(gateway.status(&ask).await, 401);
}
