//! The program and its maps: loaded into the kernel, or found there.
//!
//! Maps are pinned under `PIN/vLAYOUT/NAME`. Those that are there and of the right shape are taken over; one of another
//! size gives way to a new one, into which its entries are carried ([`mod@carry`]).

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use aya::{EbpfError, EbpfLoader, maps::MapError, programs::ProgramError};
use control::spec::L4Spec;
use xdp::abi::{LAYOUT, buckets, near};

use super::{
    StartError, bpffs,
    carry::{self, Inheritance, Outgrown},
};
use crate::{
    maps::{Maps, NAMES, secret},
    sys::object,
};

/// The program as it was built (`cargo xtask bpf`).
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../xdp/aplomb-xdp.bpf.o"
));
/// What it is called in there.
const PROGRAM: &str = "aplomb";

/// What is in the kernel now.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) program: OwnedFd,
    pub(crate) maps: Maps,
    /// Whether the maps were there already.
    pub(crate) adopted: bool,
    /// Tables of flows that gave way to others.
    outgrown: Vec<Outgrown>,
    /// What a version with another layout left.
    inheritance: Option<Inheritance>,
}

/// The directory of maps.
pub(crate) fn directory(pin: &Path) -> PathBuf {
    pin.join(format!("v{LAYOUT}"))
}

/// What the program is loaded with beside what it was built with.
struct Given {
    /// Sizes of maps: those of flows have buckets.
    sizes: BTreeMap<&'static str, u32>,
    /// What the places of flows depend on.
    secret: u64,
}

impl Given {
    fn new(spec: &L4Spec, secret: Option<u64>) -> Self {
        let (flows, pending) = (buckets(spec.max_flows), buckets(spec.max_handshakes));
        Self {
            sizes: BTreeMap::from([
                ("FLOWS4", flows),
                ("FLOWS6", flows),
                ("PENDING4", pending),
                ("PENDING6", pending),
            ]),
            secret: secret.unwrap_or_else(made_up),
        }
    }
}

/// A number that nobody can foresee, and not 0.
fn made_up() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish().max(1)
}

/// Loads the program with its maps, those that are pinned if there are any.
pub(crate) fn load(spec: &L4Spec) -> Result<Loaded, StartError> {
    check_kernel()?;
    bpffs::prepare(&spec.pin)?;
    let directory = directory(&spec.pin);
    bpffs::create(&directory).map_err(StartError::of("making the directory of maps"))?;
    let inheritance = carry::inherit(&spec.pin, &directory)?;
    let settings = object::open(&directory.join("SETTINGS"))
        .map_err(StartError::of("opening a pinned map"))?;
    let secret = settings.map(secret).transpose();
    let secret = secret.map_err(StartError::of("reading a pinned map"))?;
    let given = Given::new(spec, secret.flatten());
    let mut adopted = false;
    let mut outgrown = Vec::new();
    for name in NAMES {
        let path = directory.join(name);
        let map = object::open(&path).map_err(StartError::of("opening a pinned map"))?;
        let Some(map) = map else {
            continue;
        };
        adopted = true;
        let size = given.sizes.get(name).copied();
        if !carry::fits(&map, size).map_err(StartError::of("looking at a pinned map"))? {
            bpffs::unpin(&path).map_err(StartError::of("replacing a pinned map"))?;
            outgrown.push(Outgrown::new(name, map, given.secret));
        }
    }
    let program = from_object(&given, Some(&directory))?.0;
    let maps = Maps::open(given.secret, |name| {
        object::open(&directory.join(name))?
            .ok_or_else(|| io::Error::other(format!("the map {name} is not pinned")))
    })
    .map_err(StartError::of("opening maps"))?;
    let loaded = Loaded {
        program,
        maps,
        adopted,
        outgrown,
        inheritance,
    };
    if loaded.carries() {
        carry::begin(&loaded.maps).map_err(StartError::of("writing settings"))?;
        loaded.carry_over();
    }
    Ok(loaded)
}

/// Loads the program with maps of its own, that nothing is pinned of: for tests.
pub(crate) fn load_privately(spec: &L4Spec) -> Result<Loaded, StartError> {
    check_kernel()?;
    let given = Given::new(spec, None);
    let (program, mut maps) = from_object(&given, None)?;
    let maps = Maps::open(given.secret, |name| {
        maps.remove(name)
            .ok_or_else(|| io::Error::other(format!("there is no map {name}")))
    })
    .map_err(StartError::of("opening maps"))?;
    Ok(Loaded {
        program,
        maps,
        adopted: false,
        outgrown: Vec::new(),
        inheritance: None,
    })
}

type Descriptors = BTreeMap<String, OwnedFd>;

fn from_object(
    given: &Given,
    directory: Option<&Path>,
) -> Result<(OwnedFd, Descriptors), StartError> {
    if release().1 > LAST_WITHOUT_CIPHERS {
        match try_object(given, directory, 1) {
            Err(StartError::Refused { .. }) => {}
            other => return other,
        }
    }
    tracing::warn!(
        "this kernel's verifier cannot follow ciphers: QUIC-LB with a key names no backend"
    );
    try_object(given, directory, 0)
}

/// The last kernel that is known not to take the program with ciphers in it; it would look for a long time.
const LAST_WITHOUT_CIPHERS: (u32, u32) = (6, 1);

