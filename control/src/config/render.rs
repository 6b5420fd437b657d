//! Problems as people read them, with the lines they are about.

use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str, renderer::DecorStyle,
};

use super::diagnostic::{Diagnostic, Diagnostics, Severity, Span, Style};

/// Places further apart than this many bytes are shown as two excerpts.
const NEAR: usize = 2048;
/// The longest stretch of one line that is looked at, in bytes, either side of the place.
const LINE: usize = 512;

/// All of `diagnostics`, one after the other, an empty line between.
pub(super) fn render(diagnostics: &Diagnostics, text: &str, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    }
    .decor_style(DecorStyle::Ascii)
    .term_width(120);
    let mut out = String::new();
    for diagnostic in &diagnostics.problems {
        out += &renderer.render(&[group(diagnostic, &diagnostics.file, text)]);
        out += "\n\n";
    }
    if diagnostics.omitted > 0 {
        out += &format!("and {} further problems\n\n", diagnostics.omitted);
    }
    let _ = out.pop();
    out
}

fn group<'a>(diagnostic: &'a Diagnostic, file: &'a str, text: &'a str) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut marks = vec![Mark {
        span: diagnostic.span,
        kind: AnnotationKind::Primary,
        label: None,
    }];
    marks.extend(diagnostic.related.iter().map(|related| Mark {
        span: related.span,
        kind: AnnotationKind::Context,
        label: Some(&related.message),
    }));
    let mut group = level
        .primary_title(normalize_untrusted_str(&diagnostic.message))
        .elements(excerpts(marks, file, text));
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(normalize_untrusted_str(note)));
    }
    group
}

struct Mark<'a> {
    span: Span,
    kind: AnnotationKind,
    label: Option<&'a str>,
}

/// The excerpts that show `marks`: one for those near the first, one for each of the others.
fn excerpts<'a>(
    marks: Vec<Mark<'a>>,
    file: &'a str,
    text: &'a str,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut windows: Vec<(Span, Vec<Mark<'a>>)> = Vec::new();
    for mark in marks {
        let lines = whole_lines(mark.span, text);
        let near = windows.first_mut().filter(|(window, _)| {
            let joined = join(*window, lines);
            joined.end - joined.start <= NEAR
        });
        match near {
            Some((window, marks)) => {
                *window = join(*window, lines);
                marks.push(mark);
            }
            None => windows.push((lines, vec![mark])),
        }
    }
    windows
        .into_iter()
        .map(|(window, marks)| {
            let line = text[..window.start].matches('\n').count() + 1;
            Snippet::source(&text[window.start..window.end])
                .path(file)
                .line_start(line)
                .annotations(marks.into_iter().map(|mark| {
                    mark.kind
                        .span(mark.span.start - window.start..mark.span.end - window.start)
                        .label(mark.label.map(normalize_untrusted_str))
                }))
        })
        .collect()
}

fn join(a: Span, b: Span) -> Span {
    Span {
        start: a.start.min(b.start),
        end: a.end.max(b.end),
    }
}

/// The lines that `span` (on one line) lies on, cut where a line is very long.
fn whole_lines(span: Span, text: &str) -> Span {
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..]
        .find('\n')
        .map_or(text.len(), |at| span.end + at);
    let floor = |at: usize, least: usize| {
        (least..=at)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(least)
    };
    Span {
        // A cut start would shift the column that is shown, so only monstrous lines are cut.
        start: start.max(floor(span.start.saturating_sub(16 * LINE), start)),
        end: end.min(floor((span.end + LINE).min(text.len()), span.end)),
    }
}
