//! Slow readers: memory stays bounded, reading stops, and who takes nothing is lost in the end.

use super::*;
use crate::frame::Opcode::{Binary, Text};
use crate::relay::buffer::{READ_SIZE, READ_SIZE_FOR_SLOW};
use crate::relay::session::Session;
use crate::relay::{End, LegOutcome, Side};
use std::task::Waker;
use tokio::io::AsyncReadExt;

/// A session that is polled by hand, so that its inside can be looked at.
struct Bench {
    session: Session<TestStream>,
    control: Control,
    client: Peer,
    upstream: Peer,
}

impl Bench {
    fn new(client_room: usize, upstream_room: usize) -> Self {
        let (client, client_end, _) = TestStream::pair(client_room);
        let (upstream, upstream_end, _) = TestStream::pair(upstream_room);
        let session = Session::new(
            client_end,
            upstream_end,
            Early::default(),
            Courses::new(Arc::new(lenient())).of(0),
            Negotiated::default(),
            0,
        );
        Self {
            session,
            control: Control::new(),
            client: Peer::client(client),
            upstream: Peer::server(upstream),
        }
    }

    fn poll(&mut self) {
        let polled = self
            .session
            .poll(&mut Context::from_waker(Waker::noop()), &self.control);
        assert!(polled.is_pending());
    }
}

#[tokio::test]
async fn a_slow_reader_costs_one_read_then_less_and_stops_its_writer() {
    let mut bench = Bench::new(1000, 8 * READ_SIZE);
    let frame = bench.upstream.frame(Binary, &vec![9; 100_000]);
    for _ in 0..6 * READ_SIZE / frame.len() {
        bench.upstream.send(&frame).await;
    }
    bench.poll();
    let first = bench.session.client.outlet.waiting();
    assert_eq!(
        first,
        READ_SIZE - 1000,
        "one read, of which the client took what it could"
    );
    bench.poll();
    assert_eq!(
        bench.session.client.outlet.waiting(),
        first,
        "nothing more is read"
    );
    let mut taken = 0;
    let mut most = 0;
    while taken < 3 * READ_SIZE {
        // Without it the runtime's budget for one task runs out inside a poll, and nobody polls again.
        tokio::task::yield_now().await;
        let mut room = [0; 1000];
        taken += bench.client.stream.read(&mut room).await.unwrap();
        bench.poll();
        if taken > READ_SIZE {
            most = most.max(bench.session.client.outlet.waiting());
        }
    }
    assert!((1..=READ_SIZE_FOR_SLOW).contains(&most), "{most}");
}

#[tokio::test]
async fn an_idle_session_holds_no_buffer() {
    let mut bench = Bench::new(1 << 20, 1 << 20);
    let frame = bench.client.frame(Text, &[b'x'; 5000]);
    bench.client.send(&frame).await;
    bench.poll();
    bench.upstream.expect(&frame).await;
    bench.poll();
    for leg in [&bench.session.client, &bench.session.upstream] {
        assert!(leg.carry.is_empty());
        assert_eq!(leg.outlet.waiting(), 0);
    }
}

#[tokio::test]
async fn an_announced_length_costs_no_memory() {
    let mut bench = Bench::new(1 << 20, 1 << 20);
    let header = bench.upstream.header(Binary, true, 1 << 62);
    bench.upstream.send(&header).await;
    bench.upstream.send(b"and little more").await;
    bench.poll();
    bench.client.expect(&header).await;
    bench.client.expect(b"and little more").await;
    assert_eq!(bench.session.client.outlet.waiting(), 0);
    assert!(bench.session.upstream.carry.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_takes_nothing_is_lost() {
    let rules = Rules {
        write: Some(Duration::from_secs(60)),
        ..lenient()
    };
    let mut rig = Rig::with(rules, Negotiated::default(), Early::default(), 100);
    rig.client.send_frame(Binary, &[0; 90]).await;
    rig.client.send_frame(Binary, &[0; 60]).await;
    assert_eq!(
        rig.client.read_frame().await.close(),
        (Some(1012), "upstream is gone")
    );
    rig.client.send_close(1012, "").await;
    let outcome = rig.outcome().await;
    let end = End::WriteTimeout(Side::Upstream);
    assert_eq!((outcome.ended_by, outcome.end), (Side::Upstream, end));
    let seconds = outcome.duration.as_secs_f64();
    assert!((60.0..61.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_lost() {
    let rules = Rules {
        write: Some(Duration::from_secs(60)),
        ..lenient()
    };
    let mut rig = Rig::with(rules, Negotiated::default(), Early::default(), 100);
    rig.upstream.send_frame(Binary, &[0; 90]).await;
    rig.upstream.send_frame(Binary, &[0; 60]).await;
    assert!(
        rig.upstream.read_rest().await.is_empty(),
        "the end of the stream, without a Close"
    );
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::WriteTimeout(Side::Client));
    assert_eq!(outcome.upstream, LegOutcome::default());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_lives() {
    let rules = Rules {
        write: Some(Duration::from_secs(60)),
        ..lenient()
    };
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::with(rules, Negotiated::default(), Early::default(), 100);
    let frame = upstream.frame(Binary, &[3; 50]);
    let writing = async {
        for _ in 0..20 {
            upstream.send(&frame).await;
        }
    };
    let reading = async {
        for _ in 0..20 {
            after(50).await;
            client.expect(&frame).await;
        }
    };
    tokio::join!(writing, reading);
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_other_direction_flows_while_one_is_stalled() {
    let rig = Rig::with(lenient(), Negotiated::default(), Early::default(), 100);
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = rig;
    for _ in 0..2 {
        client.send_frame(Binary, &[0; 80]).await;
        settle().await;
    }
    for _ in 0..100 {
        upstream.send_frame(Text, b"still here").await;
        assert_eq!(client.read_frame().await.payload, b"still here");
    }
    assert!(!task.is_finished());
}
