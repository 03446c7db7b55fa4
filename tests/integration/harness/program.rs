//! The real program as a process of its own: exit codes, signals, and what it writes.

use super::{Leg, within};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A running `wsgate`, killed at the end of the test if it still is.
pub struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// Every line so far.
    pub log: Vec<String>,
    /// Of the first listener.
    pub address: String,
}

/// What a run to the end gave.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsgate"));
    // Nothing of the machine's own: no configuration, no log filter.
    command.args(arguments).current_dir(folder).env_clear();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Writes a configuration; its path.
pub fn configuration(folder: &Path, toml: &str) -> PathBuf {
    let path = folder.join("wsgate.toml");
    std::fs::write(&path, toml).unwrap();
    path
}

/// Runs it to its end with `input`.
pub async fn finish(arguments: &[&str], folder: &Path, input: &str) -> Finished {
    let mut child = command(arguments, folder).spawn().unwrap();
    // One that never reads has closed the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    end_of(child).await
}

/// Runs it to its end where nobody reads what it answers.
pub async fn finish_unread(arguments: &[&str], folder: &Path) -> Finished {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command(arguments, folder).stdout(writer).spawn().unwrap();
    end_of(child).await
}

async fn end_of(child: Child) -> Finished {
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = within("the program's end", ended).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Program {
    /// Starts it and waits until it listens.
    pub async fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut child = command(arguments, folder).spawn().unwrap();
        let (sender, lines) = mpsc::channel(10_000);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        let mut program = Self {
            child,
            lines,
            log: Vec::new(),
            address: String::new(),
        };
        program.address = program.listening().await;
        program
    }

    /// The address in the first line that says `listening`, in JSON or in text.
    async fn listening(&mut self) -> String {
        loop {
            let line = self.line("listening").await;
            let field = ["\"address\":\"", "address=\"", "address="];
            let Some(start) = field.iter().find_map(|name| line.split_once(name)) else {
                continue;
            };
            let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
            let end = start.1.find(|c| !is_part(c)).unwrap_or(start.1.len());
            return start.1[..end].to_owned();
        }
    }

    async fn line(&mut self, wanted: &str) -> String {
        let line = within(&format!("a log line `{wanted}`"), self.lines.recv()).await;
        let line = line.unwrap_or_else(|| panic!("no `{wanted}` in {:#?}", self.log));
        self.log.push(line.clone());
        line
    }

    /// The next line that has this message.
    pub async fn event(&mut self, message: &str) -> Value {
        loop {
            let line = self.line(message).await;
            let Ok(event) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if event["message"] == message {
                return event;
            }
        }
    }

    pub async fn connect(&self) -> Leg {
        Leg::plain(
            within("connecting", TcpStream::connect(&self.address))
                .await
                .unwrap(),
        )
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: the exit code, and the whole log.
    pub async fn ended(mut self) -> (Option<i32>, Vec<String>) {
        within("the end of the log", async {
            while let Some(line) = self.lines.recv().await {
                self.log.push(line);
            }
        })
        .await;
        let status = self.child.wait().unwrap();
        (status.code(), std::mem::take(&mut self.log))
    }

    /// Its resident memory now, in KiB.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it ever was.
    pub fn memory_peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// How many files it has open.
    pub fn files(&self) -> u64 {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).unwrap().count() as u64
    }

    /// Lets it have no more than so many, those that are open included.
    pub fn limit_files(&self, most: u64) {
        let pid = Some(Pid::from_child(&self.child));
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(most),
            maximum: hard,
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
