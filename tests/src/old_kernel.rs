//! A kernel that lacks something, as far as one program can tell: its calls for that are refused.

use std::{io, os::unix::process::CommandExt, process::Command};

/// Has what `command` starts find no packet filter (nf_tables): the sockets to it are refused as a kernel without netfilter
/// refuses them, and all else is as ever. Root only.
pub fn without_packet_filter(command: &mut Command) {
    // SAFETY: it makes two system calls between fork and exec, and allocates nothing.
    let _ = unsafe { command.pre_exec(refuse_netfilter) };
}

const fn load(offset: u32) -> libc::sock_filter {
    let code = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

/// Goes on if what was loaded is `k`, else skips so many.
const fn unless(k: u32, skip: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter {
        code,
        jt: 0,
        jf: skip,
        k,
    }
}

const fn end(k: u32) -> libc::sock_filter {
    let code = (libc::BPF_RET | libc::BPF_K) as u16;
    libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// The lower half of an argument in `seccomp_data`.
const fn argument(nth: u32) -> u32 {
    let upper_first = cfg!(target_endian = "big") as u32 * 4;
    16 + 8 * nth + upper_first
}

/// `socket(AF_NETLINK, …, NETLINK_NETFILTER)` is "protocol not supported".
fn refuse_netfilter() -> io::Result<()> {
    let mut filter = [
        load(0),
        unless(libc::SYS_socket as u32, 5),
        load(argument(0)),
        unless(libc::AF_NETLINK as u32, 3),
        load(argument(2)),
        unless(libc::NETLINK_NETFILTER as u32, 1),
        end(libc::SECCOMP_RET_ERRNO | libc::EPROTONOSUPPORT as u32),
        end(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which lives for the call.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
