//! `kind = "forward_auth"`: a service decides, and a session lasts no longer than its word.

use crate::harness::gateway::LISTENER;
use crate::harness::{Frame, Gateway, Handshake, Upstream, robots, session_by, within};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANN: &str = "HTTP/1.1 202 Accepted\r\nX-Auth-Request-User: ann\r\n\
    X-Auth-Request-Groups: a\r\nX-Auth-Request-Groups: b\r\nContent-Length: 0\r\n\r\n";
const NOBODY: &str =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 10\r\n\r\nlog in, do";

/// A service as oauth2-proxy is: it knows a cookie.
#[derive(Clone)]
struct Portal {
    address: String,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
    /// What it says of whom it knows.
    known: Arc<Mutex<String>>,
}

impl Portal {
    async fn open(known: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let portal = Self {
            address: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            last: Arc::default(),
            known: Arc::new(Mutex::new(known.to_owned())),
        };
        let serving = portal.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        portal
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let request = String::from_utf8(std::mem::take(&mut head)).unwrap();
            let answer = match request.contains("\r\ncookie: _oauth2_proxy=ann\r\n") {
                true => self.known.lock().unwrap().clone(),
                false => NOBODY.to_owned(),
            };
            *self.last.lock().unwrap() = request;
            self.asked.fetch_add(1, Ordering::Relaxed);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    /// From now on it says this of whom it knew.
    fn changes_its_mind(&self, known: &str) {
        *self.known.lock().unwrap() = known.to_owned();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn was_told(&self, line: &str) -> bool {
        let last = self.last.lock().unwrap();
        last.contains(&format!("\r\n{line}\r\n"))
    }

    fn gateway(&self, upstream: &Upstream, method: &str, route: &str) -> Gateway {
        Gateway::start(&format!(
            "{LISTENER}
            [auth.portal]
            kind = \"forward_auth\"
            url = \"http://{}/oauth2/auth\"
            copy_headers = [\"X-Auth-Request-User\", \"X-Auth-Request-Groups\"]
            identity_header = \"X-Auth-Request-User\"
            {method}
            {}
            [[routes]]
            upstream = \"{}\"
            identity_header = \"X-Who\"
            {route}",
            self.address,
            robots(&["ci"]),
            upstream.url()
        ))
    }
}

fn ann(path: &str) -> Handshake {
    Handshake::new(path).with("Cookie", "_oauth2_proxy=ann")
}

const PORTAL: &str = "auth = [\"portal\"]";

#[tokio::test]
async fn a_service_admits_and_the_upstream_is_told_what_it_says() {
    let upstream = Upstream::bind().await;
    let portal = Portal::open(ANN).await;
    let gateway = portal.gateway(&upstream, "", PORTAL);
    let ask = ann("/room?a=b")
        .with("X-Auth-Request-User", "root")
        .with("X_Auth_Request_User", "root")
        .with("X-Forwarded-Uri", "/public")
        .with("X-Original-URL", "https://elsewhere.example/");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("X-Who"), Some("portal:ann"));
    let told = server.request.to_ascii_lowercase();
    assert!(!told.contains("root"), "{told}");
    assert_eq!(told.matches("x-auth-request-user: ann\r\n").count(), 1);
    assert_eq!(told.matches("x-auth-request-groups: ").count(), 2);
    assert_eq!(server.asked("Cookie"), Some("_oauth2_proxy=ann"));

    assert!(portal.was_told("x-forwarded-uri: /room?a=b"));
    assert!(portal.was_told("x-original-uri: /room?a=b"));
    assert!(portal.was_told("x-forwarded-method: GET"));
    assert!(portal.was_told("x-forwarded-for: 127.0.0.1"));
    assert!(!portal.was_told("sec-websocket-version: 13"));
    assert!(!portal.was_told("upgrade: websocket"));
}

#[tokio::test]
async fn a_service_refuses_in_its_own_words() {
    let upstream = Upstream::bind().await;
    let portal = Portal::open(
        "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/?rd=x\r\nSet-Cookie: csrf=1\r\n\
        X-Secret: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbye\r\n0\r\n\r\n",
    )
    .await;
    let gateway = portal.gateway(&upstream, "", PORTAL);
    let (mut client, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(answer.body, "log in, do");
    client.ended().await;
    let (_, answer) = gateway.ask(&ann("/")).await;
    assert_eq!(answer.status, 302);
    let location = answer.header("Location");
    assert_eq!(location, Some("https://login.example.com/?rd=x"));
    assert_eq!(answer.header("Set-Cookie"), Some("csrf=1"));
    assert_eq!(answer.header("X-Secret"), None);
    assert_eq!(answer.body, "bye");
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_service_that_fails_or_is_gone_admits_nobody() {
    let upstream = Upstream::bind().await;
    for known in [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Auth-Request-User: ann\r\nContent-Length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Auth-Request-User: ann\r\nContent-Length: 5\r\n\r\n",
        "",
    ] {
        let portal = Portal::open(known).await;
        let gateway = portal.gateway(&upstream, "timeout = \"200ms\"", PORTAL);
        let (_, answer) = gateway.ask(&ann("/")).await;
        assert_eq!(answer.status, 503, "{known}");
        assert!(answer.header("Retry-After").is_some(), "{known}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut portal = Portal::open(ANN).await;
    portal.address = gone.local_addr().unwrap().to_string();
    drop(gone);
    let gateway = portal.gateway(&upstream, "", PORTAL);
    assert_eq!(gateway.status(&ann("/")).await, 503);
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_service_is_asked_only_where_no_other_method_admits() {
    let upstream = Upstream::bind().await;
    let portal = Portal::open(ANN).await;
    let any = portal.gateway(&upstream, "", "auth = [\"portal\", \"robots\"]");
    let key = Handshake::new("/").with("X-API-Key", "ci");
    let (_client, server, _) = session_by(&any, &upstream, &key).await;
    assert_eq!(server.asked("X-Who"), Some("robots:ci"));
    assert_eq!(portal.asked(), 0);
    let (_client, server, _) = session_by(&any, &upstream, &ann("/")).await;
    assert_eq!(server.asked("X-Who"), Some("portal:ann"));
    assert_eq!(portal.asked(), 1);

    let each = portal.gateway(&upstream, "", "auth_all = [\"portal\", \"robots\"]");
    assert_eq!(each.status(&ann("/")).await, 401);
    assert_eq!(portal.asked(), 1);
    assert_eq!(each.status(&key).await, 401);
    let both = ann("/").with("X-API-Key", "ci");
    let (_client, server, _) = session_by(&each, &upstream, &both).await;
    assert_eq!(server.asked("X-Auth-Request-User"), Some("ann"));
}

#[tokio::test]
async fn a_session_ends_with_the_age_of_the_answer() {
    let upstream = Upstream::bind().await;
    let aged = ANN.replace(
        "Content-Length",
        "Cache-Control: max-age=1\r\nContent-Length",
    );
    let portal = Portal::open(&aged).await;
    let gateway = portal.gateway(&upstream, "expire_code = 4001", PORTAL);
    let (mut client, mut server, _) = session_by(&gateway, &upstream, &ann("/")).await;
    let reason = within("the end", client.close(4001)).await;
    assert_eq!(reason, "the credential has expired");
    server.close(1001).await;
}

#[tokio::test]
async fn a_session_ends_when_the_service_changes_its_mind() {
    let upstream = Upstream::bind().await;
    let portal = Portal::open(ANN).await;
    let gateway = portal.gateway(&upstream, "recheck = \"1s\"", PORTAL);
    let (mut client, mut server, _) = session_by(&gateway, &upstream, &ann("/")).await;
    within("a second question", async {
        while portal.asked() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.send_frame(&Frame::text("still here").masked()).await;
    assert_eq!(server.frame().await.payload, b"still here");
    portal.changes_its_mind(NOBODY);
    let reason = within("the end", client.close(3000)).await;
    assert_eq!(reason, "the session is no longer admitted");
    server.close(1001).await;
}

#[tokio::test]
async fn equal_handshakes_are_asked_about_once_while_an_answer_is_kept() {
    let upstream = Upstream::bind().await;
    let portal = Portal::open(ANN).await;
    let gateway = portal.gateway(&upstream, "cache = \"1m\"", PORTAL);
    for _ in 0..5 {
        session_by(&gateway, &upstream, &ann("/")).await;
        assert_eq!(gateway.status(&Handshake::new("/")).await, 401);
    }
    assert_eq!(portal.asked(), 2);
    session_by(&gateway, &upstream, &ann("/other")).await;
    assert_eq!(portal.asked(), 3);
}

#[tokio::test]
async fn an_ordinary_request_is_told_as_what_it_is() {
    let upstream = Upstream::bind().await;
    let portal = Portal::open(ANN).await;
    let keys = format!("{PORTAL}\nhttp_requests = \"proxy\"");
    let gateway = portal.gateway(&upstream, "", &keys);
    let ask = Handshake::plain("/poll")
        .method("POST")
        .with("Cookie", "_oauth2_proxy=ann")
        .with("Content-Length", "2")
        .followed_by(b"hi");
    let serve = async {
        let mut server = upstream.accept().await;
        server
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
        server
    };
    let ((_client, answer), server) = tokio::join!(gateway.ask(&ask), serve);
    assert_eq!(answer.status, 200);
    assert_eq!(server.asked("X-Auth-Request-User"), Some("ann"));
    assert!(portal.was_told("x-forwarded-method: POST"));
    assert!(portal.was_told("x-original-method: POST"));
    assert!(!portal.was_told("content-length: 2"));
}
