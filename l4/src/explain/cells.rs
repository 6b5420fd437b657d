//! Values that a decision may change, apart from those they are copies of.

use std::{
    cell::{RefCell, UnsafeCell},
    collections::HashMap,
    ptr::NonNull,
    rc::Rc,
};

use xdp::{abi::Plain, decide::Entry};

type Cell<T> = Rc<UnsafeCell<T>>;

/// Copies of a table's values, made when they are first asked for. What is put in or taken out is so here alone.
#[derive(Debug)]
pub(super) struct Cells<T> {
    /// By the key's bytes; none: it is known to be absent.
    known: RefCell<HashMap<Vec<u8>, Option<Cell<T>>>>,
    /// All that ever were: an entry may still be used when its key was taken out.
    kept: RefCell<Vec<Cell<T>>>,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self {
            known: RefCell::default(),
            kept: RefCell::default(),
        }
    }
}

impl<T: Plain> Cells<T> {
    /// The value of a key, read by `read` the first time.
    pub(super) fn get<K: Plain>(
        &self,
        key: &K,
        read: impl FnOnce() -> Option<T>,
    ) -> Option<Entry<T>> {
        let key = bytes(key);
        if let Some(known) = self.known.borrow().get(&key) {
            return known.as_ref().map(entry);
        }
        let cell = read().map(|value| self.keep(value));
        let found = cell.as_ref().map(entry);
        self.known.borrow_mut().insert(key, cell);
        found
    }

    /// Puts a value in.
    pub(super) fn put<K: Plain>(&self, key: &K, value: T) {
        let cell = self.keep(value);
        self.known.borrow_mut().insert(bytes(key), Some(cell));
    }

    /// Takes a key out.
    pub(super) fn remove<K: Plain>(&self, key: &K) {
        self.known.borrow_mut().insert(bytes(key), None);
    }

    fn keep(&self, value: T) -> Cell<T> {
        let cell = Rc::new(UnsafeCell::new(value));
        self.kept.borrow_mut().push(Rc::clone(&cell));
        cell
    }
}

fn entry<T>(cell: &Cell<T>) -> Entry<T> {
    // An `UnsafeCell`'s address is never null.
    let at = NonNull::new(cell.get()).unwrap_or(NonNull::dangling());
    // SAFETY: `kept` holds the cell as long as there are `Cells`, and entries are used by decisions on them alone;
    // all is on one thread, and nobody makes references into the cell.
    unsafe { Entry::new(at) }
}

/// A copy of an entry's value.
pub(super) fn copy<T: Plain>(entry: Entry<T>) -> T {
    // SAFETY: an entry's address is readable while its cells are there.
    unsafe { entry.as_ptr().read() }
}

fn bytes<K: Plain>(key: &K) -> Vec<u8> {
    let start = std::ptr::from_ref(key).cast::<u8>();
    // SAFETY: a plain value has no padding: all its bytes are set.
    unsafe { std::slice::from_raw_parts(start, size_of::<K>()) }.to_vec()
}
