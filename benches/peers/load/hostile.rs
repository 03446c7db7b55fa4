//! The hostile session, a process of its own that has what time of the core others leave.

use super::link::{Door, Link, MASK};
use super::talk::ROOM;
use super::{Job, READY};
use crate::clock::now;
use crate::rig::Failure;
use crate::rig::flow::Stream;
use crate::rig::message::{Kind, message};
use crate::workload::Hostile;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often it looks whether it is to end.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// What it did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Deeds {
    /// Sent and read by the client.
    pub(super) bytes: u64,
    pub(super) took: Duration,
    /// How often somebody ended the session; it came again.
    pub(super) ended: u64,
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Says when the session is open, and goes on until standard input ends; then tells what it did.
#[expect(clippy::print_stdout, reason = "the result")]
pub(super) fn be(job: &Job, hostile: Hostile) -> Result<(), Failure> {
    let door = Door::new(job.hostile_address, job.certificate.as_deref(), false)?;
    thread::spawn(|| {
        // It is the same to us whether it ends or fails.
        let _ = io::stdin().read(&mut [0]);
        IS_OVER.store(true, Ordering::Relaxed);
    });
    let mut deeds = Deeds::default();
    let began = now();
    let mut room = vec![0; ROOM];
    let mut link = door.open(&hostile.path())?;
    println!("{READY}");
    loop {
        go_on(link, hostile, &mut room, &mut deeds)?;
        if IS_OVER.load(Ordering::Relaxed) {
            break;
        }
        deeds.ended += 1;
        link = door.open(&hostile.path())?;
    }
    deeds.took = began.elapsed();
    println!("{}", serde_json::to_string(&deeds)?);
    Ok(())
}

/// One session, until somebody ends it or it is over.
fn go_on(
    mut link: Link,
    hostile: Hostile,
    room: &mut [u8],
    deeds: &mut Deeds,
) -> Result<(), Failure> {
    // Servers that send begin with that.
    link.send_all(&message(Kind::Binary, 0, Some(MASK)))?;
    link.stop_waiting()?;
    let mut stream = hostile.sends.map(|flow| Stream::new(flow, Some(MASK)));
    let mut wanted = PollFlags::RDHUP;
    wanted.set(PollFlags::IN, hostile.reads);
    wanted.set(PollFlags::OUT, stream.is_some());
    while !IS_OVER.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(&link, wanted)];
        match poll(&mut ready, Some(&LOOK)) {
            Err(Errno::INTR) => continue,
            waited => drop(waited?),
        }
        let flags = ready[0].revents();
        if flags.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return Ok(());
        }
        let mut done = Ok(0);
        if flags.contains(PollFlags::OUT)
            && let Some(stream) = &mut stream
        {
            done = stream.send(|bytes| link.send(bytes));
        }
        if flags.contains(PollFlags::IN) && done.is_ok() {
            done = done.and_then(|sent| Ok(sent + read(&mut link, room)?));
        }
        match done {
            Ok(count) => deeds.bytes += count as u64,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn read(link: &mut Link, room: &mut [u8]) -> io::Result<usize> {
    match link.read(room) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        read => read,
    }
}
