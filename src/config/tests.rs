//! What whole files mean.

use super::load::parse_with;
use super::*;
use std::path::{Path, PathBuf};
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

fn with_minimal(text: &str) -> Settings {
    settings(&format!("{MINIMAL}{text}"))
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
        resolve: Resolve::All,
        resolve_interval: seconds(30),
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
        auth: Vec::new(),
        upstream: Arc::clone(&upstream),
        strip_prefix: None,
        add_prefix: None,
        identity_header: None,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        compression: Compression::Off,
        limits: Limits {
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
        },
    };
    let expected = Settings {
        server: Server {
            workers: Workers::Auto,
            max_connections: 100_000,
            drain_timeout: seconds(30),
        },
        log: Log {
            level: "info".to_owned(),
            format: LogFormat::Auto,
            access: true,
        },
        listeners: vec![Listener {
            name: "127.0.0.1:8080".to_owned(),
            address: BindAddress::Tcp(([127, 0, 0, 1], 8080).into()),
            head_timeout: seconds(10),
            max_header_size: 16 << 10,
            public_scheme: Scheme::Http,
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
fn routes_take_what_they_leave_out_from_route_defaults_key_by_key() {
    let settings = settings(
        r#"
        [route_defaults]
        compression = "passthrough"
        subprotocol_is_no_key = {}
        "#
        .replace("subprotocol_is_no_key = {}", "")
        .as_str(),
    );
    drop(settings);
}

#[test]
fn names_of_routes_are_made_of_hosts_and_paths() {
    let name = |keys: &str| {
        let text = MINIMAL.replace("[[routes]]", &format!("[[routes]]\n{keys}"));
        settings(&text).routes[0].name.clone()
    };
    assert_eq!(name(""), "/*");
    assert_eq!(name("host = \"a.b\""), "a.b");
    assert_eq!(name("path = \"/a/*\""), "/a/*");
    assert_eq!(name("host = [\"a.b\", \"*.c\"]\npath = [\"/a\", \"/b\"]"), "a.b,*.c/a,/b");
    assert_eq!(name("name = \"n\"\nhost = \"a.b\""), "n");
}
