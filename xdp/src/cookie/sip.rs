//! SipHash-2-4 (Aumasson and Bernstein, 2012), over words of 64 bits: a hash that nobody can foresee without the key.

/// The state between words.
#[derive(Clone, Copy)]
pub(super) struct Sip {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
}

impl Sip {
    /// Begins, with a key.
    #[inline(always)]
    pub(super) fn new(key: [u64; 2]) -> Self {
        let [low, high] = key;
        Self {
            a: low ^ 0x736f_6d65_7073_6575,
            b: high ^ 0x646f_7261_6e64_6f6d,
            c: low ^ 0x6c79_6765_6e65_7261,
            d: high ^ 0x7465_6462_7974_6573,
        }
    }

    #[inline(always)]
    fn round(&mut self) {
        self.a = self.a.wrapping_add(self.b);
        self.c = self.c.wrapping_add(self.d);
        self.b = self.b.rotate_left(13) ^ self.a;
        self.d = self.d.rotate_left(16) ^ self.c;
        self.a = self.a.rotate_left(32);
        self.c = self.c.wrapping_add(self.b);
        self.a = self.a.wrapping_add(self.d);
        self.b = self.b.rotate_left(17) ^ self.c;
        self.d = self.d.rotate_left(21) ^ self.a;
        self.c = self.c.rotate_left(32);
    }

    /// Takes the next eight bytes of the message, the first of them in the lowest bits.
    #[inline(always)]
    pub(super) fn word(&mut self, word: u64) {
        self.d ^= word;
        self.round();
        self.round();
        self.a ^= word;
    }

    /// The hash, after the word that has the message's rest and, in its highest byte, its length.
    #[inline(always)]
    pub(super) fn finish(mut self) -> u64 {
        self.c ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.round();
        self.a ^ self.b ^ self.c ^ self.d
    }
}
