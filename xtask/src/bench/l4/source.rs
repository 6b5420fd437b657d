//! The source of packets: the benchmark's programs, loaded, and run as often as wanted.

use super::net::Net;
use super::script::{Script, Stream};
use crate::Result;
use aya::Ebpf;
use aya::maps::{Array, ProgramArray};
use aya::programs::{ProgramFd, TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;

/// Packets that the kernel hands on together, as drivers do.
const BATCH: u32 = 64;

/// Where packets go when they are written, if not into the balancer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// Nowhere: what is then measured is the source itself.
    Drop,
    /// Into the machine's own stack.
    Pass,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Drop => "drop",
            End::Pass => "pass",
        }
    }
}

/// The programs.
pub(super) struct Source {
    object: Ebpf,
    /// Index of the device that packets come in by.
    device: u32,
    /// Its link-layer address.
    address: [u8; 6],
    frame: Vec<u8>,
}

impl Source {
    /// Loads the object in `file`; packets come in by `device`.
    pub(super) fn load(file: &Path, device: &str) -> Result<Source> {
        let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut object = Ebpf::load(&bytes).map_err(|e| said("the benchmark's programs", &e))?;
        for name in ["vary", "drop", "pass"] {
            let program = program(&mut object, name)?;
            program.load().map_err(|e| said(name, &e))?;
        }
        Ok(Source {
            object,
            device: device_index(device)?,
            address: device_address(device)?,
            frame: Vec::new(),
        })
    }

    /// Attaches an end to a device for as long as the source is there: a device that takes frames from XDP needs one.
    pub(super) fn attach(&mut self, end: End, device: &str) -> Result {
        let program = program(&mut self.object, end.name())?;
        program
            .attach(device, XdpMode::Driver)
            .map(drop)
            .map_err(|e| said(device, &e))
    }

    /// Chooses the packets; begins with the first flow.
    pub(super) fn stream(&mut self, stream: &Stream) -> Result {
        let (frame, script) = stream.script(self.address);
        self.frame = frame;
        let map = self.object.map_mut("SCRIPT").ok_or("no map SCRIPT")?;
        let mut map: Array<_, Script> = Array::try_from(map).map_err(|e| said("SCRIPT", &e))?;
        map.set(0, script, 0).map_err(|e| said("SCRIPT", &e))
    }

    /// One packet of a stream, to be sent some other way.
    pub(super) fn frame(&self, stream: &Stream, flow: u32) -> Vec<u8> {
        stream.frame(self.address, flow)
    }

    /// Lets packets go to one of the ends.
    pub(super) fn end(&mut self, end: End) -> Result {
        let program = program(&mut self.object, end.name())?;
        let fd = program.fd().map_err(|e| said(end.name(), &e))?;
        let fd = fd.try_clone().map_err(|e| said(end.name(), &e))?;
        self.onward(&fd)
    }

    /// Lets packets go into a program.
    pub(super) fn onward(&mut self, fd: &ProgramFd) -> Result {
        let map = self.object.map_mut("NEXT").ok_or("no map NEXT")?;
        let mut map = ProgramArray::try_from(map).map_err(|e| said("NEXT", &e))?;
        map.set(0, fd, 0).map_err(|e| said("NEXT", &e))
    }

    /// Sends `count` packets one after another and gives them up at the end of the program; nanoseconds for each.
    pub(super) fn run(&mut self, count: u32) -> Result<f64> {
        let before = own_nanos();
        if self.sent(count, TestRunAttrs::new())? == ABORTED {
            return Err("the program does not take its packets on (XDP_ABORTED)".into());
        }
        Ok((own_nanos() - before) as f64 / f64::from(count))
    }

    /// Sends `count` packets, which then go where the program wants them to go; nanoseconds for each, also of those
    /// that the kernel hands to a thread of its own. Waiting is not in them: the kernel waits when it is done.
    pub(super) fn live(&mut self, count: u32) -> Result<f64> {
        let before = own_nanos() + softirq_nanos()?;
        self.sent(count, TestRunAttrs::new().xdp_live_frames(BATCH))?;
        let after = own_nanos() + softirq_nanos()?;
        Ok((after - before) as f64 / f64::from(count))
    }

    /// As [`Source::live`], and sees that the packets left by `sink`, which was given up to `bulk` at a time.
    pub(super) fn arrives(&mut self, bulk: u32, count: u32) -> Result<f64> {
        let before = Net::left()?;
        let cost = self.live(count)?;
        // Others than ours may have passed too (neighbours that are asked for), and a few may be under way yet.
        let left = Net::left()? - before;
        if left < u64::from((count - count / 100) / bulk) {
            return Err(format!("of {count} packets {left} left"));
        }
        Ok(cost)
    }

    /// Sends; the verdict of the last packet.
    fn sent(&mut self, count: u32, attrs: TestRunAttrs) -> Result<u32> {
        let length = self.frame.len() as u32;
        // What the kernel calls `xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let mut context = [0; 24];
        context[4..8].copy_from_slice(&length.to_ne_bytes());
        context[12..16].copy_from_slice(&self.device.to_ne_bytes());
        let mut options = TestRunOptions::new();
        options.data_in = Some(&self.frame);
        options.ctx_in = Some(&context);
        options.repeat = count;
        options.attrs = attrs;
        let vary = program(&mut self.object, "vary")?;
        let result = vary.test_run(options).map_err(|e| said("test run", &e))?;
        Ok(result.return_value)
    }
}

/// Time of this thread on a processor, nanoseconds.
fn own_nanos() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Time of the kernel's threads that do what interrupts left, nanoseconds: `ksoftirqd` of all processors.
fn softirq_nanos() -> Result<i64> {
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc")
        .map_err(|e| e.to_string())?
        .flatten()
    {
        let path = entry.path();
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        if name.starts_with("ksoftirqd/") {
            let times = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let own = times
                .split(' ')
                .next()
                .and_then(|ns| ns.parse::<i64>().ok());
            sum += own.ok_or("the kernel counts no time of ksoftirqd")?;
        }
    }
    Ok(sum)
}

/// The verdict of a program that failed.
const ABORTED: u32 = 0;

fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = object
        .program_mut(name)
        .ok_or_else(|| format!("no program {name}"))?;
    program.try_into().map_err(|e| said(name, &e))
}

/// An error and what caused it.
pub(super) fn said(what: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The index of a device.
pub(super) fn device_index(name: &str) -> Result<u32> {
    device_file(name, "ifindex")?
        .parse()
        .map_err(|_| format!("{name} has no index"))
}

/// The link-layer address of a device.
pub(super) fn device_address(name: &str) -> Result<[u8; 6]> {
    let text = device_file(name, "address")?;
    let bytes: Vec<u8> = text
        .split(':')
        .filter_map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    bytes
        .try_into()
        .map_err(|_| format!("{name} has no Ethernet address"))
}

fn device_file(name: &str, file: &str) -> Result<String> {
    let path = format!("/sys/class/net/{name}/{file}");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    Ok(text.trim().to_owned())
}
