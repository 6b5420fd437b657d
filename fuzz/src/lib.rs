//! What several targets share.

/// The lengths to show a parser one after the other, as if `data` came in pieces, and `data` itself:
/// the first bytes of the input say how long the pieces are.
pub fn pieces(input: &[u8]) -> (impl Iterator<Item = usize>, &[u8]) {
    let (steps, data) = input.split_at(input.len().min(3));
    let steps: Vec<usize> = steps
        .iter()
        .map(|step| usize::from(step % 32) + 1)
        .collect();
    let mut at = 0;
    let mut turn = 0;
    let lengths = std::iter::from_fn(move || {
        let step = steps.get(turn % steps.len().max(1))?;
        turn += 1;
        (at < data.len()).then(|| {
            at = (at + step).min(data.len());
            at
        })
    });
    (lengths, data)
}
