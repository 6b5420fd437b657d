//! Wall time as text (RFC 3339, UTC, milliseconds), made once a second.

/// Remembers the text of the last second.
#[derive(Debug)]
pub(crate) struct Stamp {
    second: u64,
    text: [u8; 24],
}

impl Default for Stamp {
    fn default() -> Self {
        let mut stamp = Self {
            second: 0,
            text: *b"1970-01-01T00:00:00.000Z",
        };
        stamp.write_second(0);
        stamp
    }
}

impl Stamp {
    /// `millis` since 1970 as text. Years from 10,000 on are not foreseen and wrap.
    pub(crate) fn text(&mut self, millis: u64) -> &str {
        let second = millis / 1000;
        if second != self.second {
            self.write_second(second);
        }
        put(&mut self.text[20..23], millis % 1000);
        // Only digits and ASCII separators are ever written.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    fn write_second(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = date(second / 86_400);
        let t = &mut self.text;
        put(&mut t[0..4], year);
        put(&mut t[5..7], month);
        put(&mut t[8..10], day);
        put(&mut t[11..13], second / 3600 % 24);
        put(&mut t[14..16], second / 60 % 60);
        put(&mut t[17..19], second % 60);
    }
}

fn put(digits: &mut [u8], mut n: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

/// Year, month and day of the `days`th day since 1970. Years are counted from March, so that the day that leap
/// years add is their last, in cycles of 400 years.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097;
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let mut stamp = Stamp::default();
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_001, "2024-03-01T00:00:00.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_763_664_305_042, "2025-11-20T18:45:05.042Z"),
        ] {
            assert_eq!(stamp.text(millis), text);
        }
    }
}
