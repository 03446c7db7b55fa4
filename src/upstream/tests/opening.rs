//! Good answers and broken ones.

use super::peer::{Behaviour, Peer};
use super::*;
use crate::net::Stream;
use crate::upstream::OpenError;
use http::HeaderValue;
use tokio::io::AsyncReadExt;

async fn opened(behaviour: Behaviour) -> Opened {
    let peer = Peer::that(behaviour).await;
    pool_of(&[peer.address]).open(&ask()).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_that_agrees_is_a_leg() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let pool = pool_of(&[peer.address]);
    let opened = pool.open(&ask()).await.unwrap();
    assert_eq!(opened.lease.name(), peer.address.to_string());
    assert_eq!(opened.attempts, 1);
    assert!(opened.early.is_empty());
    let names: Vec<&str> = opened.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-served-by"]);
    let Stream::Plain(socket) = &opened.stream else {
        panic!("a ws:// endpoint is plain TCP");
    };
    assert!(socket.has_no_delay().unwrap());
}

#[tokio::test]
async fn the_endpoint_is_asked_as_the_client_asked() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let mut ask = ask();
    let origin = HeaderValue::from_static("https://app.test");
    ask.headers.insert("origin", origin);
    ask.subprotocols = vec!["v2".to_owned(), "v1".to_owned()];
    pool_of(&[peer.address]).open(&ask).await.unwrap();
    let asked = peer.asked().remove(0);
    for line in [
        "GET /room?id=1 HTTP/1.1\r\n",
        "\r\nHost: chat.test:8443\r\n",
        "\r\nSec-WebSocket-Protocol: v2, v1\r\n",
        "\r\norigin: https://app.test\r\n",
    ] {
        assert!(asked.contains(line), "{line:?} is not in {asked:?}");
    }
}

#[tokio::test]
async fn each_attempt_has_a_key_of_its_own() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let pool = pool_of(&[peer.address]);
    for _ in 0..2 {
        pool.open(&ask()).await.unwrap();
    }
    let asked = peer.asked();
    assert_ne!(asked[0], asked[1]);
}

#[tokio::test]
async fn the_host_is_the_one_configured() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let own = peer.address.to_string();
    let cases = [
        (HostHeader::Client, "chat.test:8443"),
        (HostHeader::Endpoint, &own),
        (HostHeader::Fixed("inside.test".to_owned()), "inside.test"),
    ];
    for (host_header, _) in &cases {
        let mut settings = settings(vec![ws(peer.address)]);
        settings.host_header = host_header.clone();
        pool(settings).open(&ask()).await.unwrap();
    }
    for (asked, (_, host)) in peer.asked().iter().zip(cases) {
        let line = format!("\r\nHost: {host}\r\n");
        assert!(asked.contains(&line), "{line:?} is not in {asked:?}");
    }
}

#[tokio::test]
async fn what_comes_behind_the_answer_is_kept() {
    let opened = opened(Behaviour::AgreesAndSpeaksAtOnce).await;
    let mut early = opened.early.to_vec();
    let mut stream = opened.stream;
    while early.len() < 4 {
        early.push(stream.read_u8().await.unwrap());
    }
    assert_eq!(early, b"\x01\x02hi");
}

#[tokio::test]
async fn an_answer_in_pieces_or_behind_interim_ones_counts() {
    opened(Behaviour::AgreesByteByByte).await;
    opened(Behaviour::AgreesAfterInterim).await;
}

#[tokio::test]
async fn a_unix_socket_is_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let pool = pool(settings(vec![EndpointAddress::Unix(path.clone())]));
    let ask = ask();
    let (opened, ()) = tokio::join!(pool.open(&ask), async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let request = peer::read_head(&mut socket).await;
        peer::behave(&mut socket, Behaviour::Says(""), &request).await;
    });
    let error = opened.unwrap_err();
    assert_eq!(error.label(), "lost");
    assert_eq!(error.endpoint(), Some(&*format!("unix:{}", path.display())));
}

impl peer::Resets for tokio::net::UnixStream {
    fn reset(&self) {}
}

