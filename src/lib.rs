//! A gateway for WebSockets.
//!
//! The modules in the order of the layers; each may import from those above it, never below
//! (`tests/architecture.rs` holds it).

pub mod causes;
pub mod config;
pub mod frame;
pub mod http;
pub mod net;

pub mod fetch;
pub mod follow;
pub mod route;
pub mod tls;

pub mod admission;
pub mod relay;
pub mod upstream;

pub mod session;

pub mod telemetry;

pub mod gateway;

pub mod admin;

pub mod lifecycle;

pub mod cli;
