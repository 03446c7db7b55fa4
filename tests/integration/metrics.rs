//! `/metrics`: after traffic that is known the numbers are exact, and nothing that a peer chooses
//! makes a new series.

use crate::harness::gateway::LISTENER;
use crate::harness::hello::client_hello;
use crate::harness::{
    Authority, Frame, Gateway, Handshake, Leg, Upstream, peer, session, session_by, within,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio::net::TcpStream;

const ADMIN: &str = "[admin]\naddress = \"127.0.0.1:0\"\n";

/// One open route `all` to `url`.
fn gateway(url: &str, keys: &str) -> Gateway {
    Gateway::start(&format!(
        "{ADMIN}{LISTENER}[upstreams.back]\nendpoints = [\"{url}\"]\n\
         [[routes]]\nname = \"all\"\nupstream = \"back\"\n{keys}\n"
    ))
}

/// All samples of a page, by name and labels as written.
#[derive(Debug)]
struct Page(BTreeMap<String, f64>);

impl Page {
    async fn of(gateway: &Gateway) -> Self {
        let text = page(gateway, "*/*").await;
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        let count = samples.clone().count();
        let samples: BTreeMap<_, _> = samples.collect();
        assert_eq!(samples.len(), count, "a series is there twice\n{text}");
        Self(samples)
    }

    /// Once the page has all of these; what a gateway does after its last word to a peer may take
    /// a moment.
    async fn with(gateway: &Gateway, expected: &[(&str, f64)]) -> Self {
        within(&format!("{expected:?}"), async {
            loop {
                let page = Self::of(gateway).await;
                if expected
                    .iter()
                    .all(|(series, value)| page.get(series) == *value)
                {
                    return page;
                }
            }
        })
        .await
    }

    /// 0 where there is no such series.
    fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// Of one family, what is not 0.
    fn all(&self, family: &str) -> Vec<(&str, f64)> {
        let brace = format!("{family}{{");
        self.0
            .iter()
            .filter(|(series, value)| series.starts_with(&brace) && **value != 0.0)
            .map(|(series, value)| (&series[family.len()..], *value))
            .collect()
    }

    fn series(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

async fn page(gateway: &Gateway, accept: &str) -> String {
    let address = gateway.address_of("[admin]");
    let mut leg = Leg::plain(TcpStream::connect(address).await.unwrap());
    let request = Handshake::plain("/metrics").with("Accept", accept);
    leg.send(request.bytes(address)).await;
    let answer = leg.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn a_session_is_counted_from_its_handshake_to_its_end() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "");
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let page = Page::with(&gateway, &[("wsgate_sessions{route=\"all\"}", 1.0)]).await;
    let opened =
        "wsgate_handshakes_total{listener=\"main\",route=\"all\",outcome=\"opened\",reason=\"ok\"}";
    assert_eq!(page.get(opened), 1.0);
    assert_eq!(page.get("wsgate_connections"), 1.0);
    assert_eq!(page.get("wsgate_upstream_sessions{upstream=\"back\"}"), 1.0);
    let took = "wsgate_handshake_duration_seconds";
    assert_eq!(page.get(&format!("{took}_count{{route=\"all\"}}")), 1.0);
    let within_all = format!("{took}_bucket{{le=\"+Inf\",route=\"all\"}}");
    assert_eq!(page.get(&within_all), 1.0);

    // Two messages, one of them in two frames with a ping between, and one the other way.
    for frame in [
        Frame::text("hello"),
        Frame::text("in ").open(),
        Frame::ping("?"),
        Frame::continuation("two"),
    ] {
        client.send_frame(&frame.clone().masked()).await;
        assert_eq!(server.frame().await.payload, frame.payload);
    }
    server.send_frame(&Frame::binary([7; 100])).await;
    client.frame().await;
    let live = [
        (
            "wsgate_frames_total{route=\"all\",direction=\"to_upstream\"}",
            4.0,
        ),
        (
            "wsgate_messages_total{route=\"all\",direction=\"to_upstream\"}",
            2.0,
        ),
        (
            "wsgate_payload_bytes_total{route=\"all\",direction=\"to_upstream\"}",
            12.0,
        ),
        (
            "wsgate_frames_total{route=\"all\",direction=\"to_client\"}",
            1.0,
        ),
        (
            "wsgate_messages_total{route=\"all\",direction=\"to_client\"}",
            1.0,
        ),
        (
            "wsgate_payload_bytes_total{route=\"all\",direction=\"to_client\"}",
            100.0,
        ),
    ];
    Page::with(&gateway, &live).await;

    client.send_frame(&Frame::close(4001, "bye").masked()).await;
    server.close(4001).await;
    server.send_frame(&Frame::close(4001, "bye")).await;
    client.close_and_leave(4001).await;
    gateway.has_sessions(0).await;
    let page = Page::with(&gateway, &[("wsgate_connections", 0.0)]).await;
    assert_eq!(page.get("wsgate_sessions{route=\"all\"}"), 0.0);
    assert_eq!(
        page.all("wsgate_sessions_ended_total"),
        [(
            "{route=\"all\",ended_by=\"client\",reason=\"closed_by_client\",code=\"4xxx\"}",
            1.0
        )]
    );
    assert_eq!(
        page.get("wsgate_session_duration_seconds_count{route=\"all\"}"),
        1.0
    );
    assert_eq!(
        page.get("wsgate_connections_accepted_total{listener=\"main\"}"),
        1.0
    );
    assert_eq!(page.all("wsgate_upstream_failures_total"), []);
}

#[tokio::test]
async fn ends_are_told_apart_by_who_and_why_and_code() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(
        &upstream.url(),
        "[routes.limits]\nmax_message_size = \"1KiB\"",
    );
    // The upstream closes.
    let (mut client, mut server) = session(&gateway, &upstream).await;
    server.send_frame(&Frame::close(1013, "")).await;
    client.close(1013).await;
    client.send_frame(&Frame::close(1013, "").masked()).await;
    client.finish().await;
    server.rest_after_finishing().await;
    // The client breaks a rule.
    let (mut client, mut server) = session(&gateway, &upstream).await;
    client.send_frame(&Frame::text("unmasked")).await;
    client.close_and_leave(1002).await;
    server.close_and_leave(1001).await;
    // It says too much.
    let (mut client, mut server) = session(&gateway, &upstream).await;
    client
        .send(Frame::binary(vec![0; 2000]).masked().bytes())
        .await;
    client.close_and_leave(1009).await;
    server.close_and_leave(1001).await;
    // The upstream is lost.
    let (mut client, server) = session(&gateway, &upstream).await;
    server.reset();
    client.close_and_leave(1012).await;
    // The client is.
    let (client, mut server) = session(&gateway, &upstream).await;
    client.reset();
    server.rest_after_finishing().await;
    gateway.has_sessions(0).await;
    let page = Page::of(&gateway).await;
    let route = "route=\"all\",";
    let expected = [
        ("client", "client_lost", "none"),
        ("client", "client_violation", "1002"),
        ("client", "client_violation", "1009"),
        ("upstream", "closed_by_upstream", "1013"),
        ("upstream", "upstream_lost", "1012"),
    ]
    .map(|(by, why, code)| {
        format!("{{{route}ended_by=\"{by}\",reason=\"{why}\",code=\"{code}\"}}")
    });
    let found = page.all("wsgate_sessions_ended_total");
    assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|one| one.1 == 1.0), "{found:?}");
}

