//! A grid of characters on which boxes, lines and texts are drawn.

/// The ways in which a line leaves a cell.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// The character for each set of ways.
const LINES: [char; 16] = [' ', '│', '│', '│', '─', '╯', '╮', '┤', '─', '╰', '╭', '├', '─', '┴', '┬', '┼'];

/// How a text looks on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    #[default]
    Plain,
    /// What matters.
    Bold,
    /// What is beside the point.
    Dim,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    ways: u8,
    /// Whose line it is.
    net: usize,
    /// A character in place of a line.
    character: Option<char>,
    look: Look,
}

/// A grid that grows downwards.
pub struct Canvas {
    width: usize,
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    /// An empty grid.
    pub fn new(width: usize) -> Canvas {
        Canvas { width, rows: Vec::new() }
    }

    /// The number of rows so far.
    pub fn height(&self) -> usize {
        self.rows.len()
    }

    /// Adds empty rows.
    pub fn grow(&mut self, rows: usize) {
        self.rows.resize(self.rows.len() + rows, vec![Cell::default(); self.width]);
    }

    fn cell(&mut self, row: usize, column: usize) -> Option<&mut Cell> {
        self.rows.get_mut(row)?.get_mut(column)
    }

    /// Writes a text; what does not fit is cut off.
    pub fn text(&mut self, row: usize, column: usize, text: &str, look: Look) {
        for (i, c) in text.chars().enumerate() {
            if let Some(cell) = self.cell(row, column + i) {
                *cell = Cell { character: Some(c), look, ..Cell::default() };
            }
        }
    }

    /// Draws a horizontal line of a net, ends included.
    pub fn horizontal(&mut self, row: usize, from: usize, to: usize, net: usize) {
        for column in from..=to {
            let right = if column < to { RIGHT } else { 0 };
            let left = if column > from { LEFT } else { 0 };
            self.add(row, column, left | right, net);
        }
    }

    /// Draws a vertical line of a net, ends included; at the ends it goes on outwards where `open`, above and below.
    /// Where it meets another net it passes over it.
    pub fn vertical(&mut self, column: usize, from: usize, to: usize, open: (bool, bool), net: usize) {
        for row in from..=to {
            let up = if row > from || open.0 { UP } else { 0 };
            let down = if row < to || open.1 { DOWN } else { 0 };
            self.add(row, column, up | down, net);
        }
    }

    fn add(&mut self, row: usize, column: usize, ways: u8, net: usize) {
        let Some(cell) = self.cell(row, column) else { return };
        if cell.ways != 0 && cell.net != net {
            cell.ways = 0;
        }
        cell.ways |= ways;
        cell.net = net;
        cell.look = Look::Dim;
    }

    /// All rows as lines without blanks at their ends; with escape sequences if `color`.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let end = row.iter().rposition(|cell| cell.glyph() != ' ').map_or(0, |last| last + 1);
            let mut look = Look::Plain;
            for cell in &row[..end] {
                if color && cell.look != look {
                    text.push_str(escape(cell.look));
                    look = cell.look;
                }
                text.push(cell.glyph());
            }
            if look != Look::Plain {
                text.push_str(escape(Look::Plain));
            }
            text.push('\n');
        }
        text
    }
}

impl Cell {
    fn glyph(&self) -> char {
        self.character.unwrap_or(LINES[self.ways as usize])
    }
}

fn escape(look: Look) -> &'static str {
    match look {
        Look::Plain => "\x1b[0m",
        Look::Bold => "\x1b[0;1m",
        Look::Dim => "\x1b[0;2m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_net_join_and_those_of_others_pass() {
        let mut canvas = Canvas::new(5);
        canvas.grow(3);
        canvas.horizontal(1, 0, 4, 1);
        canvas.vertical(0, 0, 1, (true, false), 1);
        canvas.vertical(4, 1, 2, (false, true), 1);
        canvas.vertical(2, 0, 2, (true, true), 2);
        assert_eq!(canvas.render(false), "│ │\n╰─│─╮\n  │ │\n");
    }

    #[test]
    fn texts_are_cut_at_the_edge_and_coloured_on_demand() {
        let mut canvas = Canvas::new(3);
        canvas.grow(1);
        canvas.text(0, 1, "abc", Look::Bold);
        assert_eq!(canvas.render(false), " ab\n");
        assert_eq!(canvas.render(true), " \x1b[0;1mab\x1b[0m\n");
    }
}
