//! The view on a terminal.

use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{
    Frame as Canvas,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table, TableState},
};

use super::{
    Extras,
    frame::{BackendRow, Frame, ServiceRow, VipRow},
    poller::Poller,
    sort::Column,
};
use crate::{
    api::model::{BackendState, Phase},
    cli::{
        exit::{Failure, Outcome},
        table::{bytes, latency, rate, span},
    },
};

/// How soon a key, or an end, is noticed at the latest.
const STEP: Duration = Duration::from_millis(100);

/// What the user sees and has chosen.
struct Screen {
    frame: Frame,
    /// Why the last look failed.
    trouble: Option<String>,
    sort: Column,
    selected: TableState,
}

/// What a key wants.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    Redraw,
    Extra(char),
    Nothing,
}

/// Shows the view until the end.
pub(super) fn run(
    poller: &mut Poller,
    first: Frame,
    interval: Duration,
    end: Option<Instant>,
    extras: &mut dyn Extras,
) -> Outcome {
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::refused("cannot use the terminal (try --plain)", error))?;
    let outcome = show(
        &mut terminal,
        poller,
        Screen::new(first),
        interval,
        end,
        extras,
    );
    ratatui::restore();
    outcome
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    poller: &mut Poller,
    mut screen: Screen,
    interval: Duration,
    end: Option<Instant>,
    extras: &mut dyn Extras,
) -> Outcome {
    let broken = |error: std::io::Error| Failure::refused("the terminal is gone", error);
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if extras.is_over() || end.is_some_and(|end| now >= end) {
            return Ok(());
        }
        if now >= next {
            next = now + interval;
            screen.look(poller);
        }
        let _ = terminal
            .draw(|canvas| screen.draw(canvas, extras))
            .map_err(broken)?;
        let patience = STEP.min(next.saturating_duration_since(Instant::now()));
        if !event::poll(patience).map_err(broken)? {
            continue;
        }
        let Event::Key(key) = event::read().map_err(broken)? else {
            continue;
        };
        match screen.press(key) {
            Wish::Quit => return Ok(()),
            Wish::Extra(key) => extras.key(key),
            Wish::Redraw | Wish::Nothing => {}
        }
    }
}

impl Screen {
    fn new(frame: Frame) -> Self {
        Self {
            frame,
            trouble: None,
            sort: Column::default(),
            selected: TableState::default().with_selected(0),
        }
    }

    /// Looks again. A daemon that is away for a moment (an upgrade) leaves the last figures on the screen.
    fn look(&mut self, poller: &mut Poller) {
        match poller.look() {
            Ok(frame) => {
                self.frame = frame;
                self.trouble = None;
                self.sort.sort(&mut self.frame.backends);
            }
            Err(failure) => self.trouble = Some(failure.to_string()),
        }
    }