#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{ADMIN}{LISTENER}[[routes]]\nname = \"one\"\nhost = \"one.example\"\npath = \"/chat\"\n\
         origins = [\"https://app.example\"]\nupstream = \"{}\"\n",
        upstream.url()
    ));
    let at = |path: &str| Handshake::new(path).host("one.example");
    for (request, status, times) in [
        (at("/elsewhere"), 404, 3),
        (at("/chat").with("Origin", "https://evil.example"), 403, 2),
        (at("/chat").set("Sec-WebSocket-Version", "12"), 426, 1),
        (at("/%2e%2e/"), 400, 1),
        (Handshake::plain("/chat").host("one.example"), 426, 4),
        (Handshake::plain("/none").host("one.example"), 404, 1),
        (Handshake::plain("/%2e%2e/"), 400, 1),
    ] {
        for _ in 0..times {
            assert_eq!(gateway.status(&request).await, status, "{request:?}");
        }
    }
    let (_, answer) = gateway.ask(&at("/chat\u{1}")).await;
    assert_eq!(answer.status, 400);
    let page = Page::of(&gateway).await;
    let series = |route: &str, reason: &str| {
        format!("{{listener=\"main\",route=\"{route}\",outcome=\"refused\",reason=\"{reason}\"}}")
    };
    let expected = [
        (series("", "bad_handshake"), 1.0),
        (series("", "bad_head"), 1.0),
        (series("", "bad_target"), 1.0),
        (series("", "no_route"), 3.0),
        (series("one", "origin_refused"), 2.0),
    ];
    let found = page.all("wsgate_handshakes_total");
    let found: Vec<_> = found.iter().map(|one| (one.0.to_owned(), one.1)).collect();
    assert_eq!(found, expected);
    assert_eq!(
        page.all("wsgate_http_requests_total"),
        [
            (
                "{listener=\"main\",route=\"\",status=\"4xx\",reason=\"bad_target\"}",
                1.0
            ),
            (
                "{listener=\"main\",route=\"\",status=\"4xx\",reason=\"no_route\"}",
                1.0
            ),
            (
                "{listener=\"main\",route=\"one\",status=\"4xx\",reason=\"plain_request\"}",
                4.0
            ),
        ]
    );
}

