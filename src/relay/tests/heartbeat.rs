//! Who is pinged, who is found dead, and who is not.

use super::*;
use crate::frame::Opcode::{Binary, Ping, Pong, Text};
use crate::relay::{End, LegOutcome, Loss, Side};
use peer::Frame;
use tokio::time::{Instant, sleep};

/// Pings after 30 s (27 to 33 s) of silence, waits 10 s for the answer.
fn pinging() -> Rules {
    Rules {
        ping_interval: Some(Duration::from_secs(30)),
        ..lenient()
    }
}

/// Answers pings until `seconds` have passed; returns how many there were.
async fn answer_pings(peer: &mut Peer, seconds: u64) -> usize {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut pings = 0;
    while let Ok(frame) = tokio::time::timeout_at(end, peer.read_frame()).await {
        assert_eq!((frame.opcode(), frame.payload.len()), (Ping, 8));
        peer.send_frame(Pong, &frame.payload).await;
        pings += 1;
    }
    pings
}

async fn expect_ping(peer: &mut Peer) -> Frame {
    let frame = peer.read_frame().await;
    assert_eq!(frame.opcode(), Ping, "{frame:?}");
    frame
}

#[tokio::test(start_paused = true)]
async fn silent_legs_are_pinged_and_their_pongs_swallowed() {
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::new(pinging());
    let (clients, upstreams) = tokio::join!(
        answer_pings(&mut client, 600),
        answer_pings(&mut upstream, 600)
    );
    assert!((17..=22).contains(&clients), "{clients}");
    assert!((17..=22).contains(&upstreams), "{upstreams}");
    client.assert_silent();
    upstream.assert_silent();
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_speaks_is_not_pinged() {
    let mut rig = Rig::new(pinging());
    for _ in 0..20 {
        after(20).await;
        rig.client.send_frame(Text, b"x").await;
        rig.upstream.send_frame(Text, b"y").await;
        assert_eq!(rig.upstream.read_frame().await.opcode(), Text);
        assert_eq!(rig.client.read_frame().await.opcode(), Text);
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_differ_and_pings_to_the_upstream_are_masked_afresh() {
    let mut rig = Rig::new(pinging());
    let first = expect_ping(&mut rig.upstream).await;
    rig.upstream.send_frame(Pong, &first.payload).await;
    let client = expect_ping(&mut rig.client).await;
    rig.client.send_frame(Pong, &client.payload).await;
    let second = expect_ping(&mut rig.upstream).await;
    assert_eq!(first.payload, second.payload);
    assert_ne!(first.header.mask, second.header.mask);
    assert_ne!(first.payload, client.payload);
}

#[tokio::test(start_paused = true)]
async fn the_kernel_watches_for_vanished_peers_of_a_session_that_lasts() {
    for (limit, from) in [(60_000, 1_200), (300, 500)] {
        let limit = Duration::from_millis(limit);
        let rig = Rig::new(Rules {
            write: Some(limit),
            ..lenient()
        });
        let told = || [&rig.client_fault, &rig.upstream_fault].map(Fault::silence_limit);
        settle().await;
        assert_eq!(told(), [None; 2]);
        sleep(Duration::from_millis(from)).await;
        assert_eq!(told(), [Some(limit); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_client_is_found_and_the_upstream_is_told_1001() {
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::new(pinging());
    tokio::select! {
        _ = answer_pings(&mut upstream, 36) => {}
        () = after(60) => {}
    }
    let told = loop {
        let frame = upstream.read_frame().await;
        if frame.opcode() != Ping {
            break frame;
        }
        upstream.send_frame(Pong, &frame.payload).await;
    };
    assert_eq!(told.close(), (Some(1001), "no pong from the client"));
    upstream.send_close(1001, "").await;
    let outcome = task.await.unwrap();
    assert_eq!(
        (outcome.ended_by, outcome.end),
        (Side::Client, End::NoPong(Side::Client))
    );
    assert_eq!(outcome.upstream.close_sent, Some(1001));
    let seconds = outcome.duration.as_secs_f64();
    assert!((37.0..44.0).contains(&seconds), "{seconds}");
    expect_ping(&mut client).await;
    assert_eq!(client.read_frame().await.close(), (Some(1001), "no pong"));
}

#[tokio::test(start_paused = true)]
async fn a_dead_upstream_is_found_and_the_client_is_told_1012() {
    let Rig {
        mut client,
        upstream: _silent,
        task,
        ..
    } = Rig::new(pinging());
    let told = loop {
        let frame = client.read_frame().await;
        if frame.opcode() != Ping {
            break frame;
        }
        client.send_frame(Pong, &frame.payload).await;
    };
    assert_eq!(told.close(), (Some(1012), "upstream is gone"));
    client.send_close(1012, "").await;
    let outcome = task.await.unwrap();
    assert_eq!(
        (outcome.ended_by, outcome.end),
        (Side::Upstream, End::NoPong(Side::Upstream))
    );
    assert_eq!(outcome.client.close_sent, Some(1012));
}

#[tokio::test(start_paused = true)]
async fn an_application_that_pings_gets_its_own_pongs() {
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::new(pinging());
    let token = expect_ping(&mut client).await.payload;
    client.send_frame(Pong, &token).await;
    for payload in [&b""[..], b"12345678", b"a longer one"] {
        upstream.send_frame(Ping, payload).await;
        let ping = client.read_frame().await;
        assert_eq!((ping.opcode(), &ping.payload[..]), (Ping, payload));
        client.send_frame(Pong, payload).await;
        let pong = loop {
            let frame = upstream.read_frame().await;
            if frame.opcode() == Pong {
                break frame;
            }
            upstream.send_frame(Pong, &frame.payload).await;
        };
        assert_eq!(pong.payload, payload);
    }
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_inside_a_frame_is_asked_again_but_not_given_up() {
    for trickles in [false, true] {
        let Rig {
            mut client,
            mut upstream,
            task,
            ..
        } = Rig::new(pinging());
        client.send(&client.header(Binary, true, 100)).await;
        let mut pings = 0;
        let client_story = async {
            for _ in 0..25 {
                after(10).await;
                if trickles {
                    client.send(b"x").await;
                }
            }
            while let Ok(frame) =
                tokio::time::timeout(Duration::from_millis(10), client.read_frame()).await
            {
                assert_eq!(frame.opcode(), Ping);
                pings += 1;
            }
            client.send(&vec![0; if trickles { 75 } else { 100 }]).await;
        };
        let upstream_story = async {
            let mut frame = vec![0; 106];
            tokio::io::AsyncReadExt::read_exact(&mut upstream.stream, &mut frame)
                .await
                .unwrap();
            // It could not be pinged inside the client's frame, and is now.
            expect_ping(&mut upstream).await
        };
        tokio::join!(client_story, upstream_story);
        assert_eq!(trickles, pings == 0, "{pings} pings");
        assert!(trickles || (7..=9).contains(&pings), "{pings} pings");
        assert!(!task.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_only_the_last_of_several_pings_lives() {
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::new(pinging());
    client.send(&client.header(Binary, true, 10)).await;
    let mut last = Vec::new();
    for _ in 0..4 {
        last = expect_ping(&mut client).await.payload;
    }
    client.send(&[0; 10]).await;
    client.send_frame(Pong, &last).await;
    upstream.expect(&client.header(Binary, true, 10)).await;
    upstream.expect(&[0; 10]).await;
    let ping = expect_ping(&mut upstream).await;
    upstream.send_frame(Pong, &ping.payload).await;
    settle().await;
    upstream.assert_silent();
    let (pings, _) = tokio::join!(
        answer_pings(&mut client, 100),
        answer_pings(&mut upstream, 100)
    );
    assert!(pings >= 2 && !task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_is_not_read_is_not_found_dead() {
    let rig = Rig::with(pinging(), Negotiated::default(), Early::default(), 1024);
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = rig;
    // The upstream takes nothing for longer than ping and pong together, so the client is not read:
    // its pongs wait behind its own data.
    let data = client.frame(Binary, &[1; 600]);
    let sending = async {
        for _ in 0..10 {
            client.send(&data).await;
        }
        while let Ok(frame) =
            tokio::time::timeout(Duration::from_secs(1), client.read_frame()).await
        {
            client.send_frame(Pong, &frame.payload).await;
        }
    };
    let reading = async {
        after(200).await;
        assert!(!task.is_finished());
        let mut frames = 0;
        while frames < 10 {
            let frame = upstream.read_frame().await;
            if frame.opcode() == Ping {
                upstream.send_frame(Pong, &frame.payload).await;
            } else {
                assert_eq!(frame.payload, [1; 600]);
                frames += 1;
            }
        }
    };
    tokio::join!(sending, reading);
    let (pings, _) = tokio::join!(
        answer_pings(&mut client, 100),
        answer_pings(&mut upstream, 100)
    );
    assert!(pings > 0 && !task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_is_not_yet_written_whole_starts_no_clock() {
    let rig = Rig::with(pinging(), Negotiated::default(), Early::default(), 64);
    let Rig {
        client: _client,
        mut upstream,
        task,
        ..
    } = rig;
    // The client takes nothing: what goes to it, the ping included, waits in the gateway.
    upstream.send_frame(Text, &[b'x'; 100]).await;
    after(100).await;
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_lost_while_it_is_asked_is_lost_and_not_without_pong() {
    let mut rig = Rig::new(pinging());
    expect_ping(&mut rig.client).await;
    rig.client_fault.reset();
    let outcome = rig.outcome().await;
    let reset = Loss::Error(std::io::ErrorKind::ConnectionReset);
    assert_eq!(
        (outcome.end, outcome.client),
        (End::ClientLost(reset), LegOutcome::default())
    );
}