#[tokio::test(start_paused = true)]
async fn every_fault_has_its_name() {
    use Behaviour::*;
    let cases = [
        (AcceptsAndStaysSilent, "upgrade_timeout"),
        (AnswersSlowly, "upgrade_timeout"),
        (ClosesBeforeAnswer, "lost"),
        (WrongAccept, "broken_answer"),
        (UpgradesToH2c, "broken_answer"),
        (ChoosesUnofferedProtocol, "broken_answer"),
        (ChoosesUnofferedExtension, "broken_answer"),
        (FloodsInterimResponses, "broken_answer"),
        (ClosesAfterInterim, "broken_answer"),
        (HugeHead, "broken_answer"),
        (SpeaksAnotherProtocol, "broken_answer"),
        (Says("HTTP/1.1 101 ?\r\n\r\n"), "broken_answer"),
        (Says("HTTP/1.1 999999 x\r\n\r\n"), "broken_answer"),
        (Says("HTTP/2 200\r\n\r\n"), "broken_answer"),
        (Says("HTTP/1.1 200 OK\r\n\r\n"), "refused"),
    ];
    for (behaviour, label) in cases {
        let error = peer::answer(behaviour).await.unwrap_err();
        assert_eq!(error.label(), label, "{behaviour:?}: {error:?}");
        assert_eq!(error.endpoint(), Some("one"), "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_anywhere_inside_its_head_is_no_leg() {
    // As long for every key.
    let whole = peer::good_answer("").len();
    assert_eq!(label_of_cut(0).await, "lost");
    for length in 1..whole {
        assert_eq!(label_of_cut(length).await, "broken_answer", "{length}");
    }
}

async fn label_of_cut(length: usize) -> &'static str {
    let answer = peer::answer(Behaviour::CutsItsHeadAt(length)).await;
    answer.unwrap_err().label()
}

#[tokio::test]
async fn a_reset_without_an_answer_is_a_loss() {
    let peer = Peer::that(Behaviour::ResetsBeforeAnswer).await;
    let error = pool_of(&[peer.address]).open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "lost");
    assert_eq!(error.endpoint(), Some(&*peer.address.to_string()));
}

#[tokio::test]
async fn a_reset_after_the_answer_is_the_session_s_matter() {
    let mut opened = opened(Behaviour::ResetsAfter101).await;
    let read = opened.stream.read_u8().await;
    assert!(read.is_err());
}

#[tokio::test]
async fn everything_together_has_open_timeout() {
    let peer = Peer::that(Behaviour::AcceptsAndStaysSilent).await;
    let mut settings = settings(vec![ws(peer.address)]);
    settings.open_timeout = Duration::from_secs(4);
    settings.upgrade_timeout = Duration::from_secs(3600);
    let error = pool(settings).open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "upgrade_timeout");
}

#[tokio::test]
async fn a_place_is_held_from_the_choice_to_the_end() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let pool = pool_of(&[peer.address]);
    let first = pool.open(&ask()).await.unwrap();
    let second = pool.open(&ask()).await.unwrap();
    assert_eq!(sessions(&first), 2);
    drop(second);
    assert_eq!(sessions(&first), 1);
}

#[tokio::test]
async fn an_open_that_is_given_up_gives_its_place_back() {
    let silent = Peer::that(Behaviour::SaysAndStays("")).await;
    let pool = pool_of(&[silent.address]);
    let ask = ask();
    tokio::select! {
        opened = pool.open(&ask) => panic!("{opened:?} without an answer"),
        () = async {
            silent.is_asked().await;
            assert_eq!(pool.sessions(), 1);
        } => {}
    }
    assert_eq!(pool.sessions(), 0);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_sent() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let mut ask = ask();
    ask.path_and_query = "/ HTTP/1.1\r\nX: y".to_owned();
    let error = pool_of(&[peer.address]).open(&ask).await.unwrap_err();
    assert!(matches!(error, OpenError::BadAsk { part: "target" }));
    assert!(peer.asked().is_empty());
}
