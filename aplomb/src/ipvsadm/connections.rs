//! The listing of connections (`-L -c`).

use std::fmt::{self, Write};

use control::ipvs::listing::Connection;

use super::{Names, address::Writer, arguments::Format, list};

/// All of them, in the order in which they come.
pub(super) fn table(
    out: &mut String,
    connections: &[Connection],
    format: Format,
    names: &dyn Names,
) -> fmt::Result {
    out.push_str("IPVS connection entries\npro expire state       source             virtual            destination");
    if format.persistent {
        out.push_str("        pe name          pe_data");
    }
    out.push('\n');
    let writer = Writer {
        numeric: format.numeric,
        names,
    };
    for connection in connections {
        let name = |address| writer.full(address, connection.protocol);
        // Minutes may have more than two digits.
        let (minutes, seconds) = (connection.expires / 60, connection.expires % 60);
        let expires = format!("{minutes:02}:{seconds:02}");
        writeln!(
            out,
            "{:<3} {expires:<6} {:<11} {:<18} {:<18} {}",
            list::protocol(connection.protocol),
            connection.state,
            name(connection.client),
            name(connection.service),
            name(connection.destination),
        )?;
    }
    Ok(())
}
