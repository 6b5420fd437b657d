//! A map with typed keys and values.

use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
};

use xdp::abi::Plain;

use super::{
    call::{Command, Element, Elements, bpf},
    object::MapInfo,
};

/// A map whose keys and values have these types.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    map: Arc<OwnedFd>,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self {
            map: Arc::clone(&self.map),
            types: PhantomData,
        }
    }
}

/// When a value is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Whether or not there is one.
    Any = 0,
    /// Only if there is none.
    New = 1,
}

/// Words of a mark: as many as the longest key has.
const MARK: usize = 16;

/// How far a walk through a table has come.
#[derive(Clone, Debug)]
pub(crate) enum Batch<K> {
    /// It has not begun.
    Start,
    /// The kernel's own mark: a bucket's number, or a key.
    Mark([u32; MARK]),
    /// The last key seen, where the kernel has no batches for the map.
    After(K),
    /// It is through.
    Done,
}

impl<K: Plain, V: Plain> Table<K, V> {
    /// The map behind a descriptor.
    ///
    /// # Errors
    /// It is not a map, or its keys or values have another size.
    pub(crate) fn new(map: OwnedFd) -> io::Result<Self> {
        let info = MapInfo::of(map.as_fd())?;
        info.expect::<K>(size_of::<V>())?;
        Ok(Self {
            map: Arc::new(map),
            types: PhantomData,
        })
    }

    /// The most entries that it holds.
    pub(crate) fn size(&self) -> io::Result<u32> {
        MapInfo::of(self.map.as_fd()).map(|info| info.max_entries)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &K) -> io::Result<Option<V>> {
        self.read(Command::Lookup, key)
    }

    /// Takes a key out, and gives the value it had.
    pub(crate) fn take(&self, key: &K) -> io::Result<Option<V>> {
        self.read(Command::Take, key)
    }

    fn read(&self, command: Command, key: &K) -> io::Result<Option<V>> {
        let mut value = MaybeUninit::<V>::uninit();
        let mut element = self.element(key, value.as_mut_ptr() as u64, 0);
        // SAFETY: key and value have the sizes that the map has: `new` saw to it.
        match unsafe { bpf(command, &mut element) } {
            // SAFETY: the kernel wrote all of it, and any bits are a `V`.
            Ok(_) => Ok(Some(unsafe { value.assume_init() })),
            Err(error) => absent(error).map(|()| None),
        }
    }

