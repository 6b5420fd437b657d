//! AES-128 (FIPS 197), of single blocks: as small as the kernel's machine wants it.
//!
//! A column of the state is a number, its first byte the most significant. One table does a byte's substitution and
//! mixing at once, for each of the four rows after a rotation; all tables are computed when this is compiled. What
//! hides a connection ID's server id is not worth an attack on the cache by timing; do not use it for more.

/// Round keys of one direction: 44 words.
pub type RoundKeys = [u32; 44];

/// Round keys where they lie in a table.
#[derive(Clone, Copy, Debug)]
pub struct Keys(*const RoundKeys);

impl Keys {
    /// The keys at an address.
    ///
    /// # Safety
    /// They must be readable as long as this or a copy of it is used.
    #[inline(always)]
    #[must_use]
    pub unsafe fn new(at: *const RoundKeys) -> Self {
        Self(at)
    }

    /// The four keys of a round, 0 to 10.
    #[inline(always)]
    fn of(self, round: usize) -> Columns {
        // Volatile: else all are loaded before the first round, and the kernel's stack is too small for them.
        // SAFETY: rounds are constants below 11 here, and the keys are readable as `new`'s caller says.
        unsafe {
            let first = self.0.cast::<u32>().add(4 * round);
            (
                first.read_volatile(),
                first.add(1).read_volatile(),
                first.add(2).read_volatile(),
                first.add(3).read_volatile(),
            )
        }
    }
}

type Columns = (u32, u32, u32, u32);

/// Encrypts a block, with keys from [`fn@encryption`].
#[inline(always)]
#[must_use]
pub fn encrypt(keys: Keys, high: u64, low: u64) -> (u64, u64) {
    let mut s = add(columns(high, low), keys.of(0));
    macro_rules! rounds {
        ($($round:literal)*) => { $( s = mix(&ENCRYPT, rows_up(s), keys.of($round)); )* };
    }
    rounds!(1 2 3 4 5 6 7 8 9);
    let last = |w: Columns| {
        // In the middle of an entry is the substituted byte alone.
        let byte = |n: u32| ENCRYPT[n as usize] >> 8 & 0xff;
        byte(w.0 >> 24) << 24
            | byte(w.1 >> 16 & 0xff) << 16
            | byte(w.2 >> 8 & 0xff) << 8
            | byte(w.3 & 0xff)
    };
    let (a, b, c, d) = rows_up(s);
    numbers(add((last(a), last(b), last(c), last(d)), keys.of(10)))
}

/// Decrypts a block, with keys from [`fn@decryption`].
#[inline(always)]
#[must_use]
pub fn decrypt(keys: Keys, high: u64, low: u64) -> (u64, u64) {
    let mut s = add(columns(high, low), keys.of(0));
    macro_rules! rounds {
        ($($round:literal)*) => { $( s = mix(&DECRYPT, rows_down(s), keys.of($round)); )* };
    }
    rounds!(1 2 3 4 5 6 7 8 9);
    let last = |w: Columns| {
        let byte = |n: u32| u32::from(INVERSE[n as usize]);
        byte(w.0 >> 24) << 24
            | byte(w.1 >> 16 & 0xff) << 16
            | byte(w.2 >> 8 & 0xff) << 8
            | byte(w.3 & 0xff)
    };
    let (a, b, c, d) = rows_down(s);
    numbers(add((last(a), last(b), last(c), last(d)), keys.of(10)))
}

/// The columns from which each new column takes its rows: row n from n columns further.
#[inline(always)]
fn rows_up(s: Columns) -> (Columns, Columns, Columns, Columns) {
    let (a, b, c, d) = s;
    ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))
}

/// The same backwards.
#[inline(always)]
fn rows_down(s: Columns) -> (Columns, Columns, Columns, Columns) {
    let (a, b, c, d) = s;
    ((a, d, c, b), (b, a, d, c), (c, b, a, d), (d, c, b, a))
}

