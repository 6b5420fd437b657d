//! Whatever the text: no panic, and every place lies within it.

use control::config::{Diagnostics, NoSources, Style, diff, parse};
use proptest::prelude::*;

const EXAMPLES: [&str; 8] = [
    include_str!("../../examples/l4-nat.toml"),
    include_str!("../../examples/l4-direct.toml"),
    include_str!("../../examples/l4-tunnel.toml"),
    include_str!("../../examples/http.toml"),
    include_str!("../../examples/tcp.toml"),
    include_str!("../../examples/udp.toml"),
    include_str!("../../examples/checks.toml"),
    include_str!("../../examples/reference.toml"),
];

/// Words that TOML and the key tables know.
const WORDS: [&str; 48] = [
    "[[pool]]",
    "[[service]]",
    "[[service.routes]]",
    "[[vip]]",
    "[admin]",
    "[log]",
    "[proxy]",
    "[pool]",
    "\n",
    "\n",
    " = ",
    ".",
    ",",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "name",
    "backends",
    "listen",
    "balance",
    "check",
    "http",
    "tcp",
    "routes",
    "path",
    "pool",
    "token",
    "tls",
    "\"web\"",
    "\"10.0.0.1:80\"",
    "\"http://0.0.0.0:80\"",
    "\"~(\"",
    "\"/a*\"",
    "\"5s\"",
    "\"50%\"",
    "\"1KiB\"",
    "-1",
    "1e400",
    "0xffffffffffffffffff",
    "1979-05-27",
    "nan",
    "true",
    "ü\u{1F600}\u{0}",
];

fn places_are_within(diagnostics: &Diagnostics, text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in &diagnostics.problems {
        let places = problem.related.iter().map(|r| (r.start, r.end));
        for (start, end) in places.chain([(problem.start, problem.end)]) {
            assert!(start <= end && end.line <= lines.len(), "{problem:?}");
            let columns = lines[end.line - 1].chars().count() + 1;
            assert!(end.column <= columns, "{problem:?} of {columns}");
        }
    }
}

fn look(text: &str) {
    let diagnostics = match parse(text, "t", &NoSources) {
        Ok(admitted) => {
            assert!(diff(&admitted.spec, &admitted.spec).is_empty());
            admitted.warnings
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems
        }
    };
    places_are_within(&diagnostics, text);
    assert_eq!(
        diagnostics.render(Style::Plain).is_empty(),
        diagnostics.is_empty()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in "\\PC*|[\\x00-\\x7f]{0,200}") {
        look(&text);
    }

    #[test]
    fn words_in_any_order(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        look(&words.concat());
    }

    #[test]
    fn examples_with_a_piece_replaced(
        example in 0..EXAMPLES.len(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        with in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..4),
    ) {
        let text = EXAMPLES[example];
        let chars: Vec<char> = text.chars().collect();
        let start = at.index(chars.len());
        let end = (start + length).min(chars.len());
        let front: String = chars[..start].iter().collect();
        let back: String = chars[end..].iter().collect();
        look(&format!("{front}{}{back}", with.concat()));
    }

    #[test]
    fn lines_in_another_order(example in 0..EXAMPLES.len(), order in prop::collection::vec(any::<prop::sample::Index>(), 1..60)) {
        let lines: Vec<&str> = EXAMPLES[example].lines().collect();
        let text: Vec<&str> = order.iter().map(|at| lines[at.index(lines.len())]).collect();
        look(&text.join("\n"));
    }

    #[test]
    fn nested_deeply(open in "[\\[{]", depth in 0_usize..2000) {
        look(&format!("pool = {}", open.repeat(depth)));
        look(&format!("pool = {}", "{ check = [".repeat(depth)));
    }
}