    fn press(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Quit,
            KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
            KeyCode::Down => {
                self.selected.select_next();
                Wish::Redraw
            }
            KeyCode::Up => {
                self.selected.select_previous();
                Wish::Redraw
            }
            KeyCode::Char('s') | KeyCode::Right => self.order(self.sort.turn(true)),
            KeyCode::Left => self.order(self.sort.turn(false)),
            KeyCode::Char(other) => Wish::Extra(other),
            _ => Wish::Nothing,
        }
    }

    fn order(&mut self, by: Column) -> Wish {
        self.sort = by;
        by.sort(&mut self.frame.backends);
        Wish::Redraw
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, extras: &dyn Extras) {
        let story = extras.lines();
        let rows = |count: usize| Constraint::Length(u16::try_from(count).unwrap_or(u16::MAX));
        let heading = self.heading();
        let vips = self.frame.vips.len();
        let [head, told, addresses, services, backends, foot] = Layout::vertical([
            rows(heading.len() + 1),
            rows(if story.is_empty() { 0 } else { story.len() + 1 }),
            rows(if vips == 0 { 0 } else { vips + 2 }),
            rows(self.frame.services.len() + 2),
            Constraint::Min(3),
            rows(1),
        ])
        .areas(canvas.area());
        canvas.render_widget(Paragraph::new(heading), head);
        let story: Vec<Line<'_>> = story.into_iter().map(Line::from).collect();
        canvas.render_widget(Paragraph::new(story), told);
        if vips > 0 {
            canvas.render_widget(vip_table(&self.frame.vips), addresses);
        }
        canvas.render_widget(service_table(&self.frame.services), services);
        self.draw_backends(canvas, backends);
        canvas.render_widget(Paragraph::new(self.footer(extras)), foot);
    }

    fn heading(&self) -> Vec<Line<'static>> {
        let frame = &self.frame;
        let (up, all) = frame.up();
        let phase = match frame.phase {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::HandingOver => "handing over",
            Phase::Leaving => "leaving",
        };
        let text = format!(
            "aplomb {}, process {}, {phase} for {}, generation {}, {}, CPU {:.0}%, {up} of {all} backends up",
            frame.version,
            frame.pid,
            span(frame.uptime),
            frame.generation,
            bytes(frame.resident as f64),
            frame.cpu * 100.0,
        );
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut lines = vec![Line::from(Span::styled(text, bold))];
        lines.extend(frame.kernel.clone().map(Line::from));
        let colour = if frame.in_sync {
            Color::Reset
        } else {
            Color::Red
        };
        let sync = frame.sync.clone();
        let sync = sync.into_iter();
        lines.extend(sync.map(|text| Line::styled(text, Style::new().fg(colour))));
        lines
    }

    fn draw_backends(&mut self, canvas: &mut Canvas<'_>, area: Rect) {
        let rows = self.frame.backends.iter().map(backend_row);
        let names = self.frame.backends.iter().map(|b| b.name.as_str());
        let widths = [
            widest("BACKEND", names),
            Constraint::Length(9),
            Constraint::Length(7),
            Constraint::Length(6),
            Constraint::Length(6),
            Constraint::Length(7),
            Constraint::Length(6),
            Constraint::Length(8),
            Constraint::Fill(1),
        ];
        let headings = [
            "BACKEND", "STATE", "SINCE", "WEIGHT", "FLIGHT", "RATE/S", "ERR/S", "LATENCY", "WHY",
        ];
        let table = Table::new(rows, widths)
            .header(heading_row(&headings))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        canvas.render_stateful_widget(table, area, &mut self.selected);
    }

    fn footer(&self, extras: &dyn Extras) -> Line<'static> {
        if let Some(trouble) = &self.trouble {
            return Line::styled(trouble.clone(), Style::new().fg(Color::Red));
        }
        let sorted = self.sort.as_str();
        let mut text = format!("q quit  \u{2191}\u{2193} scroll  \u{2190}\u{2192} sort ({sorted})");
        if !extras.keys().is_empty() {
            text += "  ";
            text += extras.keys();
        }
        Line::styled(text, Style::new().add_modifier(Modifier::DIM))
    }
}

fn heading_row(headings: &[&'static str]) -> Row<'static> {
    let style = Style::new().add_modifier(Modifier::UNDERLINED);
    Row::new(headings.iter().map(|h| Cell::from(*h))).style(style)
}

/// As wide as the widest of a column.
fn widest<'a>(heading: &'a str, cells: impl Iterator<Item = &'a str>) -> Constraint {
    let widest = cells
        .chain([heading])
        .map(|cell| cell.chars().count())
        .max();
    Constraint::Length(
        widest
            .and_then(|w| u16::try_from(w).ok())
            .unwrap_or(u16::MAX),
    )
}

fn service_table(services: &[ServiceRow]) -> Table<'static> {
    let optional = |seconds: Option<f64>| seconds.map_or("-".into(), latency);
    let rows = services.iter().map(|service| {
        Row::new([
            service.name.clone(),
            service.listen.clone(),
            service.connections.to_string(),
            rate(service.rate),
            rate(service.error_rate),
            optional(service.p50),
            optional(service.p99),
            bytes(service.received),
            bytes(service.sent),
        ])
    });
    let widths = [
        widest("SERVICE", services.iter().map(|s| s.name.as_str())),
        widest("LISTEN", services.iter().map(|s| s.listen.as_str())),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let headings = [
        "SERVICE", "LISTEN", "CONNS", "RATE/S", "ERR/S", "P50", "P99", "IN/S", "OUT/S",
    ];
    Table::new(rows, widths).header(heading_row(&headings))
}

fn vip_table(vips: &[VipRow]) -> Table<'static> {
    let rows = vips.iter().map(|vip| {
        let colour = match vip.state.as_str() {
            "master" => Color::Green,
            "backup" => Color::Cyan,
            _ => Color::Red,
        };
        Row::new([
            Cell::from(vip.name.clone()),
            Cell::from(vip.state.clone()).style(Style::new().fg(colour)),
            Cell::from(span(vip.since)),
            Cell::from(vip.priority.clone()),
            Cell::from(vip.addresses.clone()),
            Cell::from(vip.why.clone()),
        ])
    });
    let widths = [
        widest("VIP", vips.iter().map(|v| v.name.as_str())),
        Constraint::Length(10),
        Constraint::Length(7),
        widest("PRIORITY", vips.iter().map(|v| v.priority.as_str())),
        widest("ADDRESSES", vips.iter().map(|v| v.addresses.as_str())),
        Constraint::Fill(1),
    ];
    let headings = ["VIP", "STATE", "FOR", "PRIORITY", "ADDRESSES", "WHY"];
    Table::new(rows, widths).header(heading_row(&headings))
}

