//! Lines on their way out: whoever logs never waits for who reads. A thread writes them, as many at a
//! time as there are, and is there only while lines come.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for a slow terminal or pipe; beyond it lines are dropped and counted.
const WAITING_LINES: usize = 16_384;

/// How long the thread waits for another line before it goes.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1000 });

/// How long the end of the process waits for a slow reader.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines are left. Its clones are one.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Lines came while the thread waited for some, or the last of them is out.
    news: Condvar,
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lines: usize,
    dropped: usize,
    thread: Thread,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Gone,
    Waiting,
    Writing,
}

impl LogWriter {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            news: Condvar::new(),
            out: Mutex::new(Box::new(out)),
        }))
    }

    /// Lines that were dropped because nobody took those before them.
    pub(super) fn dropped(&self) -> usize {
        self.0.lock().dropped
    }

    /// Waits, not for ever, until everything is written.
    pub(super) fn finish(&self) {
        let is_at_it = |state: &mut State| match state.thread {
            Thread::Gone => false,
            Thread::Waiting => state.lines > 0,
            Thread::Writing => true,
        };
        let state = self.0.lock();
        let waited = self.0.news.wait_timeout_while(state, LAST_WORDS, is_at_it);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.thread == Thread::Gone {
            // There was no thread to be had.
            let left = state.take();
            drop(state);
            self.0.write(&left);
        }
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.lines == WAITING_LINES {
            state.dropped = state.dropped.saturating_add(1);
            return;
        }
        state.waiting.extend_from_slice(line);
        state.lines += 1;
        match state.thread {
            Thread::Writing => {}
            // It is woken once: the second line finds it neither asleep nor at work.
            Thread::Waiting if state.lines > 1 => {}
            Thread::Waiting => self.0.news.notify_all(),
            Thread::Gone => {
                let shared = Arc::clone(&self.0);
                let thread = std::thread::Builder::new().name("wsgate-log".to_owned());
                // If there is none to be had, the next line tries again.
                if thread.spawn(move || shared.work()).is_ok() {
                    state.thread = Thread::Writing;
                }
            }
        }
    }
}

impl Shared {
    /// The thread's life.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            let lines = state.take();
            if lines.is_empty() {
                state.thread = Thread::Waiting;
                self.news.notify_all();
                let waited = self
                    .news
                    .wait_timeout_while(state, PATIENCE, |state| state.lines == 0);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if state.lines == 0 {
                    state.thread = Thread::Gone;
                    return self.news.notify_all();
                }
                continue;
            }
            state.thread = Thread::Writing;
            drop(state);
            self.write(&lines);
            state = self.lock();
        }
    }

    fn write(&self, lines: &[u8]) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody left to be told that nobody listens.
        let _ = out.write_all(lines).and_then(|()| out.flush());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Vec<u8> {
        self.lines = 0;
        mem::take(&mut self.waiting)
    }
}

/// Each write is a line.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// Each write waits until it is taken.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (LogWriter, Receiver<Vec<u8>>) {
        let (out, taken) = sync_channel(0);
        (LogWriter::new(Slow(out)), taken)
    }

    #[test]
    fn every_line_comes_out_in_order_and_many_at_a_time() {
        let (mut log, taken) = slow();
        log.write_all(b"first\n").unwrap();
        // The thread is at the first one, which nobody has taken.
        for number in 0..1000 {
            log.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let mut text = Vec::new();
        let mut writes = 0;
        while !text.ends_with(b"\n999\n") {
            text.extend(taken.recv().unwrap());
            writes += 1;
        }
        let rest: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), format!("first\n{rest}"));
        assert!(writes <= 3, "{writes} writes");
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn who_logs_does_not_wait_for_who_reads_nothing() {
        let (mut log, taken) = slow();
        for _ in 0..2 * WAITING_LINES + 1 {
            log.write_all(b"x\n").unwrap();
        }
        let dropped = log.dropped();
        assert!((1..=WAITING_LINES + 1).contains(&dropped), "{dropped}");
        let mut lines = 0;
        while lines < 2 * WAITING_LINES + 1 - dropped {
            lines += taken.recv().unwrap().len() / 2;
        }
        assert_eq!(lines, 2 * WAITING_LINES + 1 - dropped);
    }

    #[test]
    fn the_end_waits_for_the_last_line() {
        let (mut log, taken) = slow();
        let reader =
            std::thread::spawn(move || taken.iter().map(|lines| lines.len()).sum::<usize>());
        for _ in 0..100 {
            log.write_all(b"x\n").unwrap();
        }
        log.finish();
        let state = log.0.lock();
        assert!(state.lines == 0 && state.thread != Thread::Writing);
        drop(state);
        // The reader ends with whoever writes to it.
        *log.0.out.lock().unwrap() = Box::new(io::sink());
        assert_eq!(reader.join().unwrap(), 200);
    }

    #[test]
    fn the_thread_goes_when_nothing_comes_and_another_one_comes() {
        let (mut log, taken) = slow();
        for line in [b"one\n", b"two\n"] {
            log.write_all(line).unwrap();
            assert_eq!(taken.recv().unwrap(), line);
            let state = log.0.lock();
            let is_there = |state: &mut State| state.thread != Thread::Gone;
            let gone = log
                .0
                .news
                .wait_timeout_while(state, 60 * PATIENCE, is_there);
            assert!(!gone.unwrap().1.timed_out());
        }
    }
}