#[tokio::test]
async fn failures_of_upstreams_are_counted_even_where_another_serves() {
    let (echo, nobody) = (peer::echo().await, peer::nobody().await);
    let gateway = Gateway::start(&format!(
        "{ADMIN}{LISTENER}[upstreams.half]\nendpoints = [\"{nobody}\", \"{}\"]\n\
         [upstreams.none]\nendpoints = [\"{nobody}\"]\n\
         [upstreams.odd]\nendpoints = [\"{}\"]\n\
         [[routes]]\nname = \"half\"\npath = \"/half\"\nupstream = \"half\"\n\
         [[routes]]\nname = \"none\"\npath = \"/none\"\nupstream = \"none\"\n\
         [[routes]]\nname = \"odd\"\npath = \"/odd\"\nupstream = \"odd\"\n",
        echo.url(),
        peer::answers("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            .await
            .url(),
    ));
    for _ in 0..2 {
        // By turns; whoever meets the dead one first is passed on.
        assert_eq!(gateway.status(&Handshake::new("/half")).await, 101);
        assert_eq!(gateway.status(&Handshake::new("/none")).await, 502);
    }
    let page = Page::of(&gateway).await;
    assert_eq!(
        page.all("wsgate_upstream_failures_total")[..2],
        [
            ("{upstream=\"half\",reason=\"connect_failed\"}", 1.0),
            ("{upstream=\"none\",reason=\"connect_failed\"}", 2.0),
        ]
    );
    let failed = "{listener=\"main\",route=\"none\",outcome=\"failed\",reason=\"connect_failed\"}";
    assert_eq!(page.get(&format!("wsgate_handshakes_total{failed}")), 2.0);
}

#[tokio::test]
async fn an_upstream_that_says_no_is_counted_as_that() {
    let no = peer::answers("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = gateway(&no.url(), "");
    assert_eq!(gateway.status(&Handshake::new("/")).await, 503);
    let page = Page::of(&gateway).await;
    assert_eq!(
        page.all("wsgate_upstream_failures_total"),
        [("{upstream=\"back\",reason=\"refused\"}", 1.0)]
    );
}

#[tokio::test]
async fn ordinary_requests_are_counted_by_class_and_end() {
    let upstream = peer::answers("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = gateway(&upstream.url(), "http_requests = \"proxy\"");
    let (_, answer) = gateway.ask(&Handshake::plain("/")).await;
    assert_eq!(answer.status, 201);
    let series = "wsgate_http_requests_total{listener=\"main\",route=\"all\",status=\"2xx\",reason=\"complete\"}";
    let page = Page::with(&gateway, &[(series, 1.0)]).await;
    assert_eq!(page.all("wsgate_handshakes_total"), []);
}

#[tokio::test]
async fn connections_that_fail_before_http_are_counted_by_reason() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().write(folder.path(), "own", &["a.example"]);
    let gateway = Gateway::start_in(
        folder,
        &format!(
            "{ADMIN}{LISTENER}tls = {{ certificates = [{{ cert = \"own.pem\", key = \"own.key\" }}] }}\n\
             [[listeners]]\nname = \"behind\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
             [server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
             [[routes]]\nupstream = \"builtin:echo\"\n"
        ),
    );
    let file = gateway.folder().join("own.pem");
    let end = format!(
        "wsgate_certificate_not_after_timestamp_seconds{{file=\"{}\"}}",
        file.display()
    );
    // The harness issues until the year 4000.
    assert_eq!(Page::of(&gateway).await.get(&end), 64_060_588_800.0);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &client_hello(1, b"a.example"),
        b"",
    ] {
        let mut leg = gateway.connect().await;
        leg.send(bytes).await;
        leg.rest_after_finishing().await;
    }
    let mut leg = gateway.connect_to("behind").await;
    leg.send("GET / HTTP/1.1\r\n\r\n").await;
    leg.rest().await;
    let page = Page::with(
        &gateway,
        &[
            (
                "wsgate_tls_handshake_failures_total{listener=\"main\",reason=\"not_tls\"}",
                1.0,
            ),
            (
                "wsgate_tls_handshake_failures_total{listener=\"main\",reason=\"version\"}",
                1.0,
            ),
            (
                "wsgate_tls_handshake_failures_total{listener=\"main\",reason=\"lost\"}",
                1.0,
            ),
            (
                "wsgate_proxy_protocol_failures_total{listener=\"behind\",reason=\"malformed\"}",
                1.0,
            ),
        ],
    )
    .await;
    assert_eq!(
        page.get("wsgate_connections_accepted_total{listener=\"main\"}"),
        3.0
    );
}

#[tokio::test]
async fn a_session_that_waits_for_a_limit_is_counted_as_throttled() {
    let upstream = Upstream::bind().await;
    let limits = "[routes.limits]\nmessage_rate = { rate = \"50/s\", burst = 1 }";
    let gateway = gateway(&upstream.url(), limits);
    let (mut client, mut server) = session(&gateway, &upstream).await;
    client
        .send(Frame::text("x").masked().bytes().repeat(6))
        .await;
    for _ in 0..6 {
        server.frame().await;
    }
    let series = "wsgate_throttled_seconds_total{route=\"all\",direction=\"to_upstream\"}";
    within("throttled time", async {
        while Page::of(&gateway).await.get(series) <= 0.0 {}
    })
    .await;
}

#[tokio::test]
async fn what_peers_choose_makes_no_new_series() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(
        &upstream.url(),
        "http_requests = \"proxy\"\norigins = [\"*\"]",
    );
    let hostile = |index: usize| {
        [
            Handshake::new(&format!("/p{index}?q={index}")).host(&format!("h{index}.example")),
            Handshake::new("/")
                .with("Sec-WebSocket-Protocol", &format!("s{index}"))
                .with("Origin", &format!("https://o{index}.example"))
                .with("X-Forwarded-For", &format!("192.0.2.{index}"))
                .with("User-Agent", &format!("\"}} 1\\n{index}"))
                .with("Authorization", &format!("Bearer {index}")),
        ]
    };
    let mut before = BTreeSet::new();
    for index in 0..12 {
        for handshake in hostile(index) {
            let (mut client, mut server, _) = session_by(&gateway, &upstream, &handshake).await;
            let code = 4000 + u16::try_from(index).unwrap();
            client.send_frame(&Frame::close(code, "x").masked()).await;
            server.close(code).await;
            server.send_frame(&Frame::close(code, "x")).await;
            client.close_and_leave(code).await;
        }
        for odd in [
            Handshake::new("/").method(&format!("M{index}")),
            Handshake::new("/").version(&format!("HTTP/1.{index}x")),
            Handshake::new(&format!("/%2e%2e/{index}")),
            Handshake::new("/").set("Sec-WebSocket-Version", &index.to_string()),
        ] {
            gateway.ask(&odd).await;
        }
        gateway.has_sessions(0).await;
        let page = Page::of(&gateway).await;
        let series: BTreeSet<_> = page.series().into_iter().map(ToOwned::to_owned).collect();
        match index {
            0 => before = series,
            _ => assert_eq!(series, before, "after {index}"),
        }
    }
    for series in &before {
        for part in ["example", "192.0.2", "p1", "s1", "M1", "4001"] {
            assert!(!series.contains(part), "{series}");
        }
    }
}