fn backend_row(backend: &BackendRow) -> Row<'static> {
    let colour = match backend.state {
        BackendState::Up => Color::Green,
        BackendState::Checking => Color::Cyan,
        BackendState::Down => Color::Red,
        BackendState::Draining => Color::Yellow,
        BackendState::Disabled => Color::DarkGray,
    };
    Row::new([
        Cell::from(backend.name.clone()),
        Cell::from(backend.state.as_str()).style(Style::new().fg(colour)),
        Cell::from(span(backend.since)),
        Cell::from(backend.weight.to_string()),
        Cell::from(backend.in_flight.to_string()),
        Cell::from(rate(backend.rate)),
        Cell::from(rate(backend.error_rate)),
        Cell::from(backend.latency.map_or("-".into(), latency)),
        Cell::from(backend.why.clone()),
    ])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    struct Lab;

    impl Extras for Lab {
        fn lines(&self) -> Vec<String> {
            vec!["try: curl http://127.0.0.1:8080/".into()]
        }

        fn keys(&self) -> &'static str {
            "1 2 3 toggle a backend"
        }

        fn key(&mut self, _key: char) {}

        fn is_over(&self) -> bool {
            false
        }
    }

    fn screen() -> Screen {
        let (_, before) = super::super::frame::tests::node(10.0, 100);
        let (status, now) = super::super::frame::tests::node(12.0, 150);
        Screen::new(Frame::new(&status, &now, Some(&before)))
    }

    fn drawn(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let _ = terminal.draw(|canvas| screen.draw(canvas, &Lab)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect())
            .collect()
    }

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn everything_has_its_place() {
        let lines = drawn(&mut screen(), 120, 20);
        let text = lines.join("\n");
        assert!(text.contains("1 of 2 backends up"), "{text}");
        assert!(text.contains("try: curl"), "{text}");
        let service = lines.iter().find(|l| l.starts_with("shop")).unwrap();
        assert!(service.contains(" 25 "), "{service}");
        let down = lines
            .iter()
            .find(|l| l.contains("web/10.0.0.2:80"))
            .unwrap();
        assert!(down.contains("down") && down.contains("connection refused"));
        assert!(lines.last().unwrap().contains("1 2 3 toggle a backend"));
    }

    #[test]
    fn who_has_an_address_is_shown_and_why_and_whether_connections_are_known() {
        let (status, now) = super::super::frame::tests::node(12.0, 150);
        let status = super::super::frame::tests::with_vip(status);
        let mut screen = Screen::new(Frame::new(&status, &now, None));
        let lines = drawn(&mut screen, 130, 20);
        let vip = lines.iter().find(|l| l.starts_with("edge ")).unwrap();
        let words: Vec<&str> = vip.split_whitespace().collect();
        let expected = "edge master 1m5s 90 (of 150) 10.0.0.100/24 no master was heard for 341ms";
        assert_eq!(words.join(" "), expected);
        let sync = "connection sync: in sync with 10.0.0.2:8849";
        assert!(lines.iter().any(|l| l.starts_with(sync)), "{lines:?}");
        assert!(lines.iter().any(|l| l.starts_with("shop ")), "{lines:?}");
    }

    #[test]
    fn a_tiny_terminal_is_survived() {
        for (width, height) in [(1, 1), (10, 3), (40, 5)] {
            let lines = drawn(&mut screen(), width, height);
            assert_eq!(lines.len(), usize::from(height));
        }
    }

    #[test]
    fn keys_do_what_the_last_line_says() {
        let mut screen = screen();
        assert_eq!(screen.press(key(KeyCode::Char('q'))), Wish::Quit);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen.press(ctrl_c), Wish::Quit);
        assert_eq!(screen.press(key(KeyCode::Char('2'))), Wish::Extra('2'));
        let _ = screen.press(key(KeyCode::Right));
        assert_eq!(screen.sort, Column::State);
        assert_eq!(screen.frame.backends[0].state, BackendState::Down);
    }

    #[test]
    fn trouble_is_shown_and_the_figures_stay() {
        let mut screen = screen();
        screen.trouble = Some("cannot reach the daemon".into());
        let text = drawn(&mut screen, 100, 20).join("\n");
        assert!(text.contains("cannot reach the daemon") && text.contains("shop"));
    }
}
