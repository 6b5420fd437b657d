//! The order of the backends.

use super::frame::BackendRow;

/// What backends are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    /// As the configuration has them.
    #[default]
    Name,
    /// Those in trouble first.
    State,
    /// The most in flight first.
    InFlight,
    /// The most work per second first.
    Rate,
    /// The slowest first.
    Latency,
    /// The most errors per second first.
    Errors,
}

impl Column {
    const ALL: [Self; 6] = [
        Self::Name,
        Self::State,
        Self::InFlight,
        Self::Rate,
        Self::Latency,
        Self::Errors,
    ];

    /// The next one, or the one before.
    pub(super) fn turn(self, forward: bool) -> Self {
        let at = Self::ALL.iter().position(|c| *c == self).unwrap_or(0);
        let step = if forward { 1 } else { Self::ALL.len() - 1 };
        Self::ALL[(at + step) % Self::ALL.len()]
    }

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::State => "state",
            Self::InFlight => "in flight",
            Self::Rate => "rate",
            Self::Latency => "latency",
            Self::Errors => "errors",
        }
    }

    /// Sorts; equal ones stay in the order of the configuration.
    pub(super) fn sort(self, rows: &mut [BackendRow]) {
        match self {
            Self::Name => {}
            Self::State => rows.sort_by_key(|r| (r.state.is_up(), r.state)),
            Self::InFlight => rows.sort_by_key(|r| std::cmp::Reverse(r.in_flight)),
            Self::Rate => rows.sort_by(|a, b| b.rate.total_cmp(&a.rate)),
            Self::Latency => rows.sort_by(|a, b| {
                let of = |row: &BackendRow| row.latency.unwrap_or(-1.0);
                of(b).total_cmp(&of(a))
            }),
            Self::Errors => rows.sort_by(|a, b| b.error_rate.total_cmp(&a.error_rate)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::BackendState;

    #[test]
    fn each_column_puts_its_most_first() {
        let row = |name: &str, state, rate, latency| BackendRow {
            name: name.into(),
            state,
            rate,
            latency,
            ..BackendRow::default()
        };
        let rows = vec![
            row("a", BackendState::Up, 1.0, None),
            row("b", BackendState::Down, 0.0, Some(0.1)),
            row("c", BackendState::Up, 5.0, Some(0.2)),
        ];
        let sorted = |column: Column| {
            let mut rows = rows.clone();
            column.sort(&mut rows);
            rows.iter().map(|r| r.name.clone()).collect::<String>()
        };
        assert_eq!(sorted(Column::Name), "abc");
        assert_eq!(sorted(Column::State), "bac");
        assert_eq!(sorted(Column::Rate), "cab");
        assert_eq!(sorted(Column::Latency), "cba");
    }

    #[test]
    fn turning_comes_round() {
        let mut column = Column::default();
        for _ in 0..6 {
            column = column.turn(true);
        }
        assert_eq!(column, Column::Name);
        assert_eq!(Column::Name.turn(false), Column::Errors);
    }
}
