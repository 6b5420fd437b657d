//! The lines of TCP connections and UDP flows.

use std::{io::Write, net::SocketAddr, time::Duration};

use control::name::Name;

use crate::stats::Fault;

/// What a line says of a connection or flow, apart from how it ended.
#[derive(Debug)]
pub(crate) struct Line {
    client: SocketAddr,
    /// Where it went, if anywhere.
    pub(crate) backend: Option<SocketAddr>,
    /// How long the connection to the backend took to be made.
    pub(crate) connected: Option<Duration>,
    /// Bytes from the client.
    pub(crate) bytes_in: u64,
    /// Bytes to the client.
    pub(crate) bytes_out: u64,
}

/// How a connection or flow ended.
pub(crate) struct Ending {
    pub(crate) outcome: Result<(), Fault>,
    pub(crate) lasted: Duration,
}

impl Line {
    /// A line of a client that has got nowhere yet.
    pub(crate) fn new(client: SocketAddr) -> Self {
        Self {
            client,
            backend: None,
            connected: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Appends the line. Times are in milliseconds; `-` (JSON: null) is what there was none of.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        stamp: &str,
        json: bool,
        service: &Name,
        ending: &Ending,
    ) {
        // Writing to a vector cannot fail.
        let _ = if json {
            self.write_json(out, stamp, service, ending)
        } else {
            self.write_text(out, stamp, service, ending)
        };
    }

    fn write_text(
        &self,
        out: &mut Vec<u8>,
        stamp: &str,
        service: &Name,
        ending: &Ending,
    ) -> std::io::Result<()> {
        write!(out, "{stamp} {service} {} ", self.client)?;
        match self.backend {
            Some(backend) => write!(out, "{backend} ")?,
            None => out.extend_from_slice(b"- "),
        }
        let (received, sent) = (self.bytes_in, self.bytes_out);
        write!(out, "in={received} out={sent} connect=")?;
        match self.connected {
            Some(connected) => write!(out, "{:.3}", millis(connected))?,
            None => out.push(b'-'),
        }
        write!(out, " total={:.3} ", millis(ending.lasted))?;
        match ending.outcome {
            Ok(()) => writeln!(out, "ok"),
            Err(fault) => writeln!(out, "{fault}"),
        }
    }

    /// Nothing in it needs escaping: names, addresses and numbers.
    fn write_json(
        &self,
        out: &mut Vec<u8>,
        stamp: &str,
        service: &Name,
        ending: &Ending,
    ) -> std::io::Result<()> {
        let client = self.client;
        write!(
            out,
            r#"{{"time":"{stamp}","service":"{service}","client":"{client}","backend":"#
        )?;
        match self.backend {
            Some(backend) => write!(out, "\"{backend}\"")?,
            None => out.extend_from_slice(b"null"),
        }
        let (received, sent) = (self.bytes_in, self.bytes_out);
        write!(
            out,
            r#","bytes_in":{received},"bytes_out":{sent},"connect_ms":"#
        )?;
        match self.connected {
            Some(connected) => write!(out, "{:.3}", millis(connected))?,
            None => out.extend_from_slice(b"null"),
        }
        write!(out, r#","total_ms":{:.3},"error":"#, millis(ending.lasted))?;
        match ending.outcome {
            Ok(()) => writeln!(out, "null}}"),
            Err(fault) => writeln!(out, "\"{fault}\"}}"),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::stats::{Reason, Side};

    fn text(line: &Line, json: bool, outcome: Result<(), Fault>) -> String {
        let ending = Ending {
            outcome,
            lasted: Duration::from_micros(12_345),
        };
        let mut out = Vec::new();
        line.write(
            &mut out,
            "2026-01-01T00:00:00.000Z",
            json,
            &"db".parse().unwrap(),
            &ending,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_say_where_it_went_and_how_it_ended() {
        let mut line = Line::new("192.0.2.1:5".parse().unwrap());
        let refused = Err(Fault::new(Side::Backend, Reason::Connect));
        assert_eq!(
            text(&line, false, refused),
            "2026-01-01T00:00:00.000Z db 192.0.2.1:5 - in=0 out=0 connect=- total=12.345 backend:connect\n"
        );
        line.backend = Some("[::1]:80".parse().unwrap());
        line.connected = Some(Duration::from_micros(500));
        (line.bytes_in, line.bytes_out) = (3, 4);
        assert_eq!(
            text(&line, false, Ok(())),
            "2026-01-01T00:00:00.000Z db 192.0.2.1:5 [::1]:80 in=3 out=4 connect=0.500 total=12.345 ok\n"
        );
        assert_eq!(
            text(&line, true, Ok(())),
            concat!(
                r#"{"time":"2026-01-01T00:00:00.000Z","service":"db","client":"192.0.2.1:5","#,
                r#""backend":"[::1]:80","bytes_in":3,"bytes_out":4,"connect_ms":0.500,"#,
                r#""total_ms":12.345,"error":null}"#,
                "\n"
            )
        );
        assert!(text(&line, true, refused).ends_with("\"error\":\"backend:connect\"}\n"));
    }
}
