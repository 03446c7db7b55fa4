//! Where a gateway listens that was started as a process of its own, by what it logs.

use crate::rig::Failure;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;

/// The addresses of so many listeners, by their order in the log, which is that of the configuration.
/// Complaints are passed on to standard error, to the end.
pub(crate) async fn listening<const N: usize>(
    log: ChildStderr,
) -> Result<[SocketAddr; N], Failure> {
    let mut lines = BufReader::new(log).lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next_line().await? {
        complain(&line);
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        // Fields stand beside the message, wherever that is.
        let fields = event.get("fields").unwrap_or(&event);
        if let Some(address) = fields["address"].as_str() {
            found.push(address.parse()?);
        }
        if let Ok(all) = <[SocketAddr; N]>::try_from(found.as_slice()) {
            tokio::spawn(async move {
                while let Ok(Some(line)) = lines.next_line().await {
                    complain(&line);
                }
            });
            return Ok(all);
        }
    }
    Err("the gateway did not start".into())
}

#[expect(
    clippy::print_stderr,
    reason = "what the gateway complains of is worth reading"
)]
fn complain(line: &str) {
    if !line.contains(r#""level":"INFO""#) {
        eprintln!("gateway: {line}");
    }
}