    /// Puts a value in. Whether it is in: false if there was one already and none may be replaced.
    pub(crate) fn put(&self, key: &K, value: &V, when: Put) -> io::Result<bool> {
        let mut element = self.element(key, std::ptr::from_ref(value) as u64, when as u64);
        // SAFETY: as in `read`; the kernel only reads the value.
        match unsafe { bpf(Command::Update, &mut element) } {
            Ok(_) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes a key out. Whether it was in.
    pub(crate) fn remove(&self, key: &K) -> io::Result<bool> {
        let mut element = self.element(key, 0, 0);
        // SAFETY: as in `read`; there is no value.
        match unsafe { bpf(Command::Delete, &mut element) } {
            Ok(_) => Ok(true),
            Err(error) => absent(error).map(|()| false),
        }
    }

    fn element(&self, key: &K, value: u64, flags: u64) -> Element {
        Element {
            map: descriptor(&self.map),
            key: std::ptr::from_ref(key) as u64,
            value,
            flags,
            zero: 0,
        }
    }

    /// Adds up to about `most` further entries of a hash table to `into`.
    ///
    /// Entries that come or go meanwhile may be seen or not; one that stays is seen at least once.
    pub(crate) fn walk(
        &self,
        at: &mut Batch<K>,
        most: usize,
        into: &mut Vec<(K, V)>,
    ) -> io::Result<()> {
        let mark = match at {
            Batch::Done => return Ok(()),
            Batch::After(_) => return self.step(at, most, into),
            Batch::Start => None,
            Batch::Mark(mark) => Some(*mark),
        };
        match self.batch(mark, most, into) {
            Ok(next) => {
                *at = next.map_or(Batch::Done, Batch::Mark);
                Ok(())
            }
            // The kernel does not know batches for this kind of map.
            Err(e) if mark.is_none() && is_unknown(&e) => self.step(at, most, into),
            Err(error) => Err(error),
        }
    }

    fn batch(
        &self,
        from: Option<[u32; MARK]>,
        most: usize,
        into: &mut Vec<(K, V)>,
    ) -> io::Result<Option<[u32; MARK]>> {
        const { assert!(size_of::<K>() <= size_of::<[u32; MARK]>()) };
        let mut room = most.max(64);
        loop {
            let mut keys = Vec::<MaybeUninit<K>>::with_capacity(room);
            let mut values = Vec::<MaybeUninit<V>>::with_capacity(room);
            let mut next = [0_u32; MARK];
            let mut argument = Elements {
                from: from.as_ref().map_or(0, |f| std::ptr::from_ref(f) as u64),
                to: &raw mut next as u64,
                keys: keys.as_mut_ptr() as u64,
                values: values.as_mut_ptr() as u64,
                count: u32::try_from(room).unwrap_or(u32::MAX),
                map: descriptor(&self.map),
                ..Elements::default()
            };
            // SAFETY: there is room for `count` keys and values; a mark is 32 bits or a key.
            let result = unsafe { bpf(Command::LookupBatch, &mut argument) };
            let over = match result {
                Ok(_) => false,
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => true,
                // One bucket alone has more than there is room for.
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) && room < 1 << 20 => {
                    room *= 4;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let count = (argument.count as usize).min(room);
            for i in 0..count {
                // SAFETY: the kernel wrote `count` of each, within capacity, and any bits are a value.
                into.push(unsafe {
                    (
                        keys.as_ptr().cast::<K>().add(i).read(),
                        values.as_ptr().cast::<V>().add(i).read(),
                    )
                });
            }
            return Ok((!over).then_some(next));
        }
    }

    /// One key after the other: slower, and it begins anew when the key it was at is taken out.
    fn step(&self, at: &mut Batch<K>, most: usize, into: &mut Vec<(K, V)>) -> io::Result<()> {
        for _ in 0..most {
            let mut next = MaybeUninit::<K>::uninit();
            let from = match at {
                Batch::After(key) => std::ptr::from_ref(key) as u64,
                _ => 0,
            };
            let mut element = Element {
                map: descriptor(&self.map),
                key: from,
                value: next.as_mut_ptr() as u64,
                ..Element::default()
            };
            // SAFETY: both keys have the map's size.
            match unsafe { bpf(Command::NextKey, &mut element) } {
                Ok(_) => {}
                Err(error) => {
                    absent(error)?;
                    *at = Batch::Done;
                    return Ok(());
                }
            }
            // SAFETY: the kernel wrote it.
            let key = unsafe { next.assume_init() };
            if let Some(value) = self.get(&key)? {
                into.push((key, value));
            }
            *at = Batch::After(key);
        }
        Ok(())
    }

    /// All entries of a hash table, at most `most`.
    pub(crate) fn all(&self, most: usize) -> io::Result<Vec<(K, V)>> {
        let mut entries = Vec::new();
        let mut at = Batch::Start;
        while !matches!(at, Batch::Done) && entries.len() < most {
            self.walk(&mut at, 4096, &mut entries)?;
        }
        entries.truncate(most);
        Ok(entries)
    }
}

/// An array with a value for each CPU.
#[derive(Clone, Debug)]
pub(crate) struct PerCpu<V> {
    map: Arc<OwnedFd>,
    cpus: usize,
    types: PhantomData<V>,
}

impl<V: Plain> PerCpu<V> {
    /// The map behind a descriptor.
    ///
    /// # Errors
    /// It is not a map, or its values have another size.
    pub(crate) fn new(map: OwnedFd) -> io::Result<Self> {
        MapInfo::of(map.as_fd())?.expect::<u32>(size_of::<V>())?;
        Ok(Self {
            map: Arc::new(map),
            cpus: super::possible_cpus()?,
            types: PhantomData,
        })
    }

    /// The values at an index, one for each CPU.
    pub(crate) fn get(&self, index: u32) -> io::Result<Vec<V>> {
        // Each CPU's value is rounded up to eight bytes.
        let stride = size_of::<V>().next_multiple_of(8);
        let mut bytes = vec![0_u64; stride / 8 * self.cpus];
        let mut element = Element {
            map: descriptor(&self.map),
            key: &raw const index as u64,
            value: bytes.as_mut_ptr() as u64,
            ..Element::default()
        };
        // SAFETY: there is room for a value of each possible CPU.
        unsafe { bpf(Command::Lookup, &mut element) }?;
        let start = bytes.as_ptr().cast::<u8>();
        let values = (0..self.cpus).map(|cpu| {
            // SAFETY: within `bytes`; any bits are a value.
            unsafe { start.add(cpu * stride).cast::<V>().read_unaligned() }
        });
        Ok(values.collect())
    }
}

fn descriptor(map: &OwnedFd) -> u32 {
    // Descriptors are never negative.
    map.as_raw_fd() as u32
}

/// Swallows the error that says that there is no such key.
fn absent(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ENOENT) {
        return Ok(());
    }
    Err(error)
}

fn is_unknown(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EOPNOTSUPP | 524)
    )
}
