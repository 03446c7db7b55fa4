//! Whole checks against services that are named after what they do wrong.

use super::super::proof::ServiceAnswer;
use super::*;
use crate::config::{ForwardAuth, Scheme, Url};
use http::{HeaderValue, StatusCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// As oauth2-proxy is asked.
pub(super) fn settings(port: u16) -> ForwardAuth {
    ForwardAuth {
        url: Url {
            scheme: Scheme::Http,
            host: "127.0.0.1".to_owned(),
            port,
            path_and_query: "/oauth2/auth".to_owned(),
        },
        ca: None,
        copy_headers: vec![
            "x-auth-request-user".to_owned(),
            "x-auth-request-email".to_owned(),
        ],
        identity_header: Some("x-auth-request-user".to_owned()),
        timeout: Duration::from_secs(20),
        cache: None,
        recheck: None,
        expire_session: true,
        expire_code: 3000,
    }
}

const ANN: &str = "HTTP/1.1 202 Accepted\r\nX-Auth-Request-User: ann\r\n\
    X-Auth-Request-Email: ann@example.com\r\nContent-Length: 0\r\n\r\n";

/// A service: the connections it has taken, the requests it was sent.
struct Service {
    listener: TcpListener,
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Service {
    async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        }
    }

    fn method(&self, change: impl FnOnce(&mut ForwardAuth)) -> Arc<Forward> {
        let mut settings = settings(self.listener.local_addr().unwrap().port());
        change(&mut settings);
        Arc::new(Forward::new("portal", &settings).unwrap())
    }

    /// Answers every request with what `answer` makes of its head, until `asks` is over.
    async fn during<T>(
        &self,
        answer: impl Fn(usize, &str) -> String,
        asks: impl Future<Output = T>,
    ) -> T {
        let serve = async {
            loop {
                let (mut stream, _) = self.listener.accept().await.unwrap();
                self.connections.fetch_add(1, Ordering::Relaxed);
                while let Some(head) = request(&mut stream).await {
                    let number = self.requests.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.write_all(answer(number, &head).as_bytes()).await;
                }
            }
        };
        tokio::select! {
            () = serve => unreachable!("it serves for ever"),
            done = asks => done,
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// A handshake with that cookie.
async fn check(forward: &Arc<Forward>, cookie: &'static str) -> Check {
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_static(cookie));
    headers.insert("sec-websocket-key", HeaderValue::from_static("AAAA"));
    forward.check(&Ask::of(&headers, None)).await
}

fn admitted(check: Check) -> Proof {
    match check {
        Check::Admitted(proof) => *proof,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_admits_names_and_tells_and_its_connection_is_kept() {
    let service = Service::start().await;
    let forward = service.method(|_| {});
    let by_cookie = |_: usize, head: &str| {
        assert!(head.starts_with("GET /oauth2/auth HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("x-original-uri: /chat?room=1\r\n"), "{head}");
        assert!(!head.contains("sec-websocket"), "{head}");
        match head.contains("cookie: _oauth2_proxy=ann\r\n") {
            true => ANN.to_owned(),
            false => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        }
    };
    let asks = async {
        for _ in 0..3 {
            let proof = admitted(check(&forward, "_oauth2_proxy=ann").await);
            assert_eq!(proof.identity.to_string(), "portal:ann");
            assert_eq!(proof.lifetime, None);
            assert_eq!(proof.recheck, None);
            let told = proof
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes()));
            let expected: [(&str, &[u8]); 2] = [
                ("x-auth-request-user", b"ann"),
                ("x-auth-request-email", b"ann@example.com"),
            ];
            assert!(told.eq(expected));
            let refused = Check::Answered(Box::new(ServiceAnswer {
                status: StatusCode::UNAUTHORIZED,
                headers: HeaderMap::new(),
                body: "no".into(),
            }));
            assert_eq!(check(&forward, "_oauth2_proxy=bob").await, refused);
        }
    };
    service.during(by_cookie, asks).await;
    assert_eq!(service.requests(), 6);
    assert_eq!(service.connections.load(Ordering::Relaxed), 1);
}

/// What a service that says `answer`, and no more, makes of a client.
async fn fault_of(answer: String) -> String {
    let service = Service::start().await;
    let forward = service.method(|settings| settings.timeout = Duration::from_millis(300));
    let asks = check(&forward, "a=1");
    match service.during(|_, _| answer.clone(), asks).await {
        Check::Unavailable(fault) => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_that_fails_admits_nobody() {
    let gigabyte = 1024 * 1024 * 1024;
    for (answer, expected) in [
        (
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "the service answered 500",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "the service admitted without one `x-auth-request-user`",
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nX-Auth-Request-User: ann\r\nContent-Length: {gigabyte}\r\n\r\n"
            ),
            "the service was not asked: the answer is longer than 65536 bytes",
        ),
        (
            format!("HTTP/1.1 401 No\r\n\r\n{}", "x".repeat(BODY_MAX + 1)),
            "the service was not asked: the answer is longer than 65536 bytes",
        ),
        (
            ANN.replace("Content-Length: 0", "Content-Length: 5"),
            "the service was not asked: no answer within 300ms: it ended while the answer was awaited",
        ),
        (
            String::new(),
            "the service was not asked: no answer within 300ms: it ended while the answer was awaited",
        ),
        (
            "HTTP/1.1 200 OK\nX-Auth-Request-User: ann\n\n".to_owned(),
            "the service was not asked: the answer is not to be believed: a line of its head does not end with CRLF",
        ),
    ] {
        assert_eq!(fault_of(answer).await, expected);
    }
}

#[tokio::test]
async fn a_service_that_is_down_admits_nobody() {
    let service = Service::start().await;
    let forward = service.method(|_| {});
    drop(service);
    let Check::Unavailable(fault) = check(&forward, "a=1").await else {
        panic!("admitted");
    };
    let fault = fault.to_string();
    assert!(
        fault.starts_with("the service was not asked: no connection to 127.0.0.1:"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_login_page_is_led_to() {
    let service = Service::start().await;
    let forward = service.method(|_| {});
    let login = "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/\r\nSet-Cookie: csrf=1\r\nContent-Length: 0\r\n\r\n";
    let check = service
        .during(|_, _| login.to_owned(), check(&forward, "a=1"))
        .await;
    let Check::Answered(answer) = check else {
        panic!("{check:?}");
    };
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], "https://login.example.com/");
    assert_eq!(answer.headers["set-cookie"], "csrf=1");
}

#[tokio::test]
async fn an_answer_is_kept_for_the_same_client_only() {
    let service = Service::start().await;
    let forward = service.method(|settings| settings.cache = Some(Duration::from_secs(60)));
    let asks = async {
        for _ in 0..5 {
            admitted(check(&forward, "a=1").await);
        }
        assert_eq!(service.requests(), 1);
        admitted(check(&forward, "a=2").await);
        assert_eq!(service.requests(), 2);
    };
    service.during(|_, _| ANN.to_owned(), asks).await;
}

/// Who is admitted for a minute, where the settings are changed so.
async fn admitted_for_a_minute(change: impl FnOnce(&mut ForwardAuth)) -> Proof {
    let age = "Cache-Control: max-age=60\r\nContent-Length";
    let aged = ANN.replace("Content-Length", age);
    let service = Service::start().await;
    let forward = service.method(change);
    admitted(
        service
            .during(|_, _| aged.clone(), check(&forward, "a=1"))
            .await,
    )
}

#[tokio::test]
async fn its_age_ends_a_session() {
    let before = Instant::now();
    let proof = admitted_for_a_minute(|settings| settings.expire_code = 4001).await;
    let lifetime = proof.lifetime.unwrap();
    let minute = Duration::from_secs(60);
    assert!(lifetime.ends >= before + minute && lifetime.ends <= Instant::now() + minute);
    assert_eq!((lifetime.code, proof.recheck), (4001, None));

    let endless = admitted_for_a_minute(|settings| settings.expire_session = false).await;
    assert_eq!((endless.lifetime, endless.recheck), (None, None));

    let rechecked = admitted_for_a_minute(|settings| settings.recheck = Some(minute)).await;
    assert_eq!(rechecked.lifetime, None);
    assert!(rechecked.recheck.is_some());
}

/// How a session ends whose service says yes once and then `answer`.
async fn over_by(answer: &str) -> Over {
    let service = Service::start().await;
    // As short as no configuration makes it.
    let forward = service.method(|settings| settings.recheck = Some(Duration::from_millis(10)));
    let asks = async {
        let proof = admitted(check(&forward, "a=1").await);
        proof.recheck.unwrap().over().await
    };
    let answer = |number: usize, _: &str| {
        if number < 3 {
            ANN.to_owned()
        } else {
            answer.to_owned()
        }
    };
    let over = service.during(answer, asks).await;
    assert!(service.requests() >= 4);
    over
}

#[tokio::test]
async fn a_session_ends_when_the_service_says_so() {
    for (answer, why) in [
        (
            "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "the service no longer admits it: 401",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "the service no longer admits it: 302",
        ),
        (
            ANN.replace("ann", "bob"),
            "the service says that it is somebody else",
        ),
    ] {
        let over = over_by(&answer).await;
        assert_eq!(over.why.to_string(), why);
        assert_eq!(over.code, 3000);
    }
}

#[tokio::test]
async fn a_session_ends_when_the_service_is_gone_for_long() {
    let over = over_by("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(over.why.to_string(), "the service answered 500");
}

#[tokio::test]
async fn what_is_asked_again_replaces_what_was_kept() {
    let service = Service::start().await;
    let forward = service.method(|settings| {
        settings.recheck = Some(Duration::from_millis(10));
        settings.cache = Some(Duration::from_secs(60));
    });
    let asks = async {
        let proof = admitted(check(&forward, "a=1").await);
        proof.recheck.unwrap().over().await;
        assert!(matches!(check(&forward, "a=1").await, Check::Answered(_)));
    };
    let answer = |number: usize, _: &str| match number {
        0 => ANN.to_owned(),
        _ => "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    service.during(answer, asks).await;
    assert_eq!(service.requests(), 2);
}
