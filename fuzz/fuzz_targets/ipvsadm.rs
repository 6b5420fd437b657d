//! ipvsadm's command line: whatever the lines, an answer. The table that they make can be written as lines which make
//! the same table, and is the table of the configuration that it comes to.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use aplomb::ipvsadm::{Keeper, Names, run};
use control::{
    ipvs::{
        Edit, Error, Features, Overlay, Protocol, Seed, Table,
        listing::{Connection, Listing},
    },
    spec::Spec,
};
use libfuzzer_sys::fuzz_target;

/// A table that is nothing but the model.
#[derive(Default)]
struct Model(Table);

impl Keeper for Model {
    fn edit(&mut self, edits: &[Edit]) -> Result<Vec<Result<(), Error>>, String> {
        Ok(edits
            .iter()
            .map(|edit| self.0.edit(edit, Features::OURS))
            .collect())
    }

    fn listing(&mut self) -> Result<Listing, String> {
        Ok(Listing::of(&self.0, 4096))
    }

    fn connections(&mut self) -> Result<Vec<Connection>, String> {
        Ok(Vec::new())
    }
}

/// Few names, and no resolver.
struct Few;

impl Names for Few {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        (host == "vip").then_some(Ipv4Addr::new(192, 0, 2, 1))
    }

    fn port(&self, service: &str, _protocol: Protocol) -> Option<u16> {
        (service == "http").then_some(80)
    }

    fn host(&self, _address: IpAddr) -> Option<String> {
        None
    }

    fn service(&self, port: u16, _protocol: Protocol) -> Option<String> {
        (port == 80).then(|| "http".into())
    }
}

fn call(arguments: &[&str], stdin: &[u8], model: &mut Model) -> String {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let mut stdin = stdin;
    run(
        "ipvsadm",
        &arguments,
        &mut stdin,
        &Few,
        model,
        Seed::default(),
    )
    .stdout
}

/// Lines in an order of their own: ipvsadm's is none, and depends on what was added when.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fuzz_target!(|data: &[u8]| {
    let mut model = Model::default();
    let _ = call(&["-R"], data, &mut model);
    for listing in [
        &["-L"][..],
        &["-Ln", "--stats"],
        &["-L", "--tun-info", "--nosort"],
        &["-L", "--thresholds"],
    ] {
        let _ = call(listing, b"", &mut model);
    }
    let saved = call(&["-S", "-n"], b"", &mut model);
    let mut again = Model::default();
    let _ = call(&["-R"], saved.as_bytes(), &mut again);
    assert_eq!(lines(&call(&["-S", "-n"], b"", &mut again)), lines(&saved));

    let file = Spec::default();
    let overlay = Overlay::between(&file, &model.0);
    let effective = overlay.effective(&file);
    assert_eq!(
        Table::of(&effective).services.len(),
        model.0.services.len(),
        "each service has a place in the configuration"
    );
});
