//! A gateway as a process of its own; where it listens is known by what it logs.

use crate::rig::Failure;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

const START_WITHIN: Duration = Duration::from_secs(30);

/// Runs it in `folder`, where its `wsgate.toml` is; killed when it is dropped. Gives the addresses of so many
/// listeners, in the order of the configuration.
pub(crate) async fn launch<const N: usize>(
    binary: &Path,
    folder: &Path,
) -> Result<(Child, [SocketAddr; N]), Failure> {
    let mut child = Command::new(binary)
        .args(["run", "wsgate.toml"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let log = child.stderr.take().ok_or("no standard error")?;
    let addresses = timeout(START_WITHIN, listening(log)).await??;
    Ok((child, addresses))
}

/// The addresses of so many listeners, by their order in the log, which is that of the configuration.
/// Complaints are passed on to standard error, to the end.
async fn listening<const N: usize>(log: ChildStderr) -> Result<[SocketAddr; N], Failure> {
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
