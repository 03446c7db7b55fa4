//! What is counted while a session goes on, as those see it who look from outside.

use super::*;
use crate::frame::Opcode::{Binary, Ping, Text};
use crate::relay::{Flow, Totals};
use tokio::io::AsyncReadExt;

fn totals(frames: u64, messages: u64, bytes: u64) -> Totals {
    Totals {
        frames,
        messages,
        bytes,
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_counted_at_once_by_direction() {
    let mut rig = Rig::new(lenient());
    rig.client.send_frame(Text, b"hello").await;
    rig.client.send_frame(Ping, b"").await;
    rig.upstream.send_frame(Text, b"hi").await;
    settle().await;
    let sum = rig.courses.sum();
    assert_eq!(sum.to_upstream.totals, totals(2, 1, 5));
    assert_eq!(sum.to_client.totals, totals(1, 1, 2));
    assert!(sum.to_client.blocked.is_zero());
}

#[tokio::test(start_paused = true)]
async fn the_sum_is_over_all_sessions_and_workers_live_or_not() {
    let courses = Courses::new(Arc::new(lenient()));
    for worker in [2, 0, 2] {
        let (client, client_end, _) = TestStream::pair(100);
        let (upstream, upstream_end, _) = TestStream::pair(100);
        let task = tokio::spawn(relay(
            client_end,
            upstream_end,
            Early::default(),
            courses.of(worker),
            Negotiated::default(),
            0,
            Arc::new(Control::new()),
        ));
        let (mut client, upstream) = (Peer::client(client), Peer::server(upstream));
        client.send_frame(Text, b"one").await;
        settle().await;
        drop((client, upstream));
        task.await.unwrap();
    }
    assert_eq!(courses.sum().to_upstream.totals, totals(3, 3, 9));
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_takes_nothing_blocks_its_direction_alone() {
    let mut rig = Rig::with(lenient(), Negotiated::default(), Early::default(), 100);
    rig.upstream.send_frame(Binary, &[7; 90]).await;
    rig.upstream.send_frame(Binary, &[7; 60]).await;
    after(20).await;
    let mut taken = [0; 92];
    rig.client.stream.read_exact(&mut taken).await.unwrap();
    settle().await;
    let Flow { blocked, .. } = rig.courses.sum().to_client;
    assert_eq!(blocked.as_secs(), 20, "told when the leg takes something");
    after(10).await;
    let mut taken = [0; 62];
    rig.client.stream.read_exact(&mut taken).await.unwrap();
    after(10).await;
    assert_eq!(rig.courses.sum().to_client.blocked, blocked);
    assert!(rig.courses.sum().to_upstream.blocked.is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_session_does_not_outlive_counts() {
    let mut rig = Rig::with(lenient(), Negotiated::default(), Early::default(), 100);
    rig.client.send_frame(Binary, &[7; 80]).await;
    rig.client.send_frame(Binary, &[7; 80]).await;
    after(30).await;
    rig.task.abort();
    assert!(rig.task.await.unwrap_err().is_cancelled());
    assert_eq!(rig.courses.sum().to_upstream.blocked.as_secs(), 30);
}
