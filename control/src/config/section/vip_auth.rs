//! How VRRP's adverts are authenticated.

use proto::vrrp::{
    codec::V2Auth,
    machine::Auth,
    wire::{AntiReplay, Key, Keys, Mode},
};

use super::admin::SecretText;
use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            Form,
            many::{Either, List, Off},
            number::{Int, Time},
            text::Hex,
            words::words,
        },
        kind::section,
        walk::{At, Cx},
    },
    spec::{Secret, vip::AuthSpec},
};

section! {
    /// What adverts are authenticated with: a password in version 2, keys in either version.
    pub(in crate::config) struct AuthKeys = "`auth`" {
        /// Version 2's password, at most 8 characters. It is in clear in every advert: it keeps groups apart, and nobody out.
        password: SecretText, absent "no password";
        /// Keys of HMAC-SHA256, as keepalived's `auth_hmac` has them.
        keys: List<KeyKeys>, default "[]";
        /// The id of the key that adverts are signed with.
        active: Int<1, 255>, absent "the first key's";
        /// How strict to be.
        mode: AuthMode, default "\"enforce\"";
        /// How far the nodes' clocks may be apart; `false`: clocks do not count, and a restarted node believes an old advert.
        window: Either<Off, Time<1000, 300_000>>, default "\"30s\"";
    }
}

section! {
    /// A key of HMAC-SHA256.
    pub(in crate::config) struct KeyKeys = "a key" {
        /// Its id, the same on all nodes.
        id: Int<1, 255>, required;
        /// The key: 32 to 64 bytes in hexadecimal.
        key: SecretText, required;
    }
}

/// How strict to be.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct AuthMode(Mode, &'static str);

words!(AuthMode {
    "receive-only" => AuthMode(Mode::ReceiveOnly, "receive-only"), "nothing is signed; what is signed is checked, what is not is taken";
    "permissive" => AuthMode(Mode::Permissive, "permissive"), "adverts are signed; what is not is taken";
    "enforce" => AuthMode(Mode::Enforce, "enforce"), "adverts are signed, and nothing else is taken";
});

impl AuthKeys {
    /// As the spec keeps it, and as the machine takes it.
    pub(super) fn admit(self, span: Span, cx: &mut Cx<'_>) -> Option<(AuthSpec, Auth)> {
        match (&self.password, self.keys.0.is_empty()) {
            (Some(password), true) => with_password(password, cx),
            (None, false) => self.with_keys(span, cx),
            _ => {
                let problem = Problem::error(span, "adverts are authenticated in one way");
                cx.push(problem.help("write a password in version 2, or keys"));
                None
            }
        }
    }

    fn with_keys(self, span: Span, cx: &mut Cx<'_>) -> Option<(AuthSpec, Auth)> {
        let mut spec = Vec::new();
        let mut ready = Vec::new();
        for key in &self.keys.0 {
            let id: u8 = key.id.to();
            ready.push((id, read_key(&key.value.key, cx)?));
            spec.push((id, Secret::new(key.value.key.reveal())));
        }
        let first = spec.first().map_or(1, |(id, _)| *id);
        let active = self.active.as_ref().map_or(first, |active| active.to());
        let window = match self.window.value {
            Either::One(Off) => None,
            Either::Other(time) => Some(time.0),
        };
        let replay = window.map_or(AntiReplay::Sequence, AntiReplay::Window);
        let AuthMode(mode, word) = self.mode.value;
        match Keys::new(ready, active, mode, replay) {
            Ok(keys) => Some((
                AuthSpec::Keys {
                    keys: spec,
                    active,
                    mode: word,
                    window,
                },
                Auth::Keys(keys),
            )),
            Err(error) => {
                cx.push(Problem::error(span, error.to_string()));
                None
            }
        }
    }
}

fn with_password(password: &At<SecretText>, cx: &mut Cx<'_>) -> Option<(AuthSpec, Auth)> {
    let text = password.reveal();
    let Some(ready) = V2Auth::password(text.as_bytes()) else {
        let problem = Problem::error(password.span, "a password has 1 to 8 characters");
        cx.push(problem.note("keepalived cuts longer ones off after the eighth"));
        return None;
    };
    Some((AuthSpec::Password(Secret::new(text)), Auth::Password(ready)))
}

fn read_key(key: &At<SecretText>, cx: &mut Cx<'_>) -> Option<Key> {
    let bytes = Hex::parse(key.reveal()).ok().map(|hex| hex.0);
    let ready = bytes.and_then(|bytes| Key::new(&bytes));
    if ready.is_none() {
        let problem = Problem::error(key.span, "a key is 32 to 64 bytes in hexadecimal");
        cx.push(problem.help("make one with: openssl rand -hex 32"));
    }
    ready
}