#[tokio::test]
async fn the_page_has_what_the_documentation_lists_and_nothing_else() {
    let gateway = gateway("builtin:echo", "");
    let text = page(&gateway, "*/*").await;
    let declared: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let documented = include_str!("../../docs/metrics.md");
    let rows = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let cells = |row: &'static str| {
        let (name, rest) = row.split_once("` | ")?;
        Some((name, rest.split(" | ").next()?))
    };
    let is_metric =
        |(name, _): &(&str, &str)| name.contains('_') && !name.contains(['(', '{', '/']);
    let documented: BTreeSet<_> = rows.filter_map(cells).filter(is_metric).collect();
    assert_eq!(declared, documented);
    assert!(declared.len() > 25, "{declared:?}");
}

#[tokio::test]
async fn the_process_tells_of_itself() {
    let gateway = gateway("builtin:echo", "");
    let page = Page::of(&gateway).await;
    let version = format!(
        "wsgate_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(page.get(&version), 1.0);
    assert_eq!(page.get("wsgate_ready"), 1.0);
    assert_eq!(page.get("wsgate_config_entries{section=\"routes\"}"), 1.0);
    for (name, least) in [
        ("process_start_time_seconds", 1.7e9),
        ("wsgate_config_loaded_timestamp_seconds", 1.7e9),
        ("process_resident_memory_bytes", 1e6),
        ("process_virtual_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
        ("process_max_fds", 3.0),
        ("process_cpu_seconds_total", 1e-9),
        ("wsgate_workers", 1.0),
        ("wsgate_connections_limit", 1.0),
    ] {
        assert!(page.get(name) >= least, "{name}: {page:?}");
    }
}

#[tokio::test]
async fn openmetrics_for_who_asks_for_it() {
    let gateway = gateway("builtin:echo", "");
    let text = page(
        &gateway,
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    )
    .await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("# TYPE wsgate_frames counter\n"), "{text}");
    assert!(
        text.contains("# UNIT wsgate_blocked_seconds seconds\n"),
        "{text}"
    );
}
