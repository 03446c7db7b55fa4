//! What whole files mean.

use super::load::parse_with;
use super::*;
use std::path::Path;
use std::time::Duration;

const MINIMAL: &str = r#"
    [[listeners]]
    address = "127.0.0.1:8080"
    [[routes]]
    upstream = "ws://localhost:9000"
"#;

fn settings(text: &str) -> Settings {
    parse(text, Path::new("wsgate.toml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let upstream = Arc::new(Upstream {
        name: "ws://localhost:9000".to_owned(),
        endpoints: vec![Endpoint {
            address: EndpointAddress::Tcp {
                tls: false,
                host: "localhost".to_owned(),
                port: 9000,
            },
            weight: 1,
        }],
        balance: Balance::RoundRobin,
        host_header: HostHeader::Client,
        connect_timeout: seconds(3),
        upgrade_timeout: seconds(10),
        open_timeout: seconds(15),
        retries: 2,
        keep_alive: Some(Duration::from_secs(4)),
        resolve: Resolve::All,
        resolve_interval: seconds(30),
        proxy_protocol: ProxyProtocol::Off,
        tls: UpstreamTls::default(),
    });
    let route = Route {
        name: "/*".to_owned(),
        listeners: vec![0],
        hosts: vec![HostPattern::Any],
        paths: vec![PathPattern::Prefix(String::new())],
        subprotocols: Vec::new(),
        origin: OriginPolicy {
            origins: None,
            require: false,
        },
        network: NetworkPolicy {
            allow: None,
            deny: Vec::new(),
        },
        auth: Vec::new(),
        auth_all: Vec::new(),
        upstream: Arc::clone(&upstream),
        strip_prefix: None,
        add_prefix: None,
        identity_header: None,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        http_requests: HttpRequests::Reject,
        cors: None,
        compression: Compression::Off,
        limits: Limits {
            handshake_rate: Vec::new(),
            auth_failure_rate: vec![RateLimit {
                rate: Rate {
                    amount: 5,
                    period: seconds(60),
                },
                burst: 10,
                per: LimitKey::ClientIp,
            }],
            sessions: Vec::new(),
            message_rate: Vec::new(),
            byte_rate: Vec::new(),
            max_message_size: Some(16 << 20),
            validate_utf8: true,
        },
        heartbeat: Heartbeat {
            ping_interval: Some(seconds(30)),
            pong_timeout: seconds(10),
        },
        timeouts: Timeouts {
            idle: None,
            max_duration: None,
            write: Some(seconds(60)),
            close: seconds(5),
            response: Some(seconds(60)),
            body: Some(seconds(60)),
        },
    };
    let expected = Settings {
        server: Server {
            workers: Workers::Auto,
            max_connections: 100_000,
            max_handshakes: 1000,
            trusted_proxies: Vec::new(),
            client_ip_header: "x-forwarded-for".to_owned(),
            shutdown_delay: Duration::ZERO,
            drain_timeout: seconds(30),
        },
        health: None,
        admin: None,
        log: Log {
            level: "info".to_owned(),
            format: LogFormat::Auto,
            access: true,
        },
        listeners: vec![Listener {
            name: "127.0.0.1:8080".to_owned(),
            address: BindAddress::Tcp(([127, 0, 0, 1], 8080).into()),
            proxy_protocol: false,
            head_timeout: seconds(10),
            max_header_size: 16 << 10,
            public_scheme: Scheme::Http,
            redirect_https: None,
            tls: None,
        }],
        upstreams: vec![upstream],
        auth: Vec::new(),
        routes: vec![Arc::new(route)],
    };
    assert_eq!(settings(MINIMAL), expected);
}

#[test]
fn the_command_line_says_the_same_as_a_file() {
    assert_eq!(
        quick("127.0.0.1:8080", "ws://localhost:9000").as_ref(),
        Ok(&settings(MINIMAL))
    );
    let problems = quick("8080", "localhost").unwrap_err();
    assert_eq!(problems.count(), 2, "{problems}");
}

#[test]
fn names_of_routes_are_made_of_what_they_are_chosen_by() {
    let name = |keys: &str| {
        let text = MINIMAL.replace("[[routes]]", &format!("[[routes]]\n{keys}"));
        settings(&text).routes[0].name.clone()
    };
    assert_eq!(name(""), "/*");
    assert_eq!(name("host = \"a.b\""), "a.b");
    assert_eq!(name("path = \"/a/*\""), "/a/*");
    assert_eq!(
        name("host = [\"a.b\", \"*.c\"]\npath = [\"/a\", \"/b\"]"),
        "a.b,*.c/a,/b"
    );
    assert_eq!(
        name("path = \"/a\"\nsubprotocols = [\"v2\", \"v1\"]"),
        "/a for v2,v1"
    );
    assert_eq!(name("name = \"n\"\nhost = \"a.b\""), "n");
}

