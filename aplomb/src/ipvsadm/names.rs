//! Names of hosts and ports, both ways.

use std::{
    ffi::{CStr, CString},
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs},
};

use control::ipvs::Protocol;

/// Knows names.
pub trait Names {
    /// The first IPv4 address of a host. `ipvsadm` does not look for IPv6 ones.
    fn address(&self, host: &str) -> Option<Ipv4Addr>;
    /// The port of a service.
    fn port(&self, service: &str, protocol: Protocol) -> Option<u16>;
    /// The host that an address belongs to.
    fn host(&self, address: IpAddr) -> Option<String>;
    /// The service at a port.
    fn service(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// The system's: hosts, services, DNS, as it is configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Names for System {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        let all = (host, 0).to_socket_addrs().ok()?;
        all.into_iter().find_map(|address| match address {
            SocketAddr::V4(four) => Some(*four.ip()),
            SocketAddr::V6(_) => None,
        })
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let service = CString::new(service).ok()?;
        let protocol = CString::new(protocol.word()).ok()?;
        // SAFETY: both are C strings that outlive the call. It may use static memory of its own; this program looks
        // names up on one thread only.
        let found = unsafe { libc::getservbyname(service.as_ptr(), protocol.as_ptr()) };
        // SAFETY: null, or what it found, which is valid until the next such call.
        let found = unsafe { found.as_ref() }?;
        u16::try_from(found.s_port).ok().map(u16::from_be)
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        let address = socket2::SockAddr::from(SocketAddr::new(address, 0));
        // NI_MAXHOST of glibc and musl.
        let mut host = [0; 1025];
        // SAFETY: address and buffer are given with their lengths.
        let outcome = unsafe {
            libc::getnameinfo(
                address.as_ptr().cast(),
                address.len(),
                host.as_mut_ptr(),
                host.len() as libc::socklen_t,
                std::ptr::null_mut(),
                0,
                libc::NI_NAMEREQD,
            )
        };
        if outcome != 0 {
            return None;
        }
        // SAFETY: it ends what it writes with a zero.
        let host = unsafe { CStr::from_ptr(host.as_ptr()) };
        host.to_str().ok().map(str::to_owned)
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        let protocol = CString::new(protocol.word()).ok()?;
        // SAFETY: as in `port`.
        let found =
            unsafe { libc::getservbyport(libc::c_int::from(port.to_be()), protocol.as_ptr()) };
        // SAFETY: as in `port`.
        let name = unsafe { found.as_ref() }?.s_name;
        // SAFETY: a C string of what was found.
        let name = unsafe { CStr::from_ptr(name) };
        name.to_str().ok().map(str::to_owned)
    }
}