/// One round.
#[inline(always)]
fn mix(
    table: &'static [u32; 256],
    (a, b, c, d): (Columns, Columns, Columns, Columns),
    keys: Columns,
) -> Columns {
    let column = |w: Columns| {
        table[(w.0 >> 24) as usize]
            ^ table[(w.1 >> 16 & 0xff) as usize].rotate_right(8)
            ^ table[(w.2 >> 8 & 0xff) as usize].rotate_right(16)
            ^ table[(w.3 & 0xff) as usize].rotate_right(24)
    };
    add((column(a), column(b), column(c), column(d)), keys)
}

#[inline(always)]
fn add(a: Columns, b: Columns) -> Columns {
    (a.0 ^ b.0, a.1 ^ b.1, a.2 ^ b.2, a.3 ^ b.3)
}

#[inline(always)]
fn columns(high: u64, low: u64) -> Columns {
    (
        (high >> 32) as u32,
        high as u32,
        (low >> 32) as u32,
        low as u32,
    )
}

#[inline(always)]
fn numbers((a, b, c, d): Columns) -> (u64, u64) {
    (
        u64::from(a) << 32 | u64::from(b),
        u64::from(c) << 32 | u64::from(d),
    )
}

/// The round keys for [`fn@encrypt`].
#[must_use]
pub fn encryption(key: &[u8; 16]) -> RoundKeys {
    let mut words = [0; 44];
    for (word, bytes) in words.iter_mut().zip(key.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    let mut constant = 1;
    for i in 4..words.len() {
        let mut word = words[i - 1];
        if i % 4 == 0 {
            word = substitute(word.rotate_left(8)) ^ u32::from(constant) << 24;
            constant = double(constant);
        }
        words[i] = words[i - 4] ^ word;
    }
    words
}

/// The round keys for [`fn@decrypt`]: in the other order, and unmixed but for the first and the last, so that a round's
/// steps come in the same order as when encrypting (FIPS 197, 5.3.5).
#[must_use]
pub fn decryption(key: &[u8; 16]) -> RoundKeys {
    let forward = encryption(key);
    core::array::from_fn(|i| {
        let (round, column) = (i / 4, i % 4);
        let word = forward[4 * (10 - round) + column];
        if round == 0 || round == 10 {
            word
        } else {
            unmix(word)
        }
    })
}

fn substitute(word: u32) -> u32 {
    u32::from_be_bytes(word.to_be_bytes().map(|b| SUBSTITUTE[usize::from(b)]))
}

fn unmix(word: u32) -> u32 {
    let [a, b, c, d] = word.to_be_bytes().map(|b| SUBSTITUTE[usize::from(b)]);
    let of = |byte: u8| DECRYPT[usize::from(byte)];
    of(a) ^ of(b).rotate_right(8) ^ of(c).rotate_right(16) ^ of(d).rotate_right(24)
}

/// A number of the field times x.
const fn double(a: u8) -> u8 {
    (a << 1) ^ ((a >> 7) * 0x1b)
}

/// The product of two numbers of the field.
const fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = double(a);
        b >>= 1;
    }
    product
}

/// The number whose product with `a` is 1 (0 for 0): its 254th power.
const fn inverse(a: u8) -> u8 {
    let mut power = 1;
    let mut n = 0;
    while n < 254 {
        power = times(power, a);
        n += 1;
    }
    power
}

/// What each byte is substituted by.
const SUBSTITUTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let i = inverse(n as u8);
        table[n] =
            i ^ i.rotate_left(1) ^ i.rotate_left(2) ^ i.rotate_left(3) ^ i.rotate_left(4) ^ 0x63;
        n += 1;
    }
    table
};

/// And back.
static INVERSE: [u8; 256] = UNSUBSTITUTE;
const UNSUBSTITUTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[SUBSTITUTE[n] as usize] = n as u8;
        n += 1;
    }
    table
};

/// A byte of the first row, substituted and mixed into all four.
static ENCRYPT: [u32; 256] = mixed(&SUBSTITUTE, [2, 1, 1, 3]);
static DECRYPT: [u32; 256] = mixed(&UNSUBSTITUTE, [14, 9, 13, 11]);

const fn mixed(by: &[u8; 256], factors: [u8; 4]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let s = by[n];
        table[n] = u32::from_be_bytes([
            times(s, factors[0]),
            times(s, factors[1]),
            times(s, factors[2]),
            times(s, factors[3]),
        ]);
        n += 1;
    }
    table
}
