//! Servers that echo, on a [`Site`] whose services a test writes itself.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use crate::{Site, wait_for};

/// Lengths of datagrams: those of one packet, and those of several fragments.
const LENGTHS: [usize; 4] = [10, 1400, 3_000, 20_000];

impl Site {
    /// The `[l4]` of a configuration that has its pins where the site's are.
    #[must_use]
    pub fn l4(&self) -> String {
        let pin = self.config().lines().find(|line| line.starts_with("pin"));
        format!("[l4]\n{}\n", pin.unwrap())
    }

    /// Has all servers echo at these ports: at their own addresses of the service's family by `nat`, else at the
    /// service's, from which they then also answer datagrams.
    pub fn echo_at_servers(&self, mode: &str, ports: &[u16]) {
        let vip = self.service_address().ip();
        for number in 1..4_u8 {
            let own: IpAddr = match vip {
                IpAddr::V4(_) => Ipv4Addr::new(10, 0, 0, 10 + number).into(),
                IpAddr::V6(_) => {
                    Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x10 + u16::from(number)).into()
                }
            };
            let address = if mode == "nat" { own } else { vip };
            for port in ports {
                self.echo(&format!("server{number}"), SocketAddr::new(address, *port));
            }
        }
    }

    /// The client sends a datagram of this length and has it sent back.
    ///
    /// # Errors
    /// It was refused, nothing came within two seconds, or something else did.
    pub fn datagram(&self, to: SocketAddr, length: usize) -> io::Result<()> {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.inside("client", move || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            socket.connect(to)?;
            let bytes: Vec<u8> = (0..length).map(|at| (at % 253) as u8).collect();
            let _ = socket.send(&bytes)?;
            let mut back = vec![0; length + 1];
            let got = socket.recv(&mut back)?;
            if back[..got] == bytes {
                return Ok(());
            }
            Err(io::Error::other("something else came back"))
        })
    }

    /// Datagrams longer than a packet come back whole from a service, and the error of a port of it that nobody listens
    /// on comes to the client.
    pub fn assert_datagrams(&self, to: SocketAddr, unheard: u16) {
        for length in LENGTHS {
            wait_for(&format!("a datagram of {length} bytes"), || {
                self.datagram(to, length).is_ok()
            });
            for _ in 0..6 {
                self.datagram(to, length).unwrap();
            }
        }
        let refused = self
            .datagram(SocketAddr::new(to.ip(), unheard), 10)
            .unwrap_err();
        assert_eq!(
            refused.kind(),
            io::ErrorKind::ConnectionRefused,
            "{refused}"
        );
    }
}
