//! For those who run the gateway: probes on `[health]`, probes and metrics on `[admin]`.
//!
//! A small HTTP server of its own, on a thread of its own, so that a scrape costs no session a
//! moment and a probe is answered whatever clients do. `server` bounds what a connection may take,
//! `desk` answers, `tokens` says who may ask, `probe` asks from outside. Nothing here is reachable
//! by way of the listeners of clients.

mod desk;
mod probe;
mod server;
mod tokens;

pub use desk::{Desk, Offer};
pub use probe::{Probe, ProbeError, ask, way_to};
pub use server::Server;
pub use tokens::Tokens;