/// `tests/config/valid/everything.toml`, and its folder.
fn everything() -> (Settings, &'static Path) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/valid"));
    let settings = load(&folder.join("everything.toml"));
    (
        settings.unwrap_or_else(|problems| panic!("{problems}")),
        folder,
    )
}

#[test]
fn routes_take_what_they_leave_out_from_route_defaults_key_by_key() {
    let (settings, _) = everything();
    let route = &settings.routes[1];
    assert_eq!(route.name, "defaults");
    assert_eq!(route.listeners, [0]);
    assert_eq!(route.upstream.name, "chat");
    assert_eq!(route.compression, Compression::Passthrough);
    assert_eq!(route.limits.max_message_size, Some(1 << 20));
    let expected = Heartbeat {
        ping_interval: Some(seconds(60)),
        pong_timeout: seconds(30),
    };
    assert_eq!(route.heartbeat, expected);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let set = [pair("x-more", "1"), pair("x-env", "prod")];
    assert_eq!(route.request_headers.set, set);
    assert_eq!(route.request_headers.remove, ["x-debug"]);
    assert_eq!(
        settings.routes[2].identity_header.as_deref(),
        Some("x-who"),
        "included files too"
    );
}

#[test]
fn what_a_route_says_itself_counts() {
    let (settings, _) = everything();
    let route = &settings.routes[0];
    assert_eq!(route.listeners, [1, 0]);
    assert!(!route.origin.require);
    assert_eq!(route.origin.origins.as_ref().map(Vec::len), Some(4));
    let auth: Vec<&str> = route
        .auth
        .iter()
        .map(|method| method.name.as_str())
        .collect();
    assert_eq!(auth, ["people", "guests"]);
    assert_eq!(route.auth_all[0].name, "robots");
    assert_eq!(route.limits.max_message_size, None);
    assert_eq!(route.heartbeat.ping_interval, None);
    assert_eq!(route.timeouts.write, Some(seconds(10)));
    assert_eq!(route.response_headers.remove, Vec::<String>::new());
}

#[test]
fn limits_are_one_table_or_a_list_or_off() {
    let (settings, _) = everything();
    let (lists, tables) = (&settings.routes[1].limits, &settings.routes[0].limits);
    let rate = |amount, period| Rate {
        amount,
        period: seconds(period),
    };
    assert_eq!(lists.handshake_rate.len(), 2);
    assert_eq!(lists.handshake_rate[1].rate, rate(600, 60));
    assert_eq!(lists.handshake_rate[1].burst, 10, "a second's worth");
    assert_eq!(lists.byte_rate, []);
    let [sessions] = &lists.sessions[..] else {
        panic!("{:?}", lists.sessions);
    };
    assert_eq!(sessions.on_exceed, OnSessions::CloseOldest);
    let bytes = TrafficLimit {
        rate: rate(1 << 20, 1),
        burst: 4 << 20,
        per: TrafficKey::Identity,
        direction: LimitedDirection::Both,
        on_exceed: OnTraffic::Close,
    };
    assert_eq!(tables.byte_rate, [bytes]);
    assert_eq!(tables.message_rate[0].rate, rate(1, 3600));
    assert_eq!(tables.message_rate[0].burst, 1, "at least one");
}

#[test]
fn paths_are_relative_to_the_file_in_which_they_stand() {
    let (settings, folder) = everything();
    let tls = settings.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].key, folder.join("files/a.key"));
    assert_eq!(
        settings.listeners[1].address,
        BindAddress::Unix(folder.join("wsgate.sock"))
    );
    let chat = &settings.upstreams[0];
    assert_eq!(chat.tls.ca, Some(folder.join("files/a.pem")));
    let socket = Endpoint {
        address: EndpointAddress::Unix(folder.join("chat.sock")),
        weight: 7,
    };
    assert_eq!(chat.endpoints[1], socket);
}

#[test]
fn included_files_add_upstreams_and_routes_in_order() {
    let (settings, _) = everything();
    let names: Vec<&str> = settings
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["all", "defaults", "more.example.com", "inline.example.com"]
    );
    assert_eq!(settings.routes[2].upstream.endpoints.len(), 2);
}

#[test]
fn routes_with_the_same_inline_endpoint_share_an_upstream() {
    let (settings, _) = everything();
    assert!(Arc::ptr_eq(
        &settings.routes[0].upstream,
        &settings.routes[3].upstream
    ));
    let names: Vec<&str> = settings
        .upstreams
        .iter()
        .map(|upstream| upstream.name.as_str())
        .collect();
    assert_eq!(names, ["chat", "more", "ws://[::1]:9000"]);
}

