//! Keys, which of them is used to send, how strict to be, and how an old advert is known.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_lc_rs::hmac;

use crate::{
    time::Utc,
    vrrp::{
        codec::Trailer,
        limits::{MAX_KEY, MAX_KEYS, MAX_WINDOW, MIN_KEY, MIN_WINDOW},
        refusal::Refusal,
    },
};

/// A key's bytes: 32 to 64.
#[derive(Clone)]
pub struct Key {
    bytes: Box<[u8]>,
    ready: hmac::Key,
}

impl Key {
    /// `None` if it is too short or too long.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (MIN_KEY..=MAX_KEY).contains(&bytes.len()).then(|| Self {
            bytes: bytes.into(),
            ready: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        })
    }

    pub(super) const fn ready(&self) -> &hmac::Key {
        &self.ready
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No log should have it.
        write!(f, "Key({} bytes)", self.bytes.len())
    }
}

/// How strict to be: each step of a roll-out, node by node, is heard by all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is signed; what is signed is checked, what is not is taken.
    ReceiveOnly,
    /// Adverts are signed; what is signed is checked, what is not is taken.
    Permissive,
    /// Adverts are signed, and nothing else is taken.
    #[default]
    Enforce,
}

/// How an old advert, sent again, is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AntiReplay {
    /// By its age: clocks must not be further apart than this. And by its sender's sequence.
    Window(Duration),
    /// By its sender's sequence alone, for nodes whose clocks nobody sets. A node that was restarted believes an old
    /// advert until it hears a new one.
    Sequence,
}

/// Keys as all nodes of a virtual router have them. A key is replaced in three steps: add the new one everywhere, make it
/// the active one everywhere, take the old one away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    keys: BTreeMap<u8, Key>,
    active: u8,
    mode: Mode,
    anti_replay: AntiReplay,
}

/// Why keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysError {
    /// Ids are 1 to 255.
    Id,
    /// The id is there twice.
    Twice(u8),
    /// None of the keys has this id.
    NoActive(u8),
    /// More than [`MAX_KEYS`].
    TooMany,
    /// The window is not between a second and five minutes.
    Window(Duration),
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("a key's id is 1 to 255"),
            Self::Twice(id) => write!(f, "there are two keys {id}"),
            Self::NoActive(id) => write!(f, "the active key {id} is not there"),
            Self::TooMany => write!(f, "more than {MAX_KEYS} keys"),
            Self::Window(window) => {
                write!(
                    f,
                    "a window of {window:?}, not {MIN_WINDOW:?} to {MAX_WINDOW:?}"
                )
            }
        }
    }
}

impl std::error::Error for KeysError {}

impl Keys {
    /// Keys by id, and the one to sign with.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn new(
        list: impl IntoIterator<Item = (u8, Key)>,
        active: u8,
        mode: Mode,
        anti_replay: AntiReplay,
    ) -> Result<Self, KeysError> {
        let mut keys = BTreeMap::new();
        for (id, key) in list {
            if id == 0 {
                return Err(KeysError::Id);
            }
            if keys.insert(id, key).is_some() {
                return Err(KeysError::Twice(id));
            }
        }
        if keys.len() > MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        if !keys.contains_key(&active) {
            return Err(KeysError::NoActive(active));
        }
        match anti_replay {
            AntiReplay::Window(window) if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) => {
                Err(KeysError::Window(window))
            }
            _ => Ok(Self {
                keys,
                active,
                mode,
                anti_replay,
            }),
        }
    }

    /// How strict.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How old adverts are known.
    #[must_use]
    pub const fn anti_replay(&self) -> AntiReplay {
        self.anti_replay
    }

    pub(super) fn key(&self, id: u8) -> Option<&Key> {
        self.keys.get(&id)
    }

    /// The key to sign with, and its id.
    pub(super) fn active(&self) -> (u8, &Key) {
        (self.active, &self.keys[&self.active])
    }
}

impl AntiReplay {
    /// Whether the trailer's time is near enough; its skew, if that is more than half of what is allowed. Whole seconds
    /// are compared, as keepalived does, modulo 2^32.
    pub(super) fn check(self, trailer: &Trailer, now: Utc) -> Result<Option<Duration>, Refusal> {
        let Self::Window(window) = self else {
            return Ok(None);
        };
        let skew = skew(trailer.sequence, now);
        if skew > whole(window) {
            return Err(Refusal::Stale { skew, window });
        }
        Ok((skew > window / 2).then_some(skew))
    }
}

/// How far the time in a sequence is from `now`, in whole seconds.
pub(super) fn skew(sequence: u64, now: Utc) -> Duration {
    let ours = now.since_epoch().as_secs() as u32;
    let theirs = (sequence >> 32) as u32;
    let apart = ours.wrapping_sub(theirs).cast_signed().unsigned_abs();
    Duration::from_secs(u64::from(apart))
}

const fn whole(window: Duration) -> Duration {
    Duration::from_secs(window.as_secs())
}
