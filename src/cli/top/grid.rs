//! The columns of a table on a screen that may be too narrow for all of them.
//!
//! The first column takes what the others leave; where that is too little, the others leave the
//! table, those of the highest rank first.

use crate::cli::output::columns;
use crate::cli::paint::{Line, Style, cut, squeezed};

const GAP: usize = 2;

/// A column; the first of a table is a name, and its width the least it can do with.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: usize,
    /// 0 stays, whatever happens.
    pub(super) rank: u8,
    pub(super) align: Align,
}

/// Where a cell stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Columns fitted to a screen.
pub(super) struct Grid {
    kept: Vec<(usize, usize, Align)>,
}

impl Grid {
    /// `longest` is the width of the longest name.
    pub(super) fn fit(table: &[Column], width: usize, longest: usize) -> Self {
        let mut kept: Vec<usize> = (0..table.len()).collect();
        let taken = |kept: &[usize]| kept.iter().map(|at| table[*at].width + GAP).sum::<usize>() - GAP;
        while taken(&kept) > width {
            let Some(place) = (1..kept.len()).max_by_key(|place| table[kept[*place]].rank) else { break };
            if table[kept[place]].rank == 0 {
                break;
            }
            kept.remove(place);
        }
        let spare = width.saturating_sub(taken(&kept));
        let name = table[0].width + spare.min(longest.saturating_sub(table[0].width));
        let wide = |at: usize| if at == 0 { name } else { table[at].width };
        Grid { kept: kept.into_iter().map(|at| (at, wide(at), table[at].align)).collect() }
    }

    /// A row: a cell for each column of the whole table.
    pub(super) fn line(&self, cells: &[(String, Style)]) -> Line {
        let mut line = Line::default();
        for (place, (at, width, align)) in self.kept.iter().enumerate() {
            let Some((text, style)) = cells.get(*at) else { continue };
            let text = if *at == 0 { squeezed(text, *width) } else { cut(text, *width) };
            let blank = " ".repeat(width - columns(&text));
            if place > 0 {
                line.push(" ".repeat(GAP), Style::Plain);
            }
            match align {
                Align::Left => line = line.and(&text, *style).and(&blank, Style::Plain),
                Align::Right => line = line.and(&blank, Style::Plain).and(&text, *style),
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [Column; 4] = [
        Column { head: "NAME", width: 5, rank: 0, align: Align::Left },
        Column { head: "IN", width: 4, rank: 0, align: Align::Right },
        Column { head: "OUT", width: 4, rank: 2, align: Align::Right },
        Column { head: "BAR", width: 3, rank: 1, align: Align::Left },
    ];

    fn line(width: usize, name: &str) -> String {
        let cells = [name, "12", "345", "█"].map(|text| (text.to_owned(), Style::Plain));
        Grid::fit(&TABLE, width, columns(name)).line(&cells).text()
    }

    #[test]
    fn columns_leave_a_narrow_screen_by_their_rank() {
        assert_eq!(line(22, "orders"), "or…rs    12   345  █  ");
        assert_eq!(line(21, "orders"), "orders    12  █  ");
        assert_eq!(line(12, "orders"), "orders    12");
        assert_eq!(line(3, "orders"), "or…rs    12", "a screen for nobody");
    }

    #[test]
    fn a_name_takes_what_is_left_and_no_more_than_it_needs() {
        assert_eq!(line(80, "orders"), "orders    12   345  █  ");
        assert_eq!(line(80, "a"), "a        12   345  █  ");
        assert_eq!(line(80, "注文注文"), "注文注文    12   345  █  ");
    }
}
