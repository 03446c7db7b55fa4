//! The gateway as its peers see it: real sockets, raw bytes, one file per capability.
//!
//! A test starts a gateway from a configuration text, plays the peers it needs, and says what each
//! of them must see. `harness/` has the parts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "the harness is one crate with its tests")]

mod harness;

mod admin;
mod api_key;
mod auth_failures;
mod backpressure;
mod basic_auth;
mod capacity;
mod client_address;
mod client_cert;
mod control_frames;
mod cors;
mod documentation;
mod drain;
mod explain;
mod extensions;
mod forward_auth;
mod half_close;
mod handshake;
mod handshake_rate;
mod headers;
mod heads;
mod health;
mod hostile_handshake;
mod jwt;
mod key_sets;
mod logs;
mod max_handshakes;
mod metrics;
mod mtls;
mod networks;
mod origin;
mod peers;
mod plain_bounds;
mod plain_faults;
mod plain_http;
mod plain_smuggling;
mod program;
mod proxy_protocol;
mod rates;
mod redirect;
mod relay;
mod resets;
mod revocation;
mod routing;
mod session_limits;
mod smuggling;
mod stickiness;
mod subprotocols;
mod tickets;
mod timeouts;
mod tls;
mod tls_log;
mod unix_sockets;
mod upstream_faults;
mod violations;
