//! Sessions that have said one message and are silent.

use super::link::Door;
use super::talk::Frames;
use super::{Job, READY};
use crate::rig::Failure;
use crate::workload::Kind;
use std::io::Read;

const SIZE: usize = 125;

/// Opens all sessions, says so, and holds them until standard input ends.
#[expect(
    clippy::print_stdout,
    reason = "the word that whoever started this waits for"
)]
pub(super) fn hold(job: &Job, door: &Door) -> Result<(), Failure> {
    let frames = Frames::new(Kind::Binary, SIZE, 1);
    let mut held = Vec::with_capacity(job.sessions);
    let mut room = vec![0; frames.echo.len()];
    for _ in 0..job.sessions {
        let mut link = door.open("/")?;
        link.send_all(&frames.sent)?;
        link.read_all(&mut room)?;
        if room != frames.echo {
            return Err("a message came back changed".into());
        }
        held.push(link);
    }
    println!("{READY}");
    // It is the same to us whether it ends or fails.
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}
