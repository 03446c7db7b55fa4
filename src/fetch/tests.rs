//! Whole requests against services that are named after what they do wrong.

use super::*;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const HI: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

const LIMITS: Limits = Limits {
    body: 1024,
    timeout: Duration::from_secs(20),
};

/// So short that whatever never ends is given up soon.
const SOON: Limits = Limits {
    timeout: Duration::from_millis(100),
    ..LIMITS
};

fn url(scheme: Scheme, port: u16) -> Url {
    Url {
        scheme,
        host: "127.0.0.1".to_owned(),
        port,
        path_and_query: "/".to_owned(),
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn plain(port: u16, limits: Limits) -> Fetcher {
    Fetcher::new(url(Scheme::Http, port), None, limits).unwrap()
}

/// Reads a request to its end.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).await.ok()?;
        heard.extend_from_slice(some.get(..count).filter(|some| !some.is_empty())?);
    }
    Some(String::from_utf8_lossy(&heard).into_owned())
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let (listener, port) = listen().await;
    let fetcher = plain(port, LIMITS);
    let service = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            let asked = request(&mut stream).await.unwrap();
            assert!(asked.starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:"));
            say(&mut stream, HI).await;
        }
    };
    let asks = async {
        for _ in 0..3 {
            let fetched = fetcher.get(&HeaderMap::new()).await.unwrap();
            assert_eq!((fetched.status.as_u16(), &*fetched.body), (200, &b"hi"[..]));
        }
    };
    tokio::join!(service, asks);
}

/// Takes the request on a kept connection, and closes it instead of an answer.
async fn serve_closing_kept_ones(listener: &TcpListener, accepted: &AtomicUsize) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::Relaxed);
        request(&mut stream).await;
        say(&mut stream, HI).await;
        request(&mut stream).await;
    }
}

#[tokio::test]
async fn a_connection_that_closed_while_it_waited_costs_a_second_try() {
    let (listener, port) = listen().await;
    let fetcher = plain(port, LIMITS);
    let accepted = AtomicUsize::new(0);
    let asks = async {
        for _ in 0..3 {
            assert_eq!(fetcher.get(&HeaderMap::new()).await.unwrap().body, "hi");
        }
    };
    tokio::select! {
        () = serve_closing_kept_ones(&listener, &accepted) => {}
        () = asks => {}
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_service_that_closes_at_once_is_asked_once() {
    let (listener, port) = listen().await;
    let fetcher = plain(port, LIMITS);
    let accepted = AtomicUsize::new(0);
    let service = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            accepted.fetch_add(1, Ordering::Relaxed);
            request(&mut stream).await;
        }
    };
    let headers = HeaderMap::new();
    let error = tokio::select! {
        () = service => unreachable!("it serves for ever"),
        asked = fetcher.get(&headers) => asked.unwrap_err(),
    };
    assert_eq!(error.label(), "lost");
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

/// What comes of a service that does `what` with each connection.
async fn told_by<F>(limits: Limits, what: impl Fn(TcpStream) -> F) -> &'static str
where
    F: Future<Output = ()>,
{
    let (listener, port) = listen().await;
    let fetcher = plain(port, limits);
    let service = async {
        loop {
            what(listener.accept().await.unwrap().0).await;
        }
    };
    let headers = HeaderMap::new();
    tokio::select! {
        () = service => unreachable!("it serves for ever"),
        asked = fetcher.get(&headers) => asked.map_or_else(|error| error.label(), |_| "answered"),
    }
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up() {
    let silent = async |mut stream: TcpStream| {
        request(&mut stream).await;
        request(&mut stream).await;
    };
    assert_eq!(told_by(SOON, silent).await, "timeout");
}

#[tokio::test]
async fn a_service_that_trickles_is_given_up() {
    let trickling = async |mut stream: TcpStream| {
        request(&mut stream).await;
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        )
        .await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(told_by(SOON, trickling).await, "timeout");
}

#[tokio::test]
async fn a_service_that_never_stops_is_cut() {
    let endless = async |mut stream: TcpStream| {
        request(&mut stream).await;
        say(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'.'; 4096]).await.is_ok() {}
    };
    assert_eq!(told_by(LIMITS, endless).await, "too_large");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let (listener, port) = listen().await;
    let fetcher = plain(port, LIMITS);
    let service = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        let text = "HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n";
        say(&mut stream, text).await;
    };
    let headers = HeaderMap::new();
    let (fetched, ()) = tokio::join!(fetcher.get(&headers), service);
    let fetched = fetched.unwrap();
    assert_eq!(fetched.status, StatusCode::FOUND);
    assert_eq!(fetched.headers["location"], "http://evil.test/");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let (listener, port) = listen().await;
    drop(listener);
    let error = plain(port, LIMITS).get(&HeaderMap::new()).await;
    let text = error.unwrap_err().to_string();
    assert_eq!(text, format!("no connection to 127.0.0.1:{port}"));
}

