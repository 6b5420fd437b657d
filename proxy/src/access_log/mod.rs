//! Access logs: workers gather lines, one thread writes them.
//!
//! A worker appends to a [`LogBuffer`] of its own and hands it over when it is full or a tick has passed. The
//! queue to the [`LogWriter`] is bounded; when the disk cannot keep up, whole buffers are dropped and their
//! lines counted, and no worker ever waits. What a line says is up to its protocol: [`crate::http`] has its own.

pub(crate) mod connection;
mod stamp;
mod writer;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, mpsc},
};

use control::spec::{AccessLogSpec, AccessLogTarget};

pub(crate) use self::stamp::Stamp;
use self::writer::Job;
pub use self::writer::{LogHandle, LogWriter};

/// A buffer is handed over from this size on. At some 250 bytes a line that is one wake-up of the writer for 250 requests.
const BATCH: usize = 64 * 1024;

/// One worker's lines of one log that are not handed over yet.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    spec: AccessLogSpec,
    target: Arc<AccessLogTarget>,
    lines: RefCell<Lines>,
    to: LogHandle,
}

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
    dropped: u64,
    stamp: Stamp,
}

impl LogBuffer {
    /// Whether lines are JSON rather than text.
    pub(crate) fn is_json(&self) -> bool {
        self.spec.json
    }

    /// Appends a line; `write` is given the buffer and the time `wall` (milliseconds since 1970) as text, and
    /// ends what it writes with a line feed.
    pub(crate) fn line(&self, wall: u64, write: impl FnOnce(&mut Vec<u8>, &str)) {
        let mut lines = self.lines.borrow_mut();
        let Lines {
            bytes,
            count,
            stamp,
            ..
        } = &mut *lines;
        write(bytes, stamp.text(wall));
        *count += 1;
        if bytes.len() >= BATCH {
            self.hand_over(&mut lines);
        }
    }

    fn hand_over(&self, lines: &mut Lines) {
        if lines.count == 0 {
            return;
        }
        let bytes = std::mem::replace(&mut lines.bytes, Vec::with_capacity(BATCH + BATCH / 16));
        let job = Job::Write {
            target: Arc::clone(&self.target),
            bytes,
            lines: lines.count,
        };
        if let Err(mpsc::TrySendError::Full(Job::Write { bytes, .. })) = self.to.queue.try_send(job)
        {
            lines.dropped += lines.count;
            lines.bytes = bytes;
            lines.bytes.clear();
        }
        lines.count = 0;
    }
}

/// One worker's access logs.
#[derive(Debug)]
pub(crate) struct Logs {
    buffers: RefCell<Vec<Rc<LogBuffer>>>,
    to: LogHandle,
}

impl Logs {
    /// Logs that go to the writer behind `to`.
    pub(crate) fn new(to: LogHandle) -> Self {
        Self {
            buffers: RefCell::default(),
            to,
        }
    }

    /// The buffer of this log; the same for all services that share it.
    pub(crate) fn open(&self, spec: &AccessLogSpec) -> Rc<LogBuffer> {
        let mut buffers = self.buffers.borrow_mut();
        if let Some(buffer) = buffers.iter().find(|b| b.spec == *spec) {
            return Rc::clone(buffer);
        }
        let buffer = Rc::new(LogBuffer {
            spec: spec.clone(),
            target: Arc::new(spec.to.clone()),
            lines: RefCell::default(),
            to: self.to.clone(),
        });
        buffers.push(Rc::clone(&buffer));
        buffer
    }

    /// Hands over what has gathered; to be called every second or so, and at the end. Returns how many lines were dropped since
    /// the last call.
    pub(crate) fn flush(&self) -> u64 {
        let mut dropped = 0;
        self.buffers.borrow_mut().retain(|buffer| {
            let mut lines = buffer.lines.borrow_mut();
            buffer.hand_over(&mut lines);
            dropped += std::mem::take(&mut lines.dropped);
            drop(lines);
            // Nobody else holds it: the services that logged there are gone.
            Rc::strong_count(buffer) > 1
        });
        dropped
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn spec(name: &str) -> AccessLogSpec {
        let path = std::env::temp_dir().join(format!("aplomb-log-{}-{name}", std::process::id()));
        AccessLogSpec {
            to: AccessLogTarget::File(path),
            json: false,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test may wait for its file")]
    fn content(spec: &AccessLogSpec) -> String {
        let AccessLogTarget::File(path) = &spec.to else {
            panic!("not a file")
        };
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    fn say(log: &LogBuffer, text: &str) {
        log.line(0, |out, stamp| {
            out.extend_from_slice(format!("{stamp} {text}\n").as_bytes())
        });
    }

    #[test]
    fn lines_of_all_services_reach_the_file_in_order() {
        let (writer, spec) = (LogWriter::start().unwrap(), spec("order"));
        let logs = Logs::new(writer.handle());
        let (one, two) = (logs.open(&spec), logs.open(&spec));
        assert!(Rc::ptr_eq(&one, &two));
        say(&one, "a");
        say(&two, "b");
        assert_eq!(logs.flush(), 0);
        say(&one, "c");
        assert_eq!(logs.flush(), 0);
        writer.stop();
        let stamp = "1970-01-01T00:00:00.000Z";
        assert_eq!(content(&spec), format!("{stamp} a\n{stamp} b\n{stamp} c\n"));
    }

    #[test]
    fn a_rotated_file_is_left_alone_after_reopening() {
        let (writer, spec) = (LogWriter::start().unwrap(), spec("rotate"));
        let logs = Logs::new(writer.handle());
        let log = logs.open(&spec);
        say(&log, "old");
        let _ = logs.flush();
        let AccessLogTarget::File(path) = &spec.to else {
            panic!("not a file")
        };
        let old = AccessLogSpec {
            to: AccessLogTarget::File(path.with_extension("1")),
            json: false,
        };
        let AccessLogTarget::File(old_path) = &old.to else {
            panic!("not a file")
        };
        writer.handle().barrier();
        std::fs::rename(path, old_path).unwrap();
        writer.handle().reopen();
        say(&log, "new");
        let _ = logs.flush();
        writer.stop();
        assert!(content(&old).ends_with("old\n"));
        assert!(content(&spec).ends_with("new\n"));
    }

    #[test]
    fn what_the_writer_cannot_take_is_dropped_and_counted() {
        let (handle, stuck) = writer::stuck();
        let logs = Logs::new(handle);
        let log = logs.open(&spec("stuck"));
        let line = "x".repeat(BATCH);
        for _ in 0..writer::QUEUE + 3 {
            say(&log, &line);
        }
        assert_eq!(logs.flush(), 3);
        assert_eq!(logs.flush(), 0);
        drop(stuck);
    }
}
