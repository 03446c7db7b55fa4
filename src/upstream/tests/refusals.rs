//! Upstreams that say no: their word is taken, bounded, in every framing.

use super::peer::{Behaviour, Peer, answer};
use super::*;
use crate::upstream::{OpenError, Refused};

async fn refused(behaviour: Behaviour) -> Refused {
    match answer(behaviour).await {
        Err(OpenError::Refused(refused)) => *refused,
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn the_body_is_taken_in_every_framing() {
    use Behaviour::*;
    let cases = [
        SaysAndStays("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot today"),
        SaysAndStays(
            "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\nnot \r\n5\r\ntoday\r\n0\r\n\r\n",
        ),
        Says("HTTP/1.1 403 Forbidden\r\n\r\nnot today"),
        Says("HTTP/1.0 403 Forbidden\r\nConnection: close\r\n\r\nnot today"),
    ];
    for behaviour in cases {
        let refused = refused(behaviour).await;
        assert_eq!(refused.status, 403, "{behaviour:?}");
        assert_eq!(refused.body, "not today", "{behaviour:?}");
        assert!(!refused.truncated, "{behaviour:?}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_stay_behind() {
    let refused = refused(Behaviour::Says(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nConnection: close, X-Hop\r\n\
         X-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\
         Sec-WebSocket-Version: 13\r\nSet-Cookie: a=1\r\n\r\n",
    ))
    .await;
    let mut names: Vec<&str> = refused.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["set-cookie", "www-authenticate"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_to_its_end_is_cut() {
    use Behaviour::*;
    let cases = [
        Says("HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\npart"),
        SaysAndStays("HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\npart"),
        SaysAndStays("HTTP/1.1 500 Oops\r\n\r\npart"),
        Says("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npart"),
    ];
    for behaviour in cases {
        let refused = refused(behaviour).await;
        assert_eq!(refused.body, "part", "{behaviour:?}");
        assert!(refused.truncated, "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_asked_of_another_endpoint() {
    let refuses = Peer::that(Behaviour::Says("HTTP/1.1 503 Busy\r\n\r\n")).await;
    let agrees = Peer::that(Behaviour::Agrees).await;
    let pool = pool_of(&[refuses.address, agrees.address]);
    let error = pool.open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "refused");
    assert_eq!(agrees.accepted(), 0);
}