fn try_object(
    given: &Given,
    directory: Option<&Path>,
    ciphers: u8,
) -> Result<(OwnedFd, Descriptors), StartError> {
    let mut loader = EbpfLoader::new();
    loader.allow_unsupported_maps();
    loader.override_global("QUIC_CIPHERS", &ciphers, true);
    loader.override_global("FLOW_SECRET", &given.secret, true);
    let (flows, pending) = (&given.sizes["FLOWS4"], &given.sizes["PENDING4"]);
    let (near_flows, near_pending) = (near(*flows), near(*pending));
    loader.override_global("FLOW_BUCKETS", flows, true);
    loader.override_global("FLOW_NEAR", &near_flows, true);
    loader.override_global("PENDING_BUCKETS", pending, true);
    loader.override_global("PENDING_NEAR", &near_pending, true);
    for (name, size) in &given.sizes {
        loader.map_max_entries(name, *size);
    }
    if let Some(directory) = directory {
        for name in NAMES {
            loader.map_pin_path(name, directory.join(name));
        }
    }
    let mut object = loader.load(OBJECT).map_err(refused)?;
    let program = object
        .program_mut(PROGRAM)
        .ok_or_else(|| StartError::Refused {
            why: format!("the object has no program {PROGRAM}"),
        })?;
    let program: &mut aya::programs::Xdp = program
        .try_into()
        .map_err(|e: ProgramError| not_loaded(&e))?;
    load_patiently(program)?;
    let descriptor = program.fd().map_err(|e| not_loaded(&e))?;
    let program = descriptor
        .as_fd()
        .try_clone_to_owned()
        .map_err(StartError::of("keeping the program"))?;
    let mut maps = BTreeMap::new();
    let names: Vec<String> = object.maps().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if let Some(map) = object.take_map(&name) {
            let map = descriptor_of(&map).map_err(StartError::of("keeping a map"))?;
            maps.insert(name, map);
        }
    }
    Ok((program, maps))
}

/// Loads a program. A signal for this process ends the kernel's look at it, which is then asked for again.
fn load_patiently(program: &mut aya::programs::Xdp) -> Result<(), StartError> {
    const TRIES: u32 = 5;
    let interrupted = |error: &ProgramError| {
        matches!(error, ProgramError::LoadError { io_error, .. }
            if io_error.raw_os_error() == Some(libc::EAGAIN))
    };
    for _ in 1..TRIES {
        match program.load() {
            Err(error) if interrupted(&error) => {}
            other => return other.map_err(|e| not_loaded(&e)),
        }
    }
    program.load().map_err(|e| not_loaded(&e))
}

fn descriptor_of(map: &aya::maps::Map) -> io::Result<OwnedFd> {
    use aya::maps::Map;
    let data = match map {
        Map::Array(m)
        | Map::HashMap(m)
        | Map::LruHashMap(m)
        | Map::LpmTrie(m)
        | Map::PerCpuArray(m)
        | Map::RingBuf(m)
        | Map::DevMap(m)
        | Map::Unsupported(m) => m,
        _ => {
            return Err(io::Error::other(
                "the object has a map of a kind that is not known",
            ));
        }
    };
    data.fd().as_fd().try_clone_to_owned()
}

/// The running kernel's version, as it is said and as two numbers.
fn release() -> (String, (u32, u32)) {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (release, version)
}

fn check_kernel() -> Result<(), StartError> {
    let (release, version) = release();
    if version < (5, 15) {
        return Err(StartError::OldKernel { release });
    }
    Ok(())
}

fn refused(error: EbpfError) -> StartError {
    if let EbpfError::MapError(MapError::CreateError { io_error, .. }) = &error
        && let Some(code @ (libc::EPERM | libc::EACCES)) = io_error.raw_os_error()
    {
        return StartError::of("making a map")(io::Error::from_raw_os_error(code));
    }
    StartError::Refused { why: words(&error) }
}

fn not_loaded(error: &ProgramError) -> StartError {
    if let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    {
        if io_error.raw_os_error() == Some(libc::EPERM) {
            return StartError::of("loading the program")(io::Error::from_raw_os_error(
                libc::EPERM,
            ));
        }
        tracing::debug!(%verifier_log, "what the kernel's verifier said");
        let log = verifier_log.to_string();
        let mut last: Vec<_> = log
            .lines()
            .rev()
            .filter(|l| !l.is_empty())
            .take(3)
            .collect();
        last.reverse();
        return StartError::Refused {
            why: format!("{io_error}: {}", last.join(" / ")),
        };
    }
    StartError::Refused { why: words(error) }
}

/// An error with all that caused it.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

impl Loaded {
    /// Whether there are flows to carry over.
    fn carries(&self) -> bool {
        !self.outgrown.is_empty() || self.inheritance.is_some()
    }

    /// Carries entries of tables that gave way over: those that the new ones do not have.
    pub(crate) fn carry_over(&self) {
        let inherited = self.inheritance.iter().flat_map(|i| &i.flows);
        for old in self.outgrown.iter().chain(inherited) {
            old.carry(&self.maps);
        }
    }

    /// The program changed everywhere: nobody puts anything into tables that gave way any more.
    ///
    /// # Errors
    /// The settings cannot be written.
    pub(crate) fn forget_outgrown(&mut self) -> io::Result<()> {
        if !self.carries() {
            return Ok(());
        }
        self.carry_over();
        self.outgrown.clear();
        if let Some(inheritance) = self.inheritance.take() {
            inheritance.remove();
        }
        carry::end(&self.maps)
    }
}
