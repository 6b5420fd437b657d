//! Datagrams are encrypted and authenticated (AES-256-GCM), so that nobody without the key learns of connections or
//! invents any.
//!
//! | bytes | |
//! |---|---|
//! | 0-1 | `As` |
//! | 2 | version, 2: 1 knew no remembered clients |
//! | 3 | key id |
//! | 4-19 | the sender's session, random for each start |
//! | 20-27 | the datagram's number in it |
//! | 28- | message, encrypted, and its tag of 16 bytes; all before is authenticated with it |
//!
//! Each session has a key of its own, made of the shared one and the session (HKDF-SHA256, RFC 5869), so that numbers may
//! begin anew with each start and no nonce comes twice.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};

use super::{
    limits::{HEADER, MAX_DATAGRAM, MAX_KEY, MAX_KEYS, MIN_KEY, TAG},
    refusal::Refusal,
};

const MAGIC: [u8; 2] = *b"As";
const VERSION: u8 = 2;
/// What the derived keys are for.
const PURPOSE: &[u8] = b"aplomb connection sync 1";

/// One start of one node: random, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub [u8; 16]);

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A shared key's bytes: [`MIN_KEY`] to [`MAX_KEY`] of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    /// `None` if it is too short or too long.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (MIN_KEY..=MAX_KEY)
            .contains(&bytes.len())
            .then(|| Self(bytes.into()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No log should have it.
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// The keys of a group. One is replaced in three steps: add the new one everywhere, make it the active one everywhere,
/// take the old one away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    keys: BTreeMap<u8, Key>,
    active: u8,
}

/// Why keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysError {
    /// The id is there twice.
    Twice(u8),
    /// None of the keys has this id.
    NoActive(u8),
    /// More than [`MAX_KEYS`].
    TooMany,
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(id) => write!(f, "there are two keys {id}"),
            Self::NoActive(id) => write!(f, "the active key {id} is not there"),
            Self::TooMany => write!(f, "more than {MAX_KEYS} keys"),
        }
    }
}

impl std::error::Error for KeysError {}

impl Keys {
    /// Keys by id, and the one to send with.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn new(list: impl IntoIterator<Item = (u8, Key)>, active: u8) -> Result<Self, KeysError> {
        let mut keys = BTreeMap::new();
        for (id, key) in list {
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
        Ok(Self { keys, active })
    }

    /// What this session's datagrams are sealed with. `None` never with whole keys.
    pub(super) fn sealer(&self, session: Session) -> Option<Sealer> {
        let key = self.keys.get(&self.active)?;
        Some(Sealer {
            id: self.active,
            session,
            key: derive(key, session)?,
            number: 0,
        })
    }

    /// What a session's datagrams under this key are opened with.
    pub(super) fn opener(&self, id: u8, session: Session) -> Result<Opener, Refusal> {
        let key = self.keys.get(&id).ok_or(Refusal::UnknownKey)?;
        let key = derive(key, session).ok_or(Refusal::UnknownKey)?;
        Ok(Opener { id, key })
    }
}

fn derive(key: &Key, session: Session) -> Option<LessSafeKey> {
    let secret = Salt::new(HKDF_SHA256, &session.0).extract(&key.0);
    let okm = secret.expand(&[PURPOSE], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(okm)))
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Seals one session's datagrams.
#[derive(Debug)]
pub(super) struct Sealer {
    id: u8,
    session: Session,
    key: LessSafeKey,
    number: u64,
}

impl Sealer {
    /// The datagram of a message. `None` if it cannot be sealed: it is not sent.
    pub(super) fn seal(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        self.number += 1;
        let mut datagram = Vec::with_capacity(HEADER + body.len() + TAG);
        datagram.extend(MAGIC);
        datagram.extend([VERSION, self.id]);
        datagram.extend(self.session.0);
        datagram.extend(self.number.to_be_bytes());
        datagram.extend(body);
        let (head, text) = datagram.split_at_mut(HEADER);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(self.number), Aad::from(&*head), text)
            .ok()?;
        datagram.extend(tag.as_ref());
        Some(datagram)
    }
}

/// Opens one session's datagrams.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) id: u8,
    key: LessSafeKey,
}

impl Opener {
    /// The message of a datagram, opened in its place.
    pub(super) fn open<'a>(
        &self,
        head: &Head,
        datagram: &'a mut [u8],
    ) -> Result<&'a [u8], Refusal> {
        let (first, text) = datagram.split_at_mut(HEADER);
        self.key
            .open_in_place(nonce(head.number), Aad::from(&*first), text)
            .map(|body| &*body)
            .map_err(|_| Refusal::Forged)
    }
}

/// What stands before the encrypted part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The key's id.
    pub key: u8,
    /// Who sent it.
    pub session: Session,
    /// Which of its datagrams it is.
    pub number: u64,
}

impl Head {
    /// That of a datagram; nothing of it is authentic yet.
    ///
    /// # Errors
    /// It is none.
    pub fn read(datagram: &[u8]) -> Result<Self, Refusal> {
        if datagram.len() < HEADER + TAG || datagram.len() > MAX_DATAGRAM || datagram[..2] != MAGIC
        {
            return Err(Refusal::NotSync);
        }
        if datagram[2] != VERSION {
            return Err(Refusal::Version);
        }
        let mut session = [0; 16];
        session.copy_from_slice(&datagram[4..20]);
        let mut number = [0; 8];
        number.copy_from_slice(&datagram[20..28]);
        Ok(Self {
            key: datagram[3],
            session: Session(session),
            number: u64::from_be_bytes(number),
        })
    }
}
