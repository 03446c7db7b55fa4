//! What an idle session holds, counted: every allocation that the gateway's threads keep for it.
//!
//! A whole gateway runs in the process; its allocations are told from those of the test, which plays both
//! peers, by the thread that makes them. They are counted as the program's allocator rounds them up. What
//! the system keeps for a socket is not in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "the harness is one crate with its tests")]

mod count;
#[path = "../integration/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests need more of it")]
mod harness;

use count::{Count, live};
use harness::gateway::LISTENER;
use harness::{Authority, Frame, Gateway, Handshake, Leg, Upstream};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// As many sessions again are counted; powers of two, so that lists that double are full.
const SESSIONS: usize = 64;

/// One test at a time: they count the same allocations.
static TURN: Mutex<()> = Mutex::const_new(());

/// A client's leg and an upstream's.
type Pair = (Leg, Leg);

/// What each of the latter half of `2 * SESSIONS` idle sessions holds.
async fn of_a_session(gateway: &Gateway, upstream: &Upstream, tls: Option<&Authority>) -> Count {
    let mut sessions = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..2 {
        for _ in 0..SESSIONS {
            sessions.push(open(gateway, upstream, tls).await);
        }
        counts.push(live());
    }
    counts[1].since(&counts[0]).per(SESSIONS)
}

async fn connect(gateway: &Gateway, tls: Option<&Authority>) -> Leg {
    match tls {
        Some(authority) => gateway.connect_tls(authority, "a.example").await,
        None => gateway.connect().await,
    }
}

/// A session in which a message has passed each way: by then the task that shook hands is gone.
async fn open(gateway: &Gateway, upstream: &Upstream, tls: Option<&Authority>) -> Pair {
    let ask = Handshake::new("/chat")
        .host("a.example")
        .bytes(gateway.address());
    let serve = async {
        let mut server = upstream.accept().await;
        server.agree().await;
        server
    };
    let visit = async {
        let mut client = connect(gateway, tls).await;
        client.send(ask).await;
        assert_eq!(client.answer().await.status, 101);
        client
    };
    let (mut client, mut server) = tokio::join!(visit, serve);
    let frame = Frame::text("hello");
    client.send_frame(&frame.clone().masked()).await;
    assert_eq!(server.frame().await.unmasked(), frame);
    server.send_frame(&frame).await;
    assert_eq!(client.frame().await, frame);
    (client, server)
}

fn check(count: &Count, limit: usize) {
    assert!(count.bytes() <= limit, "{count}more than {limit}");
}

#[tokio::test]
async fn an_idle_session_holds_little() {
    count::not_this_thread();
    let _turn = TURN.lock().await;
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "server.workers = 1\n{LISTENER}[[routes]]\nupstream = \"{}\"\n",
        upstream.url()
    ));
    let count = of_a_session(&gateway, &upstream, None).await;
    check(&count, 800);
}

#[tokio::test]
async fn an_idle_session_over_tls_holds_its_keys() {
    count::not_this_thread();
    let _turn = TURN.lock().await;
    let authority = Authority::new();
    let folder = TempDir::new().unwrap();
    authority.write(folder.path(), "a", &["a.example"]);
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start_in(
        folder,
        &format!(
            "server.workers = 1
            {LISTENER}
            [listeners.tls]
            certificates = [{{ cert = \"a.pem\", key = \"a.key\" }}]
            [[routes]]
            upstream = \"{}\"",
            upstream.url()
        ),
    );
    let count = of_a_session(&gateway, &upstream, Some(&authority)).await;
    check(&count, 3_250);
}
