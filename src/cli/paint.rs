//! Lines of a terminal: pieces of text, each with what it means, and how that looks.
//!
//! A line is laid out without a terminal, so that a test can read it. No text in it can command the
//! terminal, and none makes it wider than it is said to be.

use std::fmt::Write;
use std::io::IsTerminal;

use crossterm::style::{Attribute, Color, ResetColor, SetAttribute, SetForegroundColor};

use super::output::{columns, visible};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// What the eye is to find first.
    Strong,
    /// What it may pass over.
    Faint,
    Good,
    Warning,
    Bad,
    /// What belongs to whoever looks.
    Own,
    /// The line that keys act on.
    Chosen,
}

/// How much of a style can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Nothing: a file, or another program.
    Text,
    /// A terminal whose user wants no colours.
    Grey,
    /// A terminal.
    Colour,
}

impl Ink {
    /// What standard output can show. `NO_COLOR` in the environment, if not empty, forbids colours.
    pub(super) fn of_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match std::io::stdout().is_terminal() && !is_dumb {
            false => Ink::Text,
            true if is_set("NO_COLOR") => Ink::Grey,
            true => Ink::Colour,
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line(Vec<(String, Style)>);

impl Line {
    /// A line of one piece.
    pub(super) fn of(text: impl AsRef<str>, style: Style) -> Self {
        Line::default().and(text, style)
    }

    /// The line and one piece more.
    pub(super) fn and(mut self, text: impl AsRef<str>, style: Style) -> Self {
        self.push(text, style);
        self
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, text: impl AsRef<str>, style: Style) {
        self.0.push((visible(text.as_ref()).replace('\t', " "), style));
    }

    /// The columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| columns(text)).sum()
    }

    /// The text alone.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// The line, cut where it would be wider.
    pub(super) fn cut(self, width: usize) -> Self {
        let mut left = width;
        let mut kept = Vec::with_capacity(self.0.len());
        for (text, style) in self.0 {
            let piece = if columns(&text) <= left { text } else { cut(&text, left) };
            left -= columns(&piece);
            kept.push((piece, style));
        }
        Line(kept)
    }

    /// The line in one style, as wide as it can be.
    pub(super) fn chosen(self, width: usize) -> Self {
        let blank = width.saturating_sub(self.width());
        Line::of(format!("{}{:blank$}", self.text(), ""), Style::Chosen)
    }

    /// What a terminal has to be told to show it.
    pub(super) fn painted(&self, ink: Ink) -> String {
        let mut painted = String::new();
        for (text, style) in &self.0 {
            let look = look(*style, ink);
            if look.is_empty() {
                painted.push_str(text);
            } else {
                let _ = write!(painted, "{look}{text}{}{}", SetAttribute(Attribute::Reset), ResetColor);
            }
        }
        painted
    }
}

fn look(style: Style, ink: Ink) -> String {
    let colour = |colour: Color| match ink {
        Ink::Colour => SetForegroundColor(colour).to_string(),
        Ink::Grey | Ink::Text => String::new(),
    };
    let attribute = |attribute: Attribute| match ink {
        Ink::Colour | Ink::Grey => SetAttribute(attribute).to_string(),
        Ink::Text => String::new(),
    };
    match style {
        Style::Plain => String::new(),
        Style::Strong => attribute(Attribute::Bold),
        Style::Faint => attribute(Attribute::Dim),
        Style::Good => colour(Color::Green),
        Style::Warning => colour(Color::Yellow),
        Style::Bad => attribute(Attribute::Bold) + &colour(Color::Red),
        Style::Own => colour(Color::Cyan),
        Style::Chosen => attribute(Attribute::Reverse),
    }
}

/// The text in at most so many columns; where something is cut off, `…` is the last.
pub(super) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        kept.push(letter);
        if columns(&kept) + 1 > width {
            kept.pop();
            break;
        }
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The text in at most so many columns, with its beginning and its end: names are often told apart
/// by either.
pub(super) fn squeezed(text: &str, width: usize) -> String {
    if columns(text) <= width || width < 3 {
        return cut(text, width);
    }
    let mut end = String::new();
    for letter in text.chars().rev() {
        end.insert(0, letter);
        if columns(&end) > (width - 1) / 2 {
            end.remove(0);
            break;
        }
    }
    cut(text, width - columns(&end)) + &end
}

/// A bar of this part (0 to 1) of so many columns, to an eighth of a column.
pub(super) fn bar(part: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * (8 * width) as f64).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_columns_it_has() {
        let line = Line::of("orders ", Style::Strong).and("注文注文", Style::Bad);
        assert_eq!(line.width(), 15);
        for (width, text) in
            [(15, "orders 注文注文"), (12, "orders 注文…"), (11, "orders 注…"), (3, "or…"), (0, "")]
        {
            let cut = line.clone().cut(width);
            assert_eq!(cut.text(), text, "{width}");
            assert!(cut.width() <= width);
        }
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        for (width, text) in [(99, "orders.eu/paid"), (9, "orde…paid"), (8, "orde…aid"), (2, "o…"), (0, "")]
        {
            assert_eq!(squeezed("orders.eu/paid", width), text);
        }
        assert_eq!(squeezed("注文注文", 7), "注文…文");
    }

    #[test]
    fn no_text_commands_the_terminal() {
        let line = Line::of("a\x1b[2J\tb\u{9b}1m", Style::Plain);
        assert_eq!(line.painted(Ink::Colour), "a\u{fffd}[2J b\u{fffd}1m");
    }

    #[test]
    fn styles_are_shown_as_far_as_the_output_can() {
        let line = Line::of("x", Style::Bad);
        assert_eq!(line.painted(Ink::Text), "x");
        assert!(line.painted(Ink::Grey).starts_with("\x1b[1mx"), "{:?}", line.painted(Ink::Grey));
        assert_eq!(Line::of("x", Style::Good).painted(Ink::Grey), "x");
        assert_eq!(Line::of("x", Style::Chosen).chosen(3).text(), "x  ");
    }

    #[test]
    fn a_bar_shows_small_parts_too() {
        assert_eq!([0.0, 0.06, 0.5, 1.0, 7.0].map(|part| bar(part, 2)), ["", "▏", "█", "██", "██"]);
    }
}
