//! The system call itself and the shapes of its argument.

use std::io;

/// Commands, by the numbers of the kernel's interface.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Command {
    Lookup = 1,
    Update = 2,
    Delete = 3,
    NextKey = 4,
    Pin = 6,
    Open = 7,
    TestRun = 10,
    Info = 15,
    Take = 21,
    LookupBatch = 24,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkDetach = 34,
}

/// One element of a map. `value` is the next key for [`Command::NextKey`].
#[repr(C)]
#[derive(Default)]
pub(super) struct Element {
    pub(super) map: u32,
    pub(super) zero: u32,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) flags: u64,
}

/// Many elements of a map.
#[repr(C)]
#[derive(Default)]
pub(super) struct Elements {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) keys: u64,
    pub(super) values: u64,
    pub(super) count: u32,
    pub(super) map: u32,
    pub(super) element_flags: u64,
    pub(super) flags: u64,
}

/// A path of the BPF file system.
#[repr(C)]
#[derive(Default)]
pub(super) struct Path {
    pub(super) path: u64,
    pub(super) descriptor: u32,
    pub(super) flags: u32,
}

/// Where information about an object goes.
#[repr(C)]
#[derive(Default)]
pub(super) struct About {
    pub(super) descriptor: u32,
    pub(super) length: u32,
    pub(super) info: u64,
}

/// A link between program and interface.
#[repr(C)]
#[derive(Default)]
pub(super) struct NewLink {
    pub(super) program: u32,
    pub(super) interface: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
}

/// Another program for a link.
#[repr(C)]
#[derive(Default)]
pub(super) struct OtherProgram {
    pub(super) link: u32,
    pub(super) program: u32,
    pub(super) flags: u32,
    pub(super) old: u32,
}

/// A program run on a packet.
#[repr(C)]
#[derive(Default)]
pub(super) struct Run {
    pub(super) program: u32,
    pub(super) verdict: u32,
    pub(super) length_in: u32,
    pub(super) length_out: u32,
    pub(super) data_in: u64,
    pub(super) data_out: u64,
    pub(super) repeat: u32,
    pub(super) nanos: u32,
    pub(super) context_length_in: u32,
    pub(super) context_length_out: u32,
    pub(super) context_in: u64,
    pub(super) context_out: u64,
    pub(super) flags: u32,
    pub(super) cpu: u32,
    pub(super) batch: u32,
    pub(super) zero: u32,
}

/// Makes the call.
///
/// # Safety
/// `argument` is the shape that the command takes; addresses in it are of memory that the kernel may read or write as
/// the command does.
pub(super) unsafe fn bpf<T>(command: Command, argument: &mut T) -> io::Result<i32> {
    // SAFETY: the caller's promise; the size is the argument's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as u32,
            std::ptr::from_mut(argument),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Descriptors, and 0: they fit.
    Ok(result as i32)
}