#[test]
fn keys_are_known_by_their_digest_only() {
    let (settings, _) = everything();
    let robots = settings.auth.iter().find(|one| one.name == "robots");
    let Some(AuthKind::ApiKey(robots)) = robots.map(|one| &one.kind) else {
        panic!("{robots:?}");
    };
    let digests: Vec<[u8; 32]> = robots.keys.iter().map(|key| key.sha256).collect();
    assert_eq!(
        digests[0], digests[1],
        "written and hashed are the same key"
    );
    assert_ne!(digests[0], digests[2]);
    assert_eq!(
        robots.sources[0],
        CredentialSource::Header("authorization".to_owned())
    );
    let debug = format!("{settings:?}");
    assert!(
        !debug.contains("foo") && !debug.contains("sha256") && !debug.contains("0123456789abcdef"),
        "{debug}"
    );
}

#[test]
fn variables_stand_in_strings_for_numbers_and_booleans_too() {
    let text = r#"
        [server]
        workers = "${WORKERS}"
        drain_timeout = "${NONE:-1}m"
        [log]
        access = "${ACCESS}"
        [[listeners]]
        address = "127.0.0.1:${PORT}"
        [[routes]]
        upstream = "ws://${HOST}"
    "#;
    let variable = |name: &str| {
        let value = match name {
            "WORKERS" => "3",
            "ACCESS" => "false",
            "PORT" => "81",
            "HOST" => "db",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let settings = parse_with(text, Path::new("wsgate.toml"), &variable).unwrap();
    assert_eq!(settings.server.workers, Workers::Fixed(3));
    assert_eq!(settings.server.drain_timeout, seconds(60));
    assert!(!settings.log.access);
    assert_eq!(settings.listeners[0].name, "127.0.0.1:81");
    assert_eq!(settings.routes[0].upstream.name, "ws://db");
}

#[test]
fn the_scheme_of_clients_follows_from_tls() {
    let (settings, folder) = everything();
    assert_eq!(
        settings.listeners[0].public_scheme,
        Scheme::Http,
        "as written, in spite of TLS"
    );
    assert_eq!(settings.listeners[1].public_scheme, Scheme::Http);
    let text = MINIMAL.replace(
        "[[routes]]",
        "tls.certificates = [{ cert = \"files/a.pem\", key = \"files/a.key\" }]\n[[routes]]",
    );
    let settings = parse(&text, &folder.join("wsgate.toml")).unwrap();
    assert_eq!(settings.listeners[0].public_scheme, Scheme::Https);
}

#[test]
fn routes_may_share_a_place_if_their_subprotocols_or_listeners_differ() {
    settings(
        r#"
        [[listeners]]
        name = "a"
        address = "127.0.0.1:0"
        [[listeners]]
        name = "b"
        address = "127.0.0.1:0"
        [[routes]]
        name = "1"
        listeners = ["a"]
        subprotocols = ["x"]
        upstream = "builtin:echo"
        [[routes]]
        name = "2"
        listeners = ["a"]
        subprotocols = ["y"]
        upstream = "builtin:echo"
        [[routes]]
        name = "3"
        listeners = ["a"]
        upstream = "builtin:echo"
        [[routes]]
        name = "4"
        listeners = ["b"]
        upstream = "builtin:echo"
        "#,
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let problems = load(Path::new("no/such.toml")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "error: can't read `no/such.toml`: no such file or directory"
    );
}

#[test]
fn problems_have_colour_where_it_is_wanted() {
    let problems = parse("", Path::new("wsgate.toml")).unwrap_err();
    assert!(problems.render(true).contains("\u{1b}["));
    assert!(!problems.render(false).contains("\u{1b}["));
}

const EVERYTHING: &str = include_str!("../../tests/config/valid/everything.toml");

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// Whatever a file holds, it is either used or explained.
    #[test]
    fn no_text_is_too_broken_to_be_explained(
        at in 0..EVERYTHING.len(),
        length in 0..200usize,
        instead in "[\\[\\]{}\"'=.,a-z0-9\\né$ #*:/-]{0,12}",
    ) {
        let end = (at + length).min(EVERYTHING.len());
        if EVERYTHING.is_char_boundary(at) && EVERYTHING.is_char_boundary(end) {
            let text = format!("{}{instead}{}", &EVERYTHING[..at], &EVERYTHING[end..]);
            let (_, folder) = everything();
            if let Err(problems) = parse(&text, &folder.join("everything.toml")) {
                proptest::prop_assert!(problems.render(false).starts_with("error: "));
            }
        }
    }
}
