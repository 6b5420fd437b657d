//! The authentication trailer as bytes: draft-cassen-vrrp-auth-hmac, section "Authentication Trailer", which keepalived
//! from 2.4 on speaks as `auth_hmac`. What it covers is in [`crate::vrrp::wire`].

use crate::vrrp::limits::TRAILER;

/// Length of the code at its end.
pub(in crate::vrrp) const CODE: usize = 16;

/// HMAC-SHA256, its first 16 bytes: the only scheme there is.
pub(in crate::vrrp) const SCHEME: u8 = 1;

/// What follows an advert that is authenticated: 28 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// 1 for HMAC-SHA256.
    pub scheme: u8,
    /// Which of the keys.
    pub key: u8,
    /// Zero.
    pub reserved: u16,
    /// Seconds of the epoch (32 bits), a binary fraction (16 bits), a counter (16 bits): grows with every advert.
    pub sequence: u64,
    /// The code.
    pub code: [u8; CODE],
}

impl Trailer {
    pub(super) fn read(bytes: &[u8; TRAILER]) -> Self {
        let [
            scheme,
            key,
            r0,
            r1,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            code @ ..,
        ] = *bytes;
        Self {
            scheme,
            key,
            reserved: u16::from_be_bytes([r0, r1]),
            sequence: u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            code,
        }
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> [u8; TRAILER] {
        let mut bytes = [0; TRAILER];
        bytes[0] = self.scheme;
        bytes[1] = self.key;
        bytes[2..4].copy_from_slice(&self.reserved.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[12..].copy_from_slice(&self.code);
        bytes
    }
}
