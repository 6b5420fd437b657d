//! Maps, programs and links as such: what they are, and their pins in the BPF file system.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::call::{self, About, Command, NewLink, OtherProgram, bpf};

/// `BPF_XDP`: what a link of ours attaches.
const XDP: u32 = 37;

/// How a program is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Behind the driver (`XDP_FLAGS_SKB_MODE`).
    Generic = 2,
    /// In the driver (`XDP_FLAGS_DRV_MODE`).
    Native = 4,
}

/// What the kernel tells of a map; the first fields of `struct bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MapInfo {
    pub(crate) kind: u32,
    pub(crate) id: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
}

impl MapInfo {
    /// That of a map.
    pub(crate) fn of(map: BorrowedFd<'_>) -> io::Result<Self> {
        let mut info = Self::default();
        // SAFETY: `MapInfo` is made of numbers alone.
        unsafe { about(map, &mut info) }?;
        Ok(info)
    }

    /// That keys are `K` and values have so many bytes.
    pub(crate) fn expect<K>(&self, value_size: usize) -> io::Result<()> {
        let right = (size_of::<K>(), value_size);
        let is = (self.key_size as usize, self.value_size as usize);
        if is == right {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "a map has keys and values of {} and {} bytes instead of {} and {}",
            is.0, is.1, right.0, right.1
        )))
    }
}

/// What the kernel tells of an XDP link; the first fields of `struct bpf_link_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkInfo {
    kind: u32,
    id: u32,
    pub(crate) program: u32,
    zero: u32,
    /// The interface's index; 0: it is gone.
    pub(crate) interface: u32,
}

impl LinkInfo {
    /// That of a link.
    pub(crate) fn of(link: BorrowedFd<'_>) -> io::Result<Self> {
        let mut info = Self::default();
        // SAFETY: `LinkInfo` is made of numbers alone.
        unsafe { about(link, &mut info) }?;
        Ok(info)
    }
}

/// # Safety
/// Any bits must be a `T`.
unsafe fn about<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut argument = About {
        descriptor: number(object),
        length: u32::try_from(size_of::<T>()).unwrap_or(0),
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: there is room for `length` bytes, and the caller says that any will do.
    unsafe { bpf(Command::Info, &mut argument) }.map(drop)
}

/// Opens what is pinned at a path; none if there is nothing.
pub(crate) fn open(path: &Path) -> io::Result<Option<OwnedFd>> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut argument = call::Path {
        path: name.as_ptr() as u64,
        ..call::Path::default()
    };
    // SAFETY: the path ends with a zero byte.
    match unsafe { bpf(Command::Open, &mut argument) } {
        // SAFETY: the descriptor is new and nobody else's.
        Ok(descriptor) => Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) })),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Pins an object at a path where nothing is.
pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut argument = call::Path {
        path: name.as_ptr() as u64,
        descriptor: number(object),
        flags: 0,
    };
    // SAFETY: the path ends with a zero byte.
    unsafe { bpf(Command::Pin, &mut argument) }.map(drop)
}

/// Attaches a program to an interface. It is attached as long as the link or a pin of it is there.
pub(crate) fn attach(program: BorrowedFd<'_>, interface: u32, way: Way) -> io::Result<OwnedFd> {
    let mut argument = NewLink {
        program: number(program),
        interface,
        kind: XDP,
        flags: way as u32,
    };
    // SAFETY: four numbers.
    let link = unsafe { bpf(Command::LinkCreate, &mut argument) }?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}

/// Puts another program in the place of a link's: no packet goes by between the two.
pub(crate) fn replace(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut argument = OtherProgram {
        link: number(link),
        program: number(program),
        ..OtherProgram::default()
    };
    // SAFETY: four numbers.
    unsafe { bpf(Command::LinkUpdate, &mut argument) }.map(drop)
}

/// Takes a link's program off its interface, whoever else holds the link.
pub(crate) fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut argument = OtherProgram {
        link: number(link),
        ..OtherProgram::default()
    };
    // SAFETY: numbers; the kernel looks at the first alone, and that the others are zero.
    unsafe { bpf(Command::LinkDetach, &mut argument) }.map(drop)
}

pub(super) fn number(object: BorrowedFd<'_>) -> u32 {
    // Descriptors are never negative.
    object.as_fd().as_raw_fd() as u32
}
