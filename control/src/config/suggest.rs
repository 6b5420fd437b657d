//! What was probably meant: the nearest of some words.

/// The word of `candidates` nearest to `given`, if any is near enough to be what was meant.
pub(super) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if given.is_empty() || given.len() > LONGEST {
        return None;
    }
    let given: Vec<char> = given.chars().flat_map(char::to_lowercase).collect();
    let allowed = (given.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|word| word.len() <= LONGEST && word.len().abs_diff(given.len()) <= allowed)
        .filter_map(|word| {
            let chars: Vec<char> = word.chars().collect();
            let distance = distance(&given, &chars);
            (distance <= allowed).then_some((distance, word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make `a` into `b`
/// (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant() {
        let keys = ["balance", "backends", "check", "name", "panic-below"];
        for (given, meant) in [
            ("balence", Some("balance")),
            ("blaance", Some("balance")),
            ("Name", Some("name")),
            ("panic_below", Some("panic-below")),
            ("backend", Some("backends")),
            ("zebra", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(given, keys), meant, "{given}");
        }
    }

    #[test]
    fn long_words_cost_nothing() {
        assert_eq!(nearest(&"a".repeat(1 << 20), ["a"]), None);
        assert_eq!(nearest("a", [&*"a".repeat(1 << 20)]), None);
    }
}