#[tokio::test]
async fn every_address_is_tried() {
    let (gone, gone_port) = listen().await;
    drop(gone);
    let (listener, port) = listen().await;
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let fetcher = Fetcher {
        place: Place::with_addresses(vec![address(gone_port), address(port)]),
        ..plain(port, LIMITS)
    };
    let service = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        say(&mut stream, HI).await;
    };
    let headers = HeaderMap::new();
    let (fetched, ()) = tokio::join!(fetcher.get(&headers), service);
    assert_eq!(fetched.unwrap().body, "hi");
}

/// A service by TLS that shows a certificate of its own for `name`, valid to the beginning of a year;
/// and that certificate.
fn acceptor(name: &str, last_year: i32) -> (TlsAcceptor, NamedTempFile) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(last_year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

/// What comes of a service that shows `shown`, to a gateway that trusts what is in `ca`.
async fn told_by_tls(shown: &TlsAcceptor, ca: &NamedTempFile) -> &'static str {
    let (listener, port) = listen().await;
    let ca = Some(ca.path().to_owned());
    let fetcher = Fetcher::new(url(Scheme::Https, port), ca, LIMITS).unwrap();
    let service = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = shown.accept(stream).await {
                while request(&mut stream).await.is_some() {
                    say(&mut stream, HI).await;
                }
            }
        }
    };
    let asks = async {
        let first = fetcher.get(&HeaderMap::new()).await;
        let first = first.map_or_else(|error| error.label(), |_| "answered");
        let second = fetcher.get(&HeaderMap::new()).await;
        let second = second.map_or_else(|error| error.label(), |_| "answered");
        assert_eq!(first, second);
        first
    };
    tokio::select! {
        () = service => unreachable!("it serves for ever"),
        told = asks => told,
    }
}

#[tokio::test]
async fn only_who_shows_a_trusted_certificate_is_asked() {
    let (good, ca) = acceptor("127.0.0.1", 4000);
    let (foreign, _) = acceptor("127.0.0.1", 4000);
    let (misnamed, misnamed_ca) = acceptor("10.0.0.1", 4000);
    let (expired, expired_ca) = acceptor("127.0.0.1", 2001);
    assert_eq!(told_by_tls(&good, &ca).await, "answered");
    assert_eq!(told_by_tls(&foreign, &ca).await, "tls_failed");
    assert_eq!(told_by_tls(&misnamed, &misnamed_ca).await, "tls_failed");
    assert_eq!(told_by_tls(&expired, &expired_ca).await, "tls_failed");
}

#[tokio::test]
async fn a_service_without_tls_is_not_asked_by_https() {
    let (_, ca) = acceptor("127.0.0.1", 4000);
    let (listener, port) = listen().await;
    let fetcher =
        Fetcher::new(url(Scheme::Https, port), Some(ca.path().to_owned()), LIMITS).unwrap();
    let service = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).await.unwrap();
        say(&mut stream, HI).await;
    };
    let headers = HeaderMap::new();
    let (fetched, ()) = tokio::join!(fetcher.get(&headers), service);
    assert_eq!(fetched.unwrap_err().label(), "tls_failed");
}

#[test]
fn roots_that_cannot_be_used_are_told_at_once() {
    let empty = NamedTempFile::new().unwrap();
    let made = Fetcher::new(url(Scheme::Https, 1), Some(empty.path().to_owned()), LIMITS);
    assert!(matches!(made, Err(TlsError::File { .. })));
}
