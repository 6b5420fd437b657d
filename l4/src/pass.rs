//! A program that passes every packet, for the far ends of virtual cables: a veth delivers what XDP transmits only to a
//! peer that has a program of its own. Labs and tests need it; a real network card does not.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// `r0 = XDP_PASS`, `exit`.
const PASS: [u64; 2] = [
    u64::from_le_bytes([0xb7, 0, 0, 0, 2, 0, 0, 0]),
    u64::from_le_bytes([0x95, 0, 0, 0, 0, 0, 0, 0]),
];
const LICENSE: &std::ffi::CStr = c"MIT";
const BPF_PROG_LOAD: u32 = 5;
const BPF_LINK_CREATE: u32 = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;

/// What loads a program: the first fields of the kernel's `union bpf_attr`.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
}

/// What attaches one.
#[repr(C)]
struct Link {
    program: u32,
    interface: u32,
    kind: u32,
    flags: u32,
}

/// Has the device, of the caller's network namespace, pass every packet up through a program, until what is returned
/// is closed or the device goes.
///
/// # Errors
/// What the kernel says: without root, or if there is a program already.
pub fn let_pass(ifindex: u32) -> io::Result<OwnedFd> {
    let load = Load {
        kind: BPF_PROG_TYPE_XDP,
        instructions: PASS.len() as u32,
        code: PASS.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
    };
    // SAFETY: the shape that the command takes; both addresses are of constants.
    let program = unsafe { bpf(BPF_PROG_LOAD, &load) }?;
    let link = Link {
        program: program.as_raw_fd().cast_unsigned(),
        interface: ifindex,
        kind: BPF_XDP,
        flags: 0,
    };
    // SAFETY: the shape that the command takes; it holds no addresses.
    unsafe { bpf(BPF_LINK_CREATE, &link) }
}

/// Makes a system call that gives a descriptor.
///
/// # Safety
/// `argument` is the shape that the command takes, and the addresses in it are valid.
unsafe fn bpf<T>(command: u32, argument: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the size is the argument's.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, argument, size_of::<T>()) };
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
