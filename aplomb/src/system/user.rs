//! Users and groups by name.

use std::{
    ffi::{CStr, CString, c_char, c_int},
    io,
    mem::MaybeUninit,
    ptr,
};

/// Room for the strings of one entry, in bytes; a group with thousands of members needs more than the usual KiB.
const ROOM: usize = 256 * 1024;

/// A user of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

impl User {
    /// The user of that name.
    ///
    /// # Errors
    /// There is none, or the user database cannot be read.
    pub fn named(name: &str) -> io::Result<Self> {
        lookup("user", name, |name, room, found| {
            let mut entry = MaybeUninit::<libc::passwd>::uninit();
            // SAFETY: all pointers are valid for the call, and `room` is as long as it says.
            let error = unsafe {
                libc::getpwnam_r(
                    name.as_ptr(),
                    entry.as_mut_ptr(),
                    room.as_mut_ptr(),
                    room.len(),
                    found,
                )
            };
            (error, entry)
        })
        .map(|entry| Self {
            uid: entry.pw_uid,
            gid: entry.pw_gid,
        })
    }
}

/// The number of the group of that name.
///
/// # Errors
/// There is none, or the group database cannot be read.
pub fn group(name: &str) -> io::Result<u32> {
    lookup("group", name, |name, room, found| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        // SAFETY: all pointers are valid for the call, and `room` is as long as it says.
        let error = unsafe {
            libc::getgrnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                room.as_mut_ptr(),
                room.len(),
                found,
            )
        };
        (error, entry)
    })
    .map(|entry| entry.gr_gid)
}

/// Calls one of the `get*nam_r` functions. The entry it returns points into the room that ends here, so a caller
/// takes only numbers out of it.
fn lookup<T>(
    what: &str,
    name: &str,
    call: impl FnOnce(&CStr, &mut [c_char], *mut *mut T) -> (c_int, MaybeUninit<T>),
) -> io::Result<T> {
    let name_c = CString::new(name)?;
    let mut room: Vec<c_char> = vec![0; ROOM];
    let mut found: *mut T = ptr::null_mut();
    let (error, entry) = call(&name_c, &mut room, &mut found);
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no {what} {name}"),
        ));
    }
    // SAFETY: the call succeeded and found something, so it filled the entry.
    Ok(unsafe { entry.assume_init() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn root_is_everywhere_and_nobody_else_need_be() {
        assert_eq!(User::named("root").unwrap(), User { uid: 0, gid: 0 });
        assert_eq!(group("root").unwrap(), 0);
        let missing = User::named("no-such-user-here").unwrap_err();
        assert_eq!(missing.to_string(), "there is no user no-such-user-here");
        assert!(group("a\0b").is_err());
    }
}
